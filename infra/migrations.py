"""Database migrations: their workflow, its functions, and where plans are kept.

None of it exists where no database is configured. The functions that speak to a database run in
the network that the settings name, and nothing here makes an endpoint that costs money. There they
need:

- the database's own port, from their security group;
- S3, to read the plan: a *gateway* endpoint of the VPC in the route tables of their subnets, which
  is free. The policy of that endpoint must allow `s3:GetObject` on the bucket of plans;
- nothing else with `auth: iam`, whose tokens are signed without a call. With `auth: secret` they
  call Secrets Manager, so the subnets need an interface endpoint for it, or a NAT gateway.
"""

from collections.abc import Mapping

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from greenlane.migrations.guarding.plans import bucket_name
from infra.catalog_migrations import MIGRATIONS
from infra.events import every_minute, tell_of_death
from infra.functions import Function, all_versions, camel
from infra.nag import acknowledge
from infra.permissions_migrations import MigrationPermissions, MigrationSpec
from infra.settings import MigrationSettings
from infra.workflows import Workflow

MIGRATION_MACHINE = "greenlane-migration"


class PlansBucket(Construct):
    """Where plans are kept: private, encrypted, over TLS only.

    A plan's key is its checksum, so none is ever changed and there are no versions of one.
    """

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        stack = Stack.of(self)
        self.bucket = s3.Bucket(
            self,
            "Plans",
            bucket_name=bucket_name(stack.account, stack.region),
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=False,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="Abandoned", abort_incomplete_multipart_upload_after=Duration.days(1)
                )
            ],
            removal_policy=RemovalPolicy.RETAIN,
        )
        acknowledge(
            self.bucket,
            "S1",
            "Access logs would need a second bucket that nobody reads: a plan is written once and "
            "read by its own run, and CloudTrail can log the data events of this bucket.",
        )


class Migrations(Construct):
    """The state machine, its functions, and the rule that tells of an execution that died.

    Args:
        scope: the parent construct.
        id: the construct's id.
        settings: the databases and their network.
        permissions: what functions may do.
        plans: where plans are kept.
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
        permissions: MigrationPermissions,
        plans: PlansBucket,
        code: lambda_.Code,
        layers: tuple[lambda_.ILayerVersion, lambda_.ILayerVersion],
        environment: Mapping[str, str],
        undelivered: sqs.Queue,
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, id)
        variables = {
            **environment,
            "MIGRATIONS_BUCKET": plans.bucket.bucket_name,
            "MIGRATION_MACHINE_ARN": permissions.migration_machine,
        }

        def build(spec: MigrationSpec) -> Function:
            inside = spec.in_network
            return Function(
                self,
                camel(spec.module),
                module=spec.module,
                code=code,
                layers=layers if inside else layers[:1],
                timeout_seconds=spec.timeout_seconds,
                memory_mb=spec.memory_mb,
                environment=dict(variables),
                allows=spec.may(permissions),
                log_retention=log_retention,
                tick=spec.tick,
                subnet_ids=settings.subnet_ids if inside else (),
                security_group_ids=settings.security_group_ids if inside else (),
            )

        self.functions = {spec.module: build(spec) for spec in MIGRATIONS}
        workflow = Workflow(
            self,
            "Workflow",
            name=MIGRATION_MACHINE,
            file="migration.asl.json",
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
        tell = self.functions["tell_dead_migration"]
        tell_of_death(self, "migration", workflow.machine.state_machine_arn, tell, undelivered)
        for spec in MIGRATIONS:
            if spec.tick:
                every_minute(self, self.functions[spec.module], undelivered)
