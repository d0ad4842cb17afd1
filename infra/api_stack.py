"""The HTTP API: a stack of its own, for one stack holds 500 resources."""

from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from greenlane.deployments.connection import TABLE
from greenlane.experiments.http.experiment_routes import MANAGE_TESTS, RECORD
from greenlane.experiments.names import TABLE as EXPERIMENTS
from greenlane.flags.http.api_routes import LOOK_UP, MANAGE
from greenlane.flags.names import TABLE as FLAGS
from greenlane.rollback.http.webhook_secret import NAME as WEBHOOKS_SECRET
from infra.api import Api
from infra.catalog_api import API
from infra.code import Dependencies, our_code
from infra.experiment_functions import ExperimentFunctions
from infra.flags import FlagFunctions
from infra.functions import Function, camel
from infra.permissions_api import WAITS_SECONDS, ApiSpec
from infra.places import permissions_by_name
from infra.retention import log_retention
from infra.settings import Settings
from infra.webhooks import webhook_secret

LAYER_NAME = "greenlane-api-dependencies"
"""The product's stack has a layer of the same files; no stack waits for the other's."""


class ApiStack(Stack):
    """The API of one Region with the functions that answer it.

    It knows the tables, machines and buckets of the stack `Greenlane` by their names and imports
    nothing from it.
    """

    def __init__(self, scope: Construct, id: str, *, settings: Settings, **kwargs: Any) -> None:
        super().__init__(scope, id, **kwargs)
        self._settings = settings
        self._may = permissions_by_name(self, settings)
        self._code = our_code()
        self._layer = Dependencies(self, "Dependencies", name=LAYER_NAME).layer
        flags = dynamodb.Table.from_table_name(self, "FlagsTable", FLAGS)
        experiments = dynamodb.Table.from_table_name(self, "ExperimentsTable", EXPERIMENTS)
        specs = [spec for spec in API if spec.wanted(settings)]
        about_flags = FlagFunctions(
            self,
            "Flags",
            table=flags,
            experiments=experiments,
            code=self._code,
            layer=self._layer,
            settings=settings.flags,
            served=[LOOK_UP, MANAGE, RECORD, MANAGE_TESTS, *(spec.module for spec in specs)],
            log_retention=log_retention(settings),
        )
        about_tests = ExperimentFunctions(
            self,
            "ExperimentsApi",
            table=experiments,
            flags=flags,
            code=self._code,
            layer=self._layer,
            settings=settings.flags,
            log_retention=log_retention(settings),
        )
        if settings.webhooks:
            webhook_secret(self)
        Api(
            self,
            "Api",
            functions={
                **about_flags.functions,
                **about_tests.functions,
                **{spec.module: self._function(spec) for spec in specs},
            },
            settings=settings.flags,
            log_retention=log_retention(settings),
        )

    def _function(self, spec: ApiSpec) -> Function:
        known = self._known()
        return Function(
            self,
            camel(spec.module),
            module=spec.module,
            code=self._code,
            layers=[self._layer],
            timeout_seconds=WAITS_SECONDS,
            memory_mb=spec.memory_mb,
            environment={
                **{name: known[name] for name in spec.knows},
                "POWERTOOLS_SERVICE_NAME": "greenlane",
                "LOG_LEVEL": "INFO",
            },
            allows=spec.may(self._may),
            log_retention=log_retention(self._settings),
        )

    def _known(self) -> dict[str, str]:
        """What functions may be told, by the variable's name."""
        return {
            "DEPLOYMENTS_TABLE": TABLE,
            "DEPLOYMENT_MACHINE_ARN": self._may.deployment_machine,
            "ROLLBACK_MACHINE_ARN": self._may.rollback_machine,
            "TOPIC_ARN": self._may.topic_arn,
            "WEBHOOKS_SECRET": WEBHOOKS_SECRET,
        }
