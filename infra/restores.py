"""Going back to a backup of a database: the workflow, its functions, and who tells of a death.

None of it exists where no database is configured. Nothing here starts an execution: people do.
"""

from collections.abc import Mapping

from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.catalog_restores import RESTORES
from infra.events import tell_of_death
from infra.functions import Function, all_versions, camel
from infra.permissions_restores import RestorePermissions, RestoreSpec
from infra.settings import MigrationSettings
from infra.workflows import Workflow

RESTORE_MACHINE = "greenlane-restore"


class Restores(Construct):
    """The state machine, its functions, and the rule that tells of an execution that died.

    Args:
        scope: the parent construct.
        id: the construct's id.
        settings: the databases and their network.
        permissions: what functions may do.
        code: the asset with our code.
        layers: the dependencies that all functions have, and those of the parser and the driver.
        environment: variables that all functions have.
        undelivered: where events go that nobody took.
        log_retention: of the log groups.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: MigrationSettings,
        permissions: RestorePermissions,
        code: lambda_.Code,
        layers: tuple[lambda_.ILayerVersion, lambda_.ILayerVersion],
        environment: Mapping[str, str],
        undelivered: sqs.Queue,
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, id)

        def build(spec: RestoreSpec) -> Function:
            inside = spec.in_network
            return Function(
                self,
                camel(spec.module),
                module=spec.module,
                code=code,
                layers=layers if inside else layers[:1],
                timeout_seconds=spec.timeout_seconds,
                memory_mb=spec.memory_mb,
                environment=dict(environment),
                allows=spec.may(permissions),
                log_retention=log_retention,
                subnet_ids=settings.subnet_ids if inside else (),
                security_group_ids=settings.security_group_ids if inside else (),
            )

        self.functions = {spec.module: build(spec) for spec in RESTORES}
        workflow = Workflow(
            self,
            "Workflow",
            name=RESTORE_MACHINE,
            file="restore.asl.json",
            bindings={
                f"{camel(module)}Arn": function.version.function_arn
                for module, function in self.functions.items()
            },
            may_invoke={
                f"{camel(module)}Arn": all_versions(self, module) for module in self.functions
            },
            may_start={},
            log_retention=log_retention,
        )
        tell = self.functions["tell_dead_restore"]
        tell_of_death(self, "restore", workflow.machine.state_machine_arn, tell, undelivered)
