"""`greenlane deploy --migrations FOLDER`: the plan is kept, and the request names it."""

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from greenlane.cli.exits import ExitCode
from greenlane.migrations.declaring.loading import load_plan
from greenlane.migrations.declaring.plan import read_plan
from tests.fakes import REGION, error
from tests.migrated import ACCOUNT, Objects
from tests.unit.cli.fake_cloud import FakeClient

Run = Callable[..., Any]
MANIFEST = """
database_migrations:
  database: orders
  owner: team-orders
  files:
"""
SQL = {
    "expand": "ALTER TABLE users ADD COLUMN full_name text;",
    "migrate": "UPDATE users SET full_name = name;",
    "contract": "ALTER TABLE users DROP COLUMN name;",
}


@pytest.fixture
def objects() -> Objects:
    return Objects()


@pytest.fixture
def client(objects: Objects) -> Any:
    found: Any = FakeClient()
    found.connection = SimpleNamespace(
        account=ACCOUNT, region=REGION, client=lambda name: {"s3": objects}[name]
    )
    return found


def folder_of(place: Path, *phases: str) -> Path:
    lines = MANIFEST
    for number, phase in enumerate(phases, start=1):
        name = f"{number:04}_{phase}_name.sql"
        (place / name).write_text(SQL[phase])
        lines += f"    - {{file: {name}, phase: {phase}"
        lines += ", min_app: 2.4.0}\n" if phase == "contract" else "}\n"
    (place / "migrations.yaml").write_text(lines)
    return place


def deploy(run: Run, folder: Path) -> Any:
    return run("deploy", "claude-manager", "--version", "2.4.0", "--migrations", str(folder))


def test_the_plan_is_kept_and_the_request_names_it_and_the_phases_of_a_release(
    run: Run, client: Any, objects: Objects, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, "expand", "migrate", "contract")
    result = deploy(run, folder)
    assert result.exit_code == ExitCode.OK, result.stderr
    ((_, given),) = client.calls
    asked = given["request"].migrations
    assert (asked.database, asked.phases) == ("orders", ("expand", "migrate"))
    plan = load_plan(folder)
    assert asked.plan == plan.sha256
    assert read_plan(objects.objects[f"plans/{plan.sha256}.json"], plan.sha256) == plan
    assert "it brings along: expand and migrate of orders" in result.stdout
    assert re.search(r"^expand: greenlane migrations get \S+-expand$", result.stdout, re.MULTILINE)


def test_a_folder_without_a_phase_names_the_others_only(
    run: Run, client: Any, tmp_path: Path
) -> None:
    deploy(run, folder_of(tmp_path, "expand"))
    ((_, given),) = client.calls
    assert given["request"].migrations.phases == ("expand",)


def test_a_contract_goes_with_no_release(run: Run, client: Any, tmp_path: Path) -> None:
    result = deploy(run, folder_of(tmp_path, "contract"))
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "greenlane migrations run --phase contract" in result.stderr
    assert client.calls == []


def test_a_wrong_folder_deploys_nothing(run: Run, client: Any, tmp_path: Path) -> None:
    result = deploy(run, tmp_path)
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "there is no migrations.yaml in it" in result.stderr
    assert client.calls == []


def test_where_no_database_is_set_up_nothing_is_deployed(
    run: Run, client: Any, objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put_object(**_: Any) -> None:
        raise error("NoSuchBucket")

    monkeypatch.setattr(objects, "put_object", put_object)
    result = deploy(run, folder_of(tmp_path, "expand"))
    assert result.exit_code == ExitCode.REFUSED
    assert "nothing for migrations is deployed" in result.stderr
    assert client.calls == []


def test_without_the_option_a_request_has_none(run: Run, client: Any) -> None:
    run("deploy", "claude-manager", "--version", "2.4.0")
    ((_, given),) = client.calls
    assert given["request"].migrations is None
