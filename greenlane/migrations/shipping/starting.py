"""Starting a deployment's run, once, however often that is asked."""

import json
from typing import Any

from botocore.exceptions import ClientError

from greenlane.errors import UnknownMigration
from greenlane.migrations.guarding.model import MigrationRequest, RunRecord
from greenlane.migrations.guarding.runtime import MigrationRuntime


def start_run(runtime: MigrationRuntime, request: MigrationRequest) -> bool:
    """Start a run's first execution.

    It has the run's name and always the same input: as long as it runs, Step Functions takes a
    repetition for the same, and later refuses the name (`StartExecution`, API reference).

    Returns:
        False if there was an execution of that name, which has ended.
    """
    body = json.dumps({"request": request.model_dump(mode="json")}, sort_keys=True)
    try:
        runtime.stepfunctions.start_execution(
            stateMachineArn=runtime.settings.migration_machine_arn, name=request.run, input=body
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
            raise
        return False
    return True


def find_run(runtime: MigrationRuntime, run: str) -> RunRecord | None:
    """The line of a run; None when it has not begun."""
    try:
        return runtime.runs.run(run)
    except UnknownMigration:
        return None


def how_it_ended(runtime: MigrationRuntime, run: str) -> str:
    """How the first execution of a run ended, which wrote nothing down."""
    machine = runtime.settings.migration_machine_arn
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{run}"
    found: dict[str, Any] = runtime.stepfunctions.describe_execution(executionArn=arn)
    said = ": ".join(part for part in (found.get("error"), found.get("cause")) if part)
    return said or f"its execution is {found['status']}"


def has_died(runtime: MigrationRuntime, record: RunRecord) -> bool:
    """Whether a run that is on record as running has nobody any more who would end it.

    The lease says which execution goes on with it, for a long run has several. Until the lease's
    time is over, the next one may be about to start.
    """
    lease = runtime.leases.read(record.database)
    holder = record.execution
    if lease is not None and lease.held_by is not None and lease.run == record.run:
        if lease.held_until is not None and runtime.clock.now() < lease.held_until:
            return False
        holder = lease.held_by
    if runtime.lives(holder):
        return False
    # It may have ended between the two looks; then it has said how.
    return runtime.runs.run(record.run).standing == "running"
