"""The two functions of feature flags behind the HTTP API."""

from collections.abc import Sequence

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from greenlane.flags.http.api_routes import LOOK_UP, MANAGE
from greenlane.flags.lifecycle.seen import PREFIX
from infra.functions import Function, camel
from infra.roles import Allow
from infra.settings import FlagSettings

LOOK_UP_SECONDS = 15
"""While DynamoDB hangs, one read takes six; after it the last snapshot is served."""

LOOK_UP_MB, MANAGE_MB = 256, 512


class FlagFunctions(Construct):
    """Lookups, which start fast and may read one item at a time, and everything else.

    Args:
        scope: the parent construct.
        id: the construct's id.
        table: where flags are kept.
        experiments: the table of A/B tests, which are looked up as flags are.
        code: the asset with our code.
        layer: the dependencies; a lookup loads of them only the engine of patterns, and only for a
            flag that has one.
        settings: of flags.
        served: the modules of all functions of the API, whose routes its document has.
        log_retention: of the log groups.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        table: dynamodb.ITable,
        experiments: dynamodb.ITable,
        code: lambda_.Code,
        layer: lambda_.ILayerVersion,
        settings: FlagSettings,
        served: Sequence[str],
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, id)

        def build(
            module: str,
            seconds: int,
            memory: int,
            variables: dict[str, str],
            *actions: str,
            more: tuple[Allow, ...] = (),
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
                    "FLAGS_TABLE": table.table_name,
                    "EXPERIMENTS_TABLE": experiments.table_name,
                    **variables,
                },
                allows=[
                    Allow("Flags", [f"dynamodb:{name}" for name in actions], [table.table_arn]),
                    *more,
                ],
                log_retention=log_retention,
            )

        self.functions = {
            LOOK_UP: build(
                LOOK_UP,
                LOOK_UP_SECONDS,
                LOOK_UP_MB,
                {
                    "FLAGS_ORIGIN": settings.origin,
                    "FLAGS_DISABLED_VALUE": settings.disabled_value,
                    "FLAGS_SAMPLED": f"{settings.sampled:g}",
                    "FLAGS_RECORDED": f"{settings.recorded:g}",
                },
                "GetItem",
                more=(
                    _telling_tests(experiments),
                    *([_noting(table)] if settings.recorded else []),
                ),
            ),
            MANAGE: build(
                MANAGE,
                30,
                MANAGE_MB,
                {
                    "FLAGS_ENVIRONMENTS": ",".join(settings.environments),
                    "API_FUNCTIONS": ",".join(sorted(served)),
                    "POWERTOOLS_SERVICE_NAME": "greenlane",
                    "LOG_LEVEL": "INFO",
                },
                "GetItem",
                "PutItem",
                "Query",
                more=(_reading_names(experiments),),
            ),
        }


def _noting(table: dynamodb.ITable) -> Allow:
    """Writing down which flags are asked for, and nothing else of the table."""
    return Allow(
        "NoteUse",
        ["dynamodb:UpdateItem"],
        [table.table_arn],
        conditions=_leading(f"{PREFIX}*"),
    )


def _telling_tests(table: dynamodb.ITable) -> Allow:
    """Reading which tests there are and what is on record of a user; no counters, no looks."""
    return Allow(
        "TellTests",
        ["dynamodb:BatchGetItem", "dynamodb:GetItem"],
        [table.table_arn],
        conditions=_leading("snapshot#*", "user#*"),
    )


def _reading_names(table: dynamodb.ITable) -> Allow:
    """Reading the names of tests, which no new flag may have."""
    return Allow(
        "ReadNamesOfTests",
        ["dynamodb:GetItem"],
        [table.table_arn],
        conditions=_leading("snapshot#*"),
    )


def _leading(*keys: str) -> dict[str, dict[str, str | list[str]]]:
    return {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(keys)}}
