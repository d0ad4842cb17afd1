"""The sections on rollouts and migrations over HTTP: what they show is sent, and is answered so."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from typer.main import get_command

from greenlane.cli.main import app
from greenlane.deployments.connection import Connection
from greenlane.http.routes import Route
from greenlane.migrations.http.migration_routes import ROUTES as MIGRATIONS
from greenlane.migrations.http.migrations_api import MigrationsApi
from greenlane.pipelines.book import Book
from greenlane.regions.http.rollout_routes import ROUTES as ROLLOUTS
from greenlane.regions.http.rollouts_api import RolloutsApi
from tests.api_asking import Answer, Asking
from tests.builders import SERVICE
from tests.docs.pages import ROOT, code, section, table
from tests.migration_town import MigrationTown
from tests.postgres_town import TownConnection as MigrationsOf
from tests.region_town import RegionTown, regions_file
from tests.town_connection import TownConnection as RegionsOf
from tests.town_region import TABLE

REGIONS_PAGE = ROOT / "docs" / "regions-running.md"
MIGRATIONS_PAGE = ROOT / "docs" / "migrations-operating.md"
SECTION = "Over HTTP"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SIGNED = (
    "--aws-sigv4 aws:amz:eu-west-1:execute-api",
    '--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"',
    '${AWS_SESSION_TOKEN:+-H "x-amz-security-token: $AWS_SESSION_TOKEN"}',
)


def shown(page: Path, language: str) -> list[str]:
    return [text for found, text in FENCE.findall(section(page, SECTION)) if found == language]


def sent(door: Asking, command: str, routes: tuple[Route, ...]) -> Answer:
    """Send what a command of curl would, to the handler that API Gateway would choose."""
    for part in SIGNED:
        assert part in command
        command = command.replace(part, "")
    words = shlex.split(command.replace("\\\n", " "))
    assert words[:3] == ["curl", "-sS", "-X"]
    method, url, *rest = words[3:]
    pairs = list(zip(rest[::2], rest[1::2], strict=True))
    given = (text.partition(": ") for option, text in pairs if option == "-H")
    headers = {name: value for name, _, value in given}
    (body,) = [text for option, text in pairs if option == "-d"]
    assert headers.pop("content-type") == "application/json"
    path = url.removeprefix("$GREENLANE_URL")
    for route in routes:
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path), path)
        if found and route.method == method:
            content = json.loads(body)
            return door(
                method, route.path, content, headers=headers, **cast(Any, found.groupdict())
            )
    raise AssertionError(f"there is no route {method} {path}")


@pytest.fixture
def rollouts() -> Iterator[Asking]:
    town = RegionTown(regions_file(3))
    connection = cast(Connection, RegionsOf(town))
    yield Asking(RolloutsApi(connection, Book(connection.client("dynamodb"), TABLE)))
    town.kernel.close()


def test_rollouts_are_begun_and_held_as_shown(rollouts: Asking) -> None:
    begin, hold = shown(REGIONS_PAGE, "bash")
    (answer,) = shown(REGIONS_PAGE, "json")

    begun = sent(rollouts, begin, ROLLOUTS)
    held = sent(rollouts, hold, ROLLOUTS)
    view = rollouts("GET", "/v1/rollouts/{service}", service=SERVICE).json

    assert (begun.status, begun.json["rollout_id"]) == (201, "claude-manager-build-1842")
    assert (held.status, held.json) == (200, json.loads(answer))
    assert view["wish"]["name"] == "hold"


def test_a_phase_is_started_and_paused_as_shown() -> None:
    start, pause = shown(MIGRATIONS_PAGE, "bash")
    answers = [json.loads(one) for one in shown(MIGRATIONS_PAGE, "json")]
    town = MigrationTown("migrate")
    town.database.locked = 1000
    door = Asking(MigrationsApi(MigrationsOf(town), Book(town.table, TABLE)))
    try:
        started = sent(door, start, MIGRATIONS)
        town.run(0.1)
        paused = sent(door, pause, MIGRATIONS)
    finally:
        town.kernel.close()

    assert (started.status, paused.status) == (201, 200)
    assert [started.json, paused.json] == answers


@pytest.mark.parametrize(
    ("page", "routes"), [(REGIONS_PAGE, ROLLOUTS), (MIGRATIONS_PAGE, MIGRATIONS)], ids=str
)
def test_every_route_is_listed_with_its_command(page: Path, routes: tuple[Route, ...]) -> None:
    rows = table(page, SECTION)
    commands: Any = get_command(app)

    assert [code(row[0]) for row in rows] == [f"{one.method} {one.path}" for one in routes]
    for row in rows:
        if not row[2]:
            continue
        found = commands
        for word in code(row[2]).split()[1:]:
            found = found.commands[word]
        assert found.callback is not None
    for row, route in zip(rows, routes, strict=True):
        asked = set(re.findall(r"`\?(\w+)=`", row[1]))
        known = set() if route.parameters is None else set(route.parameters.model_fields)
        assert asked == known - {"limit"}, route.path
