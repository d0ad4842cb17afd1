"""Every labelled statement, as labelled, as judged and as PostgreSQL runs it."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from benchmarks.labelled_statements import (
    FILES,
    Case,
    Labelled,
    Measure,
    assessed,
    blocking,
    expected,
    load,
    needs_no_transaction,
    setups,
    told,
)
from benchmarks.live_catalog import live_catalog
from greenlane.local.postgres import LocalPostgres
from greenlane.migrations.catalog.model import Catalog
from greenlane.migrations.sql.parsing import parse_script
from greenlane.migrations.validating.judging.altering import SUBCOMMANDS
from greenlane.migrations.validating.model import PHASES, LockMode
from greenlane.migrations.validating.rules import RULES
from tests.effort import part

LABELLED: list[Labelled] = [load(file) for file in FILES]
CASES = [case for one in LABELLED for case in one.cases]
RUN = [case for case in CASES if not case.unmeasured]
NOT_RUN = {
    # There is but one access method and no second tablespace, no foreign table, no partition that
    # is half detached, and PostgreSQL 15 has no SET EXPRESSION.
    *("AT_SetAccessMethod", "AT_SetTableSpace", "AT_GenericOptions"),
    *("AT_AlterColumnGenericOptions", "AT_DetachPartitionFinalize", "AT_SetExpression"),
}


@pytest.fixture(scope="module")
def databases(postgres_server: LocalPostgres) -> Iterator[dict[str, str]]:
    """By setup, a database that has it."""
    made = {}
    for name, sql in setups().items():
        made[name] = f"labelled_{name}"
        postgres_server.create_database(made[name])
        with psycopg.connect(postgres_server.dsn(made[name])) as connection:
            connection.execute(sql.encode())
    yield made
    for name in made.values():
        postgres_server.drop_database(name)


@pytest.fixture(scope="module")
def catalogs(postgres_server: LocalPostgres, databases: dict[str, str]) -> dict[str, Catalog]:
    found = {}
    for setup, name in databases.items():
        with psycopg.connect(postgres_server.dsn(name)) as connection:
            found[setup] = live_catalog(connection)
    return found


@pytest.fixture
def measure(
    postgres_server: LocalPostgres, databases: dict[str, str], request: pytest.FixtureRequest
) -> Iterator[Measure]:
    """In the setup's own database, or in a copy for what no transaction takes back."""
    case = request.getfixturevalue("case")
    name = databases[case.setup]
    if not needs_no_transaction(case):
        yield Measure(postgres_server.dsn(name))
        return
    postgres_server.create_database("labelled_copy", name)
    yield Measure(postgres_server.dsn("labelled_copy"))
    postgres_server.drop_database("labelled_copy")


def strong(case: Case, catalog: Catalog):
    """What is told of it, with those scans only that others may wait for."""
    answer = told(assessed(case, catalog))
    held = {one for one, mode in answer.locks.items() if mode >= LockMode.SHARE_UPDATE_EXCLUSIVE}
    return answer._replace(scans=answer.scans & held)


@pytest.mark.parametrize("case", part(RUN, 2), ids=lambda one: one.id)
def test_postgresql_does_what_the_label_and_the_rules_say(
    case: Case, measure: Measure, catalogs: dict[str, Catalog]
) -> None:
    if catalogs[case.setup].version >= case.until:
        return  # it is no longer what the label says
    if case.refused:
        with pytest.raises(psycopg.Error, match=case.refused):
            measure.effect(case)
        return
    done = measure.effect(case)
    if needs_no_transaction(case):
        done = done._replace(scans=expected(case).scans)  # nobody counts them there

    assert done == expected(case)
    assert strong(case, catalogs[case.setup]) == done


@pytest.mark.parametrize("case", CASES, ids=[one.id for one in CASES])
def test_a_labelled_statement_is_judged_as_labelled(
    case: Case, catalogs: dict[str, Catalog]
) -> None:
    # As on the server that the labels were written for, whichever is here.
    ours = assessed(case, catalogs[case.setup].model_copy(update={"version": 150018}))
    blocks = blocking(ours)
    rules = {one.rule for one in blocks} | {f.rule for one in ours for f in one.findings}

    assert bool(blocks) == case.unsafe, [one.rule for one in blocks]
    assert case.rule is None or case.rule in rules
    assert max((one.phase for one in ours), key=PHASES.index) == case.phase


@pytest.mark.parametrize("case", CASES, ids=[one.id for one in CASES])
def test_without_a_catalog_an_answer_is_right_or_the_catalog_is_missed(case: Case) -> None:
    ours = assessed(case, None)

    if bool(blocking(ours)) != case.unsafe:
        assert case.needs_catalog
        # What the server refuses anyway does no harm.
        assert case.refused or not all(one.certain for one in ours)


def test_the_set_is_large_and_balanced_and_its_names_are_unique() -> None:
    names = [one.id for one in CASES]

    assert len(names) == len(set(names)) >= 300
    assert 0.4 < sum(one.unsafe for one in CASES) / len(CASES) < 0.6
    assert sum(len(one.cases) for one in LABELLED[1:]) >= len(CASES) * 0.3


def test_every_subcommand_of_alter_table_has_a_case_that_holds_its_lock() -> None:
    seen = {
        command["alter_table_cmd"]["subtype"]
        for case in RUN
        for one in parse_script(case.sql).statements
        if one.kind == "alter_table_stmt"
        for command in one.node["cmds"]
    }

    assert set(SUBCOMMANDS) - seen == NOT_RUN


def test_labels_name_rules_that_there_are() -> None:
    assert {one.rule for one in CASES if one.rule} <= set(RULES)


def test_the_page_of_figures_is_about_this_set() -> None:
    page = Path("docs/migrations-rules-benchmark.md").read_text()

    assert page.count("\n## ") == 7
    assert f"{len(CASES)} labelled scripts" in page
    assert "With a catalog: none." in page
