"""A deployment, rollouts, migrations and a restore on record, and nobody who works on them."""

from datetime import UTC, datetime
from typing import Any, get_args

from greenlane.deployments.model import DeploymentRequest, DeploymentSummary, HistoryEvent
from greenlane.deployments.phases import Phase as Standing
from greenlane.deployments.storing.store import DynamoStore
from greenlane.migrations.databases.document import read_databases
from greenlane.migrations.databases.store import DatabaseStore
from greenlane.migrations.guarding.lease import Leases
from greenlane.migrations.guarding.model import Published, RunRecord
from greenlane.migrations.guarding.records import Runs
from greenlane.migrations.restoring.model import RestoreRecord
from greenlane.migrations.restoring.records import Restores
from greenlane.regions.coordinating.beginning import plan_rollout, record_of
from greenlane.regions.coordinating.model import Phase
from greenlane.regions.coordinating.requesting import as_json
from greenlane.regions.coordinating.store import KeptPlan, Rollouts
from greenlane.regions.declaring.document import read_regions
from tests import builders
from tests.migrated import SHA
from tests.migration_town import DESCRIBED
from tests.region_town import regions_file

ROLLED: dict[str, Phase] = {
    one.replace("_", "-"): one for one in get_args(Phase) if one != "partial"
}
"""Services, by the phase of their rollout: each wish does something to one of them."""

DEPLOYED, DEPLOYMENT = builders.SERVICE, "d-1"
"""A service whose deployment is at its first step."""

RUNS, RESTORES = ("m-done", "m-runs"), ("fix-done", "fix-runs")
_NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def put_on_record(client: Any, table: str) -> None:
    """Write all of it.

    Args:
        client: a boto3 `dynamodb` client.
        table: that of deployments.
    """
    _deployment(DynamoStore(client, table))
    for service, phase in ROLLED.items():
        _rollout(Rollouts(client, table), service, phase)
    other = DESCRIBED.replace("  orders:", "  people:")
    for text in (DESCRIBED, other):
        for name, one in read_databases(text).databases.items():
            DatabaseStore(client, table).put(name, one, by="ada", at=_NOW)
    _runs(Runs(client, table), Leases(client, table))
    _restores(Restores(client, table), Leases(client, table))


def _deployment(store: DynamoStore) -> None:
    config = builders.service_config()
    store.put_config(config, source="test", by="ada", at=_NOW, workload_declared=True)
    store.put_plan(builders.plan(deployment_id=DEPLOYMENT, config=config, started_at=_NOW))
    store.acquire(builders.record(deployment_id=DEPLOYMENT, phase=Standing.SHIFTING))
    summary = DeploymentSummary(
        deployment_id=DEPLOYMENT,
        service=DEPLOYED,
        phase=Standing.SHIFTING,
        strategy="canary",
        started_at=_NOW,
    )
    store.put_summary(summary)
    detail = {"step": 0, "weight": 10, "verdict": "pass", "requests": 500}
    for kind in ("shifted", "judged"):
        store.append(DEPLOYMENT, HistoryEvent(at=_NOW, kind=kind, actor="test", detail=detail))


def _rollout(rollouts: Rollouts, service: str, phase: Phase) -> None:
    text, rollout_id = regions_file(3), f"{service}-1"
    document = read_regions(text)
    plan, _ = plan_rollout(document, now=_NOW)
    record = record_of(
        plan,
        document,
        DeploymentRequest(service=service, version="1.4.2", requested_by="ada"),
        rollout_id=rollout_id,
        home="eu-west-1",
        now=_NOW,
    )
    rollouts.put_plan(rollout_id, KeptPlan(document=as_json(text, "test"), plan=plan))
    assert rollouts.begin(record.model_copy(update={"phase": phase}), None)
    event = HistoryEvent(at=_NOW, kind=f"rollout {phase}", actor="test", detail={"because": "x"})
    rollouts.append(rollout_id, event)


def _runs(runs: Runs, leases: Leases) -> None:
    for run, standing in zip(RUNS, ("succeeded", "running"), strict=True):
        line = {"run": run, "database": "orders", "service": "shop", "phase": "expand"}
        rest: dict[str, Any] = {"plan_sha": SHA, "standing": standing}
        rest |= {"started_at": _NOW, "updated_at": _NOW}
        runs.begin(RunRecord.model_validate(line | rest))
        runs.append(run, HistoryEvent(at=_NOW, kind="taken", actor="test"))
    published: dict[str, Any] = {
        "database": "orders",
        "phase": "expand",
        "migration": "0001_expand",
        "epoch": 1,
    }
    stands: dict[str, Any] = {"plan_sha": SHA, "run": RUNS[0], "at": _NOW}
    runs.keep_published(Published.model_validate(published | stands))
    _held(leases, "orders", RUNS[1])


def _restores(restores: Restores, leases: Leases) -> None:
    for restore, standing in zip(RESTORES, ("salvage", "running"), strict=True):
        line = {"restore": restore, "database": "people", "service": "shop", "reason": "lost"}
        rest = {"standing": standing, "execution": "", "requested_by": "ada"}
        times = {"started_at": _NOW, "updated_at": _NOW}
        restores.begin(RestoreRecord.model_validate(line | rest | times))
        restores.append(restore, HistoryEvent(at=_NOW, kind="taken", actor="test"))
    _held(leases, "people", RESTORES[1])


def _held(leases: Leases, database: str, run: str) -> None:
    leases.take(
        database,
        execution="arn:aws:states:eu-west-1:123456789012:execution:greenlane-migration:none",
        run=run,
        phase="expand",
        now=_NOW,
        lives=lambda _: False,
    )
