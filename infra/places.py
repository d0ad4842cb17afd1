"""Where things of Greenlane are, by their fixed names: what its stacks know of each other.

No stack exports anything: a stack that imports a value cannot be deployed without its owner, and
its owner can then neither change nor remove it.
"""

from aws_cdk import ArnFormat, Stack

from greenlane.deployments.connection import DEPLOYMENT_MACHINE, ROLLBACK_MACHINE, TABLE, TOPIC
from greenlane.experiments.names import TABLE as EXPERIMENTS
from greenlane.flags.names import TABLE as FLAGS
from greenlane.incidents.report_place import bucket_name as reports_bucket
from greenlane.migrations.guarding.plans import bucket_name as plans_bucket
from greenlane.regions.coordinating.requesting import REGIONS_MACHINE
from infra.adopted import AdoptedService
from infra.experiments import EXPERIMENT_MACHINE
from infra.flag_ramps import FLAG_MACHINE
from infra.migrations import MIGRATION_MACHINE
from infra.permissions import Permissions
from infra.permissions_releases import MigrationPlaces
from infra.settings import Settings
from infra.storage import UNDELIVERED


def machine_arn(stack: Stack, name: str) -> str:
    """The ARN of a state machine of this account and Region."""
    return _colon(stack, "states", "stateMachine", name)


def table_arn(stack: Stack, name: str) -> str:
    """The ARN of a table of this account and Region."""
    arn: str = stack.format_arn(service="dynamodb", resource="table", resource_name=name)
    return arn


def rollout_machine(stack: Stack, settings: Settings) -> str | None:
    """The ARN of the machine of rollouts, in a Region that has one."""
    if not settings.coordinates:
        return None
    return machine_arn(stack, REGIONS_MACHINE)


def migration_places(stack: Stack, plans_arn: str) -> MigrationPlaces:
    """Where migrations are, in a Region that has them.

    Args:
        stack: the one that asks.
        plans_arn: of the bucket of plans.
    """
    machine = machine_arn(stack, MIGRATION_MACHINE)
    executions = f"{machine.replace(':stateMachine:', ':execution:')}:*"
    return MigrationPlaces(machine=machine, executions=executions, plans_arn=plans_arn)


def plans_arn(stack: Stack) -> str:
    """The ARN of the bucket of plans."""
    return _bucket_arn(stack, plans_bucket(stack.account, stack.region))


def permissions_by_name(stack: Stack, settings: Settings) -> Permissions:
    """Statements about what the stack `Greenlane` of the same Region has.

    Args:
        stack: another one.
        settings: what was chosen.
    """
    return Permissions(
        stack=stack,
        services=[
            AdoptedService(stack, f"Service-{service.name}", service=service)
            for service in settings.services
        ],
        table_arn=table_arn(stack, TABLE),
        topic_arn=stack.format_arn(service="sns", resource=TOPIC),
        undelivered_arn=stack.format_arn(service="sqs", resource=UNDELIVERED),
        reports_arn=_bucket_arn(stack, reports_bucket(stack.account, stack.region)),
        deployment_machine=machine_arn(stack, DEPLOYMENT_MACHINE),
        rollback_machine=machine_arn(stack, ROLLBACK_MACHINE),
        flags_arn=table_arn(stack, FLAGS),
        flag_machine=machine_arn(stack, FLAG_MACHINE),
        experiments_arn=table_arn(stack, EXPERIMENTS),
        experiment_machine=machine_arn(stack, EXPERIMENT_MACHINE),
        migrations=(
            migration_places(stack, plans_arn(stack)) if settings.migrations is not None else None
        ),
        rollout_machine=rollout_machine(stack, settings),
    )


def _bucket_arn(stack: Stack, name: str) -> str:
    arn: str = stack.format_arn(service="s3", region="", account="", resource=name)
    return arn


def _colon(stack: Stack, service: str, resource: str, name: str) -> str:
    arn: str = stack.format_arn(
        service=service,
        resource=resource,
        resource_name=name,
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    return arn
