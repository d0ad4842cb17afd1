"""An account in which a lot goes on at once, in tables in memory."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from greenlane.deployments.connection import TABLE
from greenlane.deployments.model import DeploymentRequest, Record
from greenlane.experiments.names import TABLE as EXPERIMENTS
from greenlane.experiments.storing import keeping as tests_keeping
from greenlane.flags.names import TABLE as FLAGS
from greenlane.flags.storing.keeping import start_ramp
from greenlane.migrations.databases.document import read_databases
from greenlane.migrations.guarding.lease import Asked
from greenlane.migrations.guarding.model import RunRecord
from greenlane.migrations.restoring.model import (
    Point,
    RestorePlan,
    RestoreRecord,
    RestoreRequest,
    RestoreRun,
    Rto,
)
from greenlane.regions.coordinating.model import RegionState, Rollout
from greenlane.status.model import Everything
from greenlane.status.reading import Stores, read_everything
from tests.builders import NOW, plan, record, service_config, steps
from tests.experiment_store import definition
from tests.fakes import error
from tests.flag_store import flags_from
from tests.table import Table

REGIONS = ("eu-west-1", "us-east-1", "ap-south-1")
ENVIRONMENTS = ("production", "staging")


class Tables:
    """DynamoDB: each table by its name; what is asked of it is counted, and fails if it is to."""

    def __init__(self) -> None:
        self.tables = {name: Table(name) for name in (TABLE, FLAGS, EXPERIMENTS)}
        self.failing: dict[str, Exception] = {}
        self.calls: list[tuple[str, str]] = []

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            name = arguments.get("TableName")
            if name is None:
                (name,) = {
                    one["TableName"] for put in arguments["TransactItems"] for one in put.values()
                }
            self.calls.append((name, operation))
            if name in self.failing:
                raise self.failing[name]
            if name not in self.tables:
                raise error("ResourceNotFoundException", operation)
            return getattr(self.tables[name], operation)(**arguments)

        return call


class Town:
    """See the module. Nothing goes on until it is begun."""

    def __init__(self) -> None:
        self.now = NOW
        self.dynamodb = Tables()
        self.stores = Stores.of(self.dynamodb)

    def look(self) -> Everything:
        """With no more than reads."""
        self.dynamodb.calls.clear()
        found = read_everything(self.stores, self.now)
        assert {operation for _, operation in self.dynamodb.calls} <= {"get_item", "query"}
        # As the command and the API print it, and as a reader of that reads it.
        assert Everything.model_validate_json(found.model_dump_json()) == found
        return found

    def go(self, **ahead: float) -> None:
        self.now += timedelta(**ahead)

    def service(self, name: str) -> None:
        self.stores.deployments.put_config(
            service_config(name=name), source="a.yaml", by="ada", at=NOW
        )

    def deploys(self, name: str, *, planned: bool = True, **changes: Any) -> Record:
        """A service whose latest deployment is like that."""
        self.service(name)
        id = f"{name}-1"
        found = record(service=name, deployment_id=id, **changes)
        self.stores.deployments.acquire(found)
        if planned:
            approved = steps(10, 50, 100)
            approved[1] = approved[1].model_copy(update={"approval": True})
            self.stores.deployments.put_plan(plan(deployment_id=id, steps=approved))
        return found

    def rolls_out(self, name: str, **changes: Any) -> Rollout:
        values: dict[str, Any] = {
            "rollout_id": f"{name}-r1",
            "service": name,
            "home": REGIONS[0],
            "type": "canary",
            "request": DeploymentRequest(service=name, version="1.4.2"),
            "waves": (),
            "regions": {
                region: RegionState(
                    region=region,
                    wave=number,
                    need_seconds=600,
                    bake_seconds=600,
                    state="waiting" if number else "baking",
                )
                for number, region in enumerate(REGIONS)
            },
            "started_at": NOW,
            "updated_at": NOW,
        }
        made = Rollout(**values | changes)
        assert self.stores.rollouts.begin(made, None)
        return made

    def describes(self, *databases: str) -> None:
        for name in databases:
            self.stores.databases.put(name, self.database(name), by="ada", at=NOW)

    @staticmethod
    def database(name: str) -> Any:
        written = f"""
        databases:
          {name}:
            service: shop
            engine: postgres
            instance: {name}-1
            endpoint: {{host: db.example, dbname: {name}, user: greenlane}}
        """
        return read_databases(written).databases[name]

    def migrates(self, database: str, run: str = "m-1", **changes: Any) -> RunRecord:
        values: dict[str, Any] = {
            "run": run,
            "database": database,
            "service": "shop",
            "phase": "migrate",
            "plan_sha": "a" * 64,
            "standing": "running",
            "stage": "run",
            "started_at": self.now,
            "updated_at": self.now,
        }
        made = self.stores.runs.begin(RunRecord(**values | changes))
        if made.standing == "running":
            self.stores.leases.take(
                database,
                execution=f"arn:{run}",
                run=run,
                phase=made.phase,
                now=self.now,
                lives=lambda _: True,
            )
        return made

    def pauses(self, database: str, run: str = "m-1", reason: str = "too slow") -> None:
        wish = Asked(name="pause", by="jo", at=self.now, reason=reason)
        self.stores.leases.ask(database, run, wish)

    def restores(self, database: str, *, stage: Any = "restore", **changes: Any) -> RestoreRecord:
        asked = RestoreRequest(
            restore="re-1",
            database=database,
            run="m-0",
            mode="cutover",
            requested_by="jo",
            reason="names were lost",
        )
        state = RestoreRun(
            request=asked,
            execution="arn:re-1",
            epoch=1,
            described=self.database(database),
            plan=RestorePlan(
                point=Point(source="marker", at=NOW, run="m-0"),
                kind="instance",
                old="orders-1",
                new="orders-1-re-1",
                rto=Rto(seconds=None, basis="unknown"),
            ),
            started_at=self.now,
            stage=stage,
            approval_seconds=600,
            writers_seconds=600,
        )
        values: dict[str, Any] = {
            "restore": "re-1",
            "database": database,
            "service": "shop",
            "standing": "running",
            "execution": "arn:re-1",
            "epoch": 1,
            "requested_by": "jo",
            "reason": "names were lost",
            "started_at": self.now,
            "updated_at": self.now,
            "state": state,
        }
        made = self.stores.restores.begin(RestoreRecord(**values | changes)).record
        if stage in ("approve", "writers"):
            self.stores.restores.ask("re-1", stage, "offer-1", "token", self.now)
        return made

    def flags(self, text: str) -> None:
        self.stores.flags.change(flags_from(text), by="ada", reason="", at=self.now)

    def ramp(self, flag: str, environment: str = "production", target: int = 50) -> Any:
        """The ramp that begins; None where that waits for a second person."""
        start_ramp(
            self.stores.flags,
            flag,
            environment,
            target=Decimal(target),
            increment=Decimal(10),
            interval=timedelta(minutes=15),
            by="jo",
            at=self.now,
        )
        return self.stores.flags.read().flags[flag].state(environment).ramp

    def with_state(self, flag: str, environment: str = "production", **changes: Any) -> None:
        """As Greenlane itself writes it."""

        def edit(flags: Any) -> Any:
            return flags.with_flag(flag, flags.flags[flag].with_state(environment, **changes))

        self.stores.flags.change(edit, by="greenlane", reason="", at=self.now)

    def tries(self, name: str, *, start: bool = True, **keys: Any) -> None:
        store = self.stores.experiments
        tests_keeping.create(store, name, definition(**keys), by="ada", at=self.now)
        if start:
            tests_keeping.start(store, name, by="ada", at=self.now)


def busy() -> Town:
    """A bit of everything, at eight in the evening."""
    town = Town()
    town.deploys("checkout", step=1, weight=50, bake_until=NOW + timedelta(minutes=4))
    town.deploys(
        "payments",
        step=1,
        weight=50,
        bake_token="token",
        bake_until=NOW - timedelta(minutes=9),
    )
    town.deploys("search", planned=False, phase="planning")
    town.deploys(
        "images", phase="watching", step=3, weight=100, watch_until=NOW + timedelta(hours=1)
    )
    town.deploys(
        "mail",
        phase="rolling_back",
        weight=25,
        trigger={"kind": "alarm", "name": "mail-green-p95", "reason": "p95 above 5 s"},
    )
    town.deploys("accounts", phase="held", reason="the good slot has no healthy target")
    town.deploys("catalogue", phase="retired")
    town.service("new")
    town.rolls_out("checkout", phase="advancing", blocked="the window of us-east-1 is closed")
    town.describes("orders", "people")
    town.migrates("orders", waits_for="replicas are 8 s behind")
    town.restores("people", stage="approve")
    town.flags(
        "feature_flags:\n"
        "  new_checkout: {percentage: 5, per_environment: {staging: {enabled: true}}}\n"
        "  banner: {percentage: 5}\n"
        "approvals: {environments: [production]}"
    )
    town.ramp("new_checkout", "staging")
    town.ramp("banner")  # production is protected: a proposal
    town.tries("colours")
    town.tries("words", start=False)
    town.go(minutes=3)
    return town
