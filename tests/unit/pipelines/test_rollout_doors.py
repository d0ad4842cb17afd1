"""The same request by each door gives the same rollout, and the same run of a migration."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from greenlane.cli.main import app
from greenlane.cli.session import Session
from greenlane.deployments.model import DeploymentRequest
from greenlane.migrations.http.migrations_api import MigrationsApi
from greenlane.migrations.managing.asking import Asking as AskingMigrations
from greenlane.pipelines.book import Book
from greenlane.regions.coordinating.requesting import RegionalRollouts
from greenlane.regions.http.rollouts_api import RolloutsApi
from tests.api_asking import Asking
from tests.builders import SERVICE
from tests.faults.wiring import TABLE
from tests.migrated import SHA
from tests.migration_town import MigrationTown
from tests.pipeline_town import EXECUTION
from tests.postgres_town import TownConnection as MigrationsOf
from tests.region_town import RegionTown, regions_file
from tests.town_connection import TownConnection as RegionsOf
from tests.unit.pipelines.turns import Pipeline, asked

FILE = regions_file(3)
BY_ID, RUN_BY_ID = f"{SERVICE}-{EXECUTION}", f"orders-expand-{EXECUTION}"
KEY = {"Idempotency-Key": EXECUTION}
PHASE = {"database": "orders", "plan": SHA, "phase": "expand", "reason": "for 2.4"}


class Files:
    """An artifact with one file of Regions."""

    any = True

    def read(self, name: str, artifact: str | None) -> str:
        return FILE


def by_command_line(connection: Any, patch: pytest.MonkeyPatch, file: str) -> None:
    client = SimpleNamespace(connection=connection)
    patch.setattr(Session, "client", property(lambda _: client))
    done = CliRunner().invoke(
        app,
        [
            *("regions", "deploy", SERVICE, "--version", "1.4.2", "--file", file),
            *("--strategy", "canary", "--policy", "safe", "--id", BY_ID),
        ],
    )
    assert done.exit_code == 0, done.output


def by_python(connection: Any, patch: pytest.MonkeyPatch, file: str) -> None:
    request = DeploymentRequest(service=SERVICE, version="1.4.2", deployment_id=BY_ID)
    RegionalRollouts(connection).deploy(FILE, request, kind="canary", policy="safe")


def by_pipeline(connection: Any, patch: pytest.MonkeyPatch, file: str) -> None:
    wanted = {"service": SERVICE, "version": "1.4.2", "regions": "multi-region.yaml"}
    request = asked(Files(), **wanted, strategy="canary", policy="safe")
    Pipeline(SimpleNamespace(connection=connection), request).turn()


def by_http(connection: Any, patch: pytest.MonkeyPatch, file: str) -> None:
    door = Asking(RolloutsApi(connection, Book(connection.client("dynamodb"), TABLE)))
    body = {"service": SERVICE, "version": "1.4.2", "regions": json.loads(FILE)}
    found = door("POST", "/v1/rollouts", body | HOW, headers=KEY)
    assert found.status == 201, found.json


HOW = {"strategy": "canary", "policy": "safe"}
Door = Callable[[Any, pytest.MonkeyPatch, str], None]
DOORS: list[Door] = [by_command_line, by_python, by_pipeline, by_http]


def what_became(door: Door, patch: pytest.MonkeyPatch, file: str) -> dict[str, Any]:
    """Record, plan and history of the rollout, without who asked."""
    town = RegionTown(FILE)
    try:
        door(RegionsOf(town), patch, file)
        town.run()
        record, rollouts = town.home.record, town.home.rollouts
        request = record.request.model_copy(update={"requested_by": "somebody"})
        return {
            "record": record.model_copy(update={"request": request}).model_dump(),
            "plan": rollouts.plan(BY_ID).plan.model_dump(),
            # What is of one instant is in any order.
            "history": sorted(
                (one.at, one.kind, str(one.detail)) for one in rollouts.history(BY_ID)
            ),
            "started": town.started,
        }
    finally:
        town.kernel.close()


def test_the_same_request_by_each_door_gives_the_same_rollout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    file = tmp_path / "multi-region.yaml"
    file.write_text(FILE)
    found = {one.__name__: what_became(one, monkeypatch, str(file)) for one in DOORS}

    expected = found.pop("by_python")
    assert (expected["record"]["type"], expected["plan"]["policy"]) == ("canary", "safe")
    assert expected["record"]["phase"] == "succeeded"
    assert len(expected["started"]) == 3
    for door, became in found.items():
        for part, value in became.items():
            assert value == expected[part], (door, part)


def run_by_python(connection: Any) -> None:
    started = AskingMigrations(connection, by="jo").start_kept(
        "orders", SHA, "expand", run=RUN_BY_ID, reason="for 2.4"
    )
    assert started.run == RUN_BY_ID


def run_by_pipeline(connection: Any) -> None:
    Pipeline(SimpleNamespace(connection=connection), asked(migration=PHASE)).turn()


def run_by_http(connection: Any) -> None:
    door = Asking(MigrationsApi(connection, Book(connection.client("dynamodb"), TABLE)))
    found = door("POST", "/v1/migrations", PHASE, headers=KEY)
    assert found.status == 201, found.json


def test_the_same_phase_by_each_door_gives_the_same_run() -> None:
    found = {}
    for door in (run_by_python, run_by_pipeline, run_by_http):
        town = MigrationTown()
        try:
            door(MigrationsOf(town))
            town.run(8, done=town.quiet)
            (execution,) = town.executions.values()
            request = dict(execution.given["request"], requested_by="somebody")
            record = town.runs.run(RUN_BY_ID).model_copy(update={"requested_by": "somebody"})
            found[door.__name__] = (request, record)
        finally:
            town.kernel.close()

    expected = found.pop("run_by_python")
    assert expected[1].standing == "succeeded"
    assert found == dict.fromkeys(found, expected)
