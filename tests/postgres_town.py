"""A town whose database is a real PostgreSQL: the real workflow and the real functions."""

import json
from types import SimpleNamespace
from typing import Any

import boto3
import yaml

from greenlane.deployments.connection import Connection
from greenlane.migrations.declaring.plan import Plan
from greenlane.migrations.guarding.model import MigrationRun
from greenlane.migrations.guarding.plans import put_plan
from greenlane.migrations.reaching.runtime import NetworkRuntime
from greenlane.migrations.reaching.slices import check_migration, run_migration, undo_migration
from tests.builders import SERVICE
from tests.fakes import REGION, Spy
from tests.migrated import ACCOUNT, BUCKET
from tests.migration_town import MigrationTown
from tests.postgres import Database

INSIDE = {"check": check_migration, "slice": run_migration, "undo": undo_migration}


class PostgresTown(MigrationTown):
    """See the module.

    Args:
        database: what is migrated.
    """

    def __init__(self, database: Database) -> None:
        with database.connect() as connection:
            info = connection.info
            where = {
                "host": info.host,
                "port": info.port,
                "dbname": info.dbname,
                "user": info.user,
            }
        one = {
            "service": SERVICE,
            "engine": "postgres",
            "endpoint": where,
            "auth": "secret",
            "secret": "greenlane/orders",
            "tls": "disable",
            "backup": dict.fromkeys(("expand", "migrate", "contract"), "none"),
        }
        super().__init__(described=yaml.safe_dump({"databases": {"orders": one}}))
        self.network = NetworkRuntime(
            settings=self.runtime.settings, actor="test", clock=self.kernel
        )
        secret = json.dumps({"username": where["user"], "password": "x"})
        self.network.__dict__["plans"] = Spy(self, "s3", self.objects)
        self.network.__dict__["secretsmanager"] = Secrets(secret)

    def keep(self, kept: Plan) -> str:
        """Keep a plan; its checksum."""
        put_plan(self.objects, BUCKET, ACCOUNT, kept.sha256, kept.model_dump_json())
        return kept.sha256

    def _inside(self, what: str, run: MigrationRun) -> MigrationRun:
        self.calls.append(("postgres", what))
        before, after = self.faults_of("postgres", what)
        if before is not None:
            raise before
        answer = INSIDE[what](run, self.network)
        if after is not None:
            raise after
        return answer


class Secrets:
    """Secrets Manager with one secret."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803
        assert SecretId == "greenlane/orders"
        return {"SecretString": self._text}


class TownConnection(Connection):
    """A town's account and Region, as a person's own process reaches them.

    Args:
        town: what answers.
        person: whose credentials these are.
    """

    def __init__(self, town: MigrationTown, person: str = "jo") -> None:
        super().__init__(boto3.Session(region_name=REGION), clock=town.kernel)
        identity = {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/{person}"}
        self._clients = {
            "dynamodb": town.table,
            "s3": town.objects,
            "stepfunctions": _StepFunctions(town),
            "sts": SimpleNamespace(get_caller_identity=lambda: identity),
        }


class _StepFunctions:
    meta = SimpleNamespace(region_name=REGION)

    def __init__(self, town: MigrationTown) -> None:
        self._town = town

    def start_execution(self, **given: Any) -> dict[str, Any]:
        return self._town.start_execution(**given)

    def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        status = self._town.describe_execution(executionArn)
        found = self._town.executions[executionArn]
        said = {"error": found.error, "cause": found.cause} if found.error else {}
        return status | said | {"input": json.dumps(found.given)}
