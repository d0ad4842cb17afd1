"""What `greenlane get` says of a release while its database is expanded, which may take hours."""

from collections.abc import Iterator
from typing import Any

import pytest

from greenlane.cli.views import change_key, change_line, status_view
from greenlane.deployments.looking.read_status import read_status
from greenlane.deployments.looking.status import Fleet, Status
from greenlane.deployments.shipped_with import EXPANDS
from greenlane.deployments.storing.journal import note
from greenlane.migrations.shipping import expanding
from tests.builders import SERVICE
from tests.release_town import ReleaseTown


@pytest.fixture
def town() -> Iterator[ReleaseTown]:
    with ReleaseTown().works() as made:
        yield made


def seen(town: ReleaseTown) -> Status:
    account = town.account
    fleet = Fleet(account.balancer, account.fleet, lambda _: None)
    return read_status(town.store, fleet, SERVICE, town.kernel.now())


def test_a_release_says_that_its_database_is_expanded_first_and_where_to_look(
    town: ReleaseTown,
) -> None:
    execution = town.deploy()
    town.until(lambda: len(town.databases["expand"].done) == 2)
    expands = seen(town)
    town.until(lambda: town.phase() is not None and town.phase().value == "shifting")
    shifts = seen(town)
    town.until(lambda: execution.status == "SUCCEEDED")

    assert expands.expanding == "d-1-expand"
    said = "the database is expanded first: greenlane migrations get d-1-expand"
    assert said in status_view(expands).plain
    assert "expanded by d-1-expand" in change_line(expands)
    assert shifts.expanding is None
    assert "expanded" not in status_view(shifts).plain
    assert change_key(expands) != change_key(expands.model_copy(update={"expanding": None}))


def test_it_says_so_too_where_the_line_that_the_run_began_was_never_written(
    town: ReleaseTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies_before(runtime: Any, deployment_id: str, kind: str, **detail: Any) -> None:
        if kind != EXPANDS:
            note(runtime, deployment_id, kind, **detail)
            return
        raise RuntimeError("killed")

    monkeypatch.setattr(expanding, "note", dies_before)
    town.deploy()
    town.until(lambda: len(town.databases["expand"].done) == 2)

    assert EXPANDS not in town.kinds()
    assert seen(town).expanding == "d-1-expand"
