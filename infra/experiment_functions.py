"""The two functions of A/B tests behind the HTTP API."""

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from greenlane.experiments.http.experiment_routes import MANAGE_TESTS, RECORD
from infra.functions import Function, camel
from infra.roles import Allow
from infra.settings import FlagSettings

RECORD_SECONDS = 29
"""As long as API Gateway waits; a request begins nothing more after a third of it."""

RECORD_MB, MANAGE_MB = 512, 512

OF_USERS = ("user#*", "event#*", "count#*")
"""What stands in the table about users: all that is written by whoever has an API key."""

READ = ("tests", "snapshot#tests", "user#*")
"""What recording reads: definitions, their names, and users; no looks, no audit, no sums."""


class ExperimentFunctions(Construct):
    """What records users, by API key, and what people do with tests, by IAM.

    Args:
        scope: the parent construct.
        id: the construct's id.
        table: where tests are kept and counted.
        flags: the table of flags, whose names tests may not have.
        code: the asset with our code.
        layer: the dependencies.
        settings: of the HTTP API.
        log_retention: of the log groups.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        table: dynamodb.ITable,
        flags: dynamodb.ITable,
        code: lambda_.Code,
        layer: lambda_.ILayerVersion,
        settings: FlagSettings,
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, id)

        def build(
            module: str, seconds: int, memory: int, variables: dict[str, str], *allows: Allow
        ) -> Function:
            return Function(
                self,
                camel(module),
                module=module,
                code=code,
                layers=[layer],
                timeout_seconds=seconds,
                memory_mb=memory,
                environment={
                    "EXPERIMENTS_TABLE": table.table_name,
                    "POWERTOOLS_SERVICE_NAME": "greenlane",
                    "LOG_LEVEL": "INFO",
                    **variables,
                },
                allows=allows,
                log_retention=log_retention,
            )

        arn = table.table_arn
        self.functions = {
            RECORD: build(
                RECORD,
                RECORD_SECONDS,
                RECORD_MB,
                {"API_ORIGIN": settings.origin},
                Allow("ReadTests", ["dynamodb:GetItem"], [arn], conditions=_leading(READ)),
                Allow(
                    "RecordUsers",
                    ["dynamodb:PutItem", "dynamodb:UpdateItem"],
                    [arn],
                    conditions=_leading(OF_USERS),
                ),
            ),
            MANAGE_TESTS: build(
                MANAGE_TESTS,
                30,
                MANAGE_MB,
                {"FLAGS_TABLE": flags.table_name},
                Allow(
                    "UseExperiments",
                    [f"dynamodb:{one}" for one in ("GetItem", "PutItem", "Query", "UpdateItem")],
                    [arn],
                ),
                Allow("ReadFlags", ["dynamodb:GetItem"], [flags.table_arn]),
            ),
        }


def _leading(keys: tuple[str, ...]) -> dict[str, dict[str, str | list[str]]]:
    return {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(keys)}}
