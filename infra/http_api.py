"""The HTTP API with the functions that answer it."""

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.api import Api
from infra.experiment_functions import ExperimentFunctions
from infra.flags import FlagFunctions
from infra.settings import FlagSettings


def add_http_api(
    scope: Construct,
    *,
    flags: dynamodb.ITable,
    experiments: dynamodb.ITable,
    code: lambda_.Code,
    layer: lambda_.ILayerVersion,
    settings: FlagSettings,
    log_retention: logs.RetentionDays,
) -> None:
    """Add them to a stack.

    Args:
        scope: the stack.
        flags: the table of feature flags.
        experiments: the table of A/B tests.
        code: the asset with our code.
        layer: the dependencies.
        settings: environments, origin and limits.
        log_retention: of all log groups.
    """
    about_flags = FlagFunctions(
        scope,
        "Flags",
        table=flags,
        experiments=experiments,
        code=code,
        layer=layer,
        settings=settings,
        log_retention=log_retention,
    )
    about_tests = ExperimentFunctions(
        scope,
        "ExperimentsApi",
        table=experiments,
        flags=flags,
        code=code,
        layer=layer,
        settings=settings,
        log_retention=log_retention,
    )
    Api(
        scope,
        "Api",
        functions={**about_flags.functions, **about_tests.functions},
        settings=settings,
        log_retention=log_retention,
    )
