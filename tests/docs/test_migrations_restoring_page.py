"""The page on going back to a backup: its commands are run, and print what it says."""

import re
import shlex
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from greenlane.cli.main import app
from greenlane.cli.session import Session
from greenlane.durations import format_seconds
from greenlane.migrations.guarding.lease import LEASE
from greenlane.migrations.restoring.copying import AURORA, not_copied
from greenlane.migrations.restoring.estimating import LAST_MEASURED
from greenlane.migrations.restoring.model import RestoreRequest
from tests.docs.pages import ROOT, code, section, table
from tests.docs.test_migrations_operating_page import Recorded
from tests.postgres_town import TownConnection
from tests.restore_town import RESTORE, RestoreTown

PAGE = ROOT / "docs" / "migrations-restoring.md"
WALK = ("Copying tables back", "Using it in the old one's place")
LINES = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def town() -> Iterator[RestoreTown]:
    made = RestoreTown("instance")
    made.says = {}
    yield made
    made.close()


@pytest.fixture
def calls() -> set[str]:
    return set()


@pytest.fixture
def command(
    town: RestoreTown, calls: set[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], str]:
    """Runs the command line of a block, then lets time pass until people are waited for."""
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.delenv("GREENLANE_LOCAL", raising=False)
    connection = TownConnection(town)
    kept = connection._clients["stepfunctions"]
    states = SimpleNamespace(
        meta=kept.meta,
        start_execution=kept.start_execution,
        describe_execution=kept.describe_execution,
        send_task_success=town.send_task_success,
    )
    connection._clients |= {
        "dynamodb": Recorded("dynamodb", town.table, calls),
        "stepfunctions": Recorded("states", states, calls),
    }

    def run(text: str) -> str:
        program, *arguments = shlex.split(text.replace("\\\n", " "))
        assert program == "greenlane"
        session = Session()
        session.__dict__["client"] = SimpleNamespace(connection=connection)
        asked = town.restores.asked(RESTORE, "approve")
        given = [asked.offer if asked and one == "0" * 12 else one for one in arguments]
        result = CliRunner().invoke(app, given, obj=session)
        assert result.exit_code == 0, result.output
        told = len(town.topic.published)
        waits = ("restore_approval", "restore_writers")
        town.run(2, done=lambda: town.quiet() or any(one in waits for one in town.kinds()[told:]))
        return str(result.output)

    return run


def said_and_done() -> list[tuple[str, str | None]]:
    """The commands of the walk, each block with the text that stands below it, if one does."""
    found: list[tuple[str, str | None]] = []
    for heading in WALK:
        # A comment of the shell looks like a heading, so this is not `section`.
        (part,) = (it for it in PAGE.read_text().split("\n## ") if it.startswith(heading))
        for language, text in LINES.findall(part):
            if language == "bash":
                found.append((text, None))
            else:
                found[-1] = (found[-1][0], text)
    return found


def plain(printed: str, offer: str) -> str:
    """Without what is otherwise each time."""
    lines = [one.rstrip() for one in printed.replace(offer, "0" * 12).strip().splitlines()]
    return "\n".join(lines)


def test_the_commands_print_what_stands_below_them(
    town: RestoreTown, command: Callable[[str], str]
) -> None:
    compared = 0
    for commands, expected in said_and_done():
        printed = command(commands)
        asked = town.restores.asked(RESTORE, "approve")
        if expected is not None:
            offer = asked.offer if asked else "no offer yet"
            assert plain(printed, offer) == expected.strip(), commands
            compared += 1

    assert compared == 3
    assert town.kinds()[-1] == "restore_cut_over"
    assert town.endpoint()["host"] == town.rds.host("instance", town.new)


def test_the_permissions_are_those_that_the_commands_use(
    town: RestoreTown, command: Callable[[str], str], calls: set[str]
) -> None:
    for commands, _ in said_and_done():
        command(commands)
    again = "greenlane migrations restore start rename-contract --id fix-1 --reason x --cutover"
    command(again)
    command(f"greenlane migrations restore abort {RESTORE}")
    command("greenlane migrations restore list")
    # One that ended before it wrote anything.
    first = next(iter(town.executions.values()))
    town.executions[f"{first.arn}-4"] = first
    command(again)
    listed = {
        name
        for row in table(PAGE, "What you need to be allowed")
        for name in map(code, row[0].split(", "))
    }

    assert calls == listed


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    text = PAGE.read_text()
    fields = RestoreRequest.model_fields

    decision = format_seconds(fields["approval_seconds"].default).removesuffix("h")
    stopping = format_seconds(fields["writers_seconds"].default).removesuffix("h")
    assert f"{decision} hours for the decision, {stopping} hour for stopping writers" in text
    assert f"the longest of the last {LAST_MEASURED} restores" in text
    assert f"{LEASE.total_seconds() / 60:.0f} minutes at most" in text


def test_all_that_a_new_database_does_not_take_over_is_named() -> None:
    everything = {
        "Engine": AURORA,
        "AssociatedRoles": [1],
        "MonitoringInterval": 60,
        "PerformanceInsightsEnabled": True,
        "ReadReplicaIdentifiers": ["r"],
        "CustomEndpoints": ["e"],
        "GlobalClusterIdentifier": "g",
        "ActivityStreamStatus": "started",
        "HttpEndpointEnabled": True,
        "MasterUserSecret": {"SecretArn": "arn"},
        "DomainMemberships": [1],
        "DBInstanceAutomatedBackupsReplications": [1],
    }
    said = section(PAGE, "What the new database takes over")
    listed = said.partition("is named: ")[2].partition(".")[0]

    assert len(not_copied(everything)) == len(listed.split(", "))
