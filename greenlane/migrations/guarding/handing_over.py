"""The step that lets a long run go on in the next execution: one holds 25,000 events."""

from botocore.exceptions import ClientError

from greenlane.errors import FenceLost
from greenlane.migrations.guarding.backing_up import lease_of
from greenlane.migrations.guarding.journal import note
from greenlane.migrations.guarding.model import MigrationRun
from greenlane.migrations.guarding.runtime import MigrationRuntime


def hand_over_migration(run: MigrationRun, runtime: MigrationRuntime) -> MigrationRun:
    """Give the lease to the next execution of a run, and start it.

    The lease goes first: an execution that is started without it would write nothing. If this
    process dies in between, the lease is held by an execution that does not exist, and is taken
    over like that of any dead one. Repeating it finds both done.

    Raises:
        FenceLost: another execution has the lease.
        ClientError: Step Functions did not answer.
    """
    number = run.executions + 1
    name = f"{run.run}-{number}"
    machine = runtime.settings.migration_machine_arn
    successor = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
    runtime.leases.hand_over(lease_of(run), successor, runtime.clock.now())
    going_on = run.model_copy(
        update={"execution": successor, "executions": number, "rounds": 0, "next": "watch"}
    )
    try:
        runtime.stepfunctions.start_execution(
            stateMachineArn=machine, name=name, input=going_on.model_dump_json()
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
            raise
        if not runtime.lives(successor):
            raise FenceLost(f"{successor} has the lease, and has ended") from None
    note(runtime, run.run, "goes on", execution=successor)
    return going_on
