"""What the functions behind the HTTP API may do, besides what all may."""

from collections.abc import Callable
from dataclasses import dataclass

from aws_cdk import ArnFormat

from greenlane.migrations.restoring.manager import RESTORE_MACHINE
from greenlane.rollback.http.webhook_secret import NAME as WEBHOOKS_SECRET
from infra.permissions import Permissions
from infra.permissions_releases import MigrationPlaces, see_release_plans
from infra.roles import Allow
from infra.settings import Settings

WAITS_SECONDS = 29
"""As long as API Gateway waits for an answer; a function that runs on tells nobody."""

EVERYTHING = ("GetItem", "PutItem", "Query", "UpdateItem")


@dataclass(frozen=True)
class ApiSpec:
    """One module of `functions/` that answers routes.

    `wanted` says whether a stack of these settings has it; `knows` are names of variables.
    """

    module: str
    may: Callable[[Permissions], list[Allow]]
    knows: tuple[str, ...]
    wanted: Callable[[Settings], bool] = lambda _: True
    memory_mb: int = 512


def manage_deployments(may: Permissions) -> list[Allow]:
    """Do what a person does with deployments, and see what a person sees of them."""
    return [
        may.table(*EVERYTHING),
        may.flags("GetItem", "Query"),
        may.experiments("GetItem", "Query"),
        may.start_machines(),
        may.executions("DescribeExecution"),
        may.answer("SendTaskSuccess"),
        may.see_services(),
        may.see_task_definitions("DescribeTaskDefinition"),
        may.list_tasks(),
        may.see_tasks(),
        may.see_traffic("Rules", "TargetHealth"),
        may.see_alarms(),
        may.see_metrics(),
        may.query_prometheus(),
        Allow(
            "ReadReports",
            ["s3:GetObject"],
            [f"{may.reports_arn}/incidents/*"],
            because="the keys name a service and a deployment.",
        ),
        *see_release_plans(may.migrations),
    ]


def manage_rollouts(may: Permissions) -> list[Allow]:
    """Begin rollouts, and tell the coordinator what people want of one."""
    machine = may.rollout_machine
    assert machine is not None, "there is a coordinator here"
    return [
        may.table(*EVERYTHING),
        Allow("StartRollouts", ["states:StartExecution"], [machine]),
        Allow("SeeCoordinator", ["states:DescribeStateMachine"], [machine]),
        Allow("Wake", ["states:SendTaskSuccess"], [machine]),
    ]


def manage_migrations(may: Permissions) -> list[Allow]:
    """Start restores and what is planned already, and tell both what people want."""
    places = _of_databases(may)
    restores = places.machine.rpartition(":")[0] + f":{RESTORE_MACHINE}"
    return [
        may.table(*EVERYTHING),
        Allow("StartMigrations", ["states:StartExecution"], [places.machine, restores]),
        Allow(
            "SeeMigrations",
            ["states:DescribeExecution"],
            [places.executions, f"{restores.replace(':stateMachine:', ':execution:')}:*"],
            because="each execution of our own machines of migrations and restores.",
        ),
        Allow("AnswerRestores", ["states:SendTaskSuccess"], [restores]),
        *see_release_plans(places),
    ]


def hear_webhooks(may: Permissions) -> list[Allow]:
    """Find what is deployed, start its way back, and know who may ask for it."""
    arn = may.stack.format_arn(
        service="secretsmanager",
        resource="secret",
        # Secrets Manager ends each ARN in six characters of its own.
        resource_name=f"{WEBHOOKS_SECRET}-??????",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    return [
        may.table("GetItem", "Query"),
        may.start_rollbacks(),
        Allow("ReadSecret", ["secretsmanager:GetSecretValue"], [arn]),
    ]


def _of_databases(may: Permissions) -> MigrationPlaces:
    assert may.migrations is not None, "there are databases here"
    return may.migrations
