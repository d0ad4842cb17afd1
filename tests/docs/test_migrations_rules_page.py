import re

import pytest

from greenlane.migrations.catalog.model import Catalog
from greenlane.migrations.sql.parsing import Script, Statement, parse_script
from greenlane.migrations.validating import assess
from greenlane.migrations.validating.model import PHASES
from greenlane.migrations.validating.rules import RULES
from greenlane.migrations.validating.rules.locks import LOCKS
from greenlane.migrations.validating.rules.versions import VERSIONS
from greenlane.migrations.validating.rules.writing import WRITING
from greenlane.migrations.validating.verdict import SMALL_BYTES, SMALL_ROWS
from tests.docs.pages import ROOT, blocks, section, table

PAGE = ROOT / "docs" / "migrations-rules.md"
SERVER = Catalog(version=150018)
SEVERITY = {"block": "stops", "warn": "warns", "info": "tells"}
GROUPS = {"Locks and time": LOCKS, "Versions in use": VERSIONS, "How a file is written": WRITING}
MORE_THAN_ONE_STATEMENT = {
    "column-must-be-given",
    "enum-label-in-same-transaction",
    "phase-too-early",
    "type-change-dependents",
    "validate-in-same-transaction",
}

SCHEMA, NAIVE, SAFE, USED, WRITTEN = (
    parse_script(block.text) for block in blocks("sql") if block.page == PAGE
)


def examples() -> list[tuple[str, Statement]]:
    """Rule and statement of each example that ends in a comment."""
    found = []
    for script in (NAIVE, USED, WRITTEN):
        lines = script.text.splitlines()
        for one in script.statements:
            rule = re.search(r"-- (\S+)$", lines[one.line - 1])
            assert rule is not None, one.text
            found.append((rule[1], one))
    return found


EXAMPLES = examples()


def judged(sql: str):
    return assess(parse_script(sql), SERVER, earlier=[SCHEMA])


@pytest.mark.parametrize("heading", GROUPS)
def test_the_page_has_the_rules_of_the_code_and_says_the_same(heading: str) -> None:
    rows = table(PAGE, heading)

    assert [(row[0], row[1], row[3], row[4]) for row in rows] == [
        (f"`{one.name}` ({SEVERITY[one.severity]})", one.what, one.why, one.safe_form)
        for one in GROUPS[heading]
    ]


def test_every_rule_is_in_a_group() -> None:
    assert {one.name for group in GROUPS.values() for one in group} == set(RULES)


@pytest.mark.parametrize(("rule", "statement"), EXAMPLES, ids=[rule for rule, _ in EXAMPLES])
def test_an_example_breaks_the_rule_beside_it(rule: str, statement: Statement) -> None:
    (found,) = judged(statement.text)

    assert rule in {one.rule for one in found.findings}


@pytest.mark.parametrize(("rule", "statement"), EXAMPLES, ids=[rule for rule, _ in EXAMPLES])
def test_the_lock_on_the_page_is_the_one_that_is_told(rule: str, statement: Statement) -> None:
    (row,) = [row for group in GROUPS for row in table(PAGE, group) if f"`{rule}`" in row[0]]
    (found,) = judged(statement.text)
    finding = next(one for one in found.findings if one.rule == rule)

    if row[2] and finding.lock is not None and not row[2].startswith(("the", "that")):
        assert str(finding.lock) in row[2]


def test_every_rule_that_one_statement_can_break_has_an_example() -> None:
    assert set(RULES) - {rule for rule, _ in EXAMPLES} == MORE_THAN_ONE_STATEMENT


def test_the_safe_forms_are_stopped_by_no_rule() -> None:
    found = assess(SAFE, SERVER, earlier=[SCHEMA])

    stopped = [one.rule for each in found for one in each.findings if one.severity == "block"]
    assert stopped == []
    assert len(found) > 15


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        (
            "ALTER TABLE orders ADD COLUMN n integer; ALTER TABLE orders ALTER n SET NOT NULL",
            "column-must-be-given",
        ),
        (
            "BEGIN; ALTER TYPE mood ADD VALUE 'x'; SELECT 'x'::mood; COMMIT",
            "enum-label-in-same-transaction",
        ),
        (
            "BEGIN; ALTER TABLE orders ADD CONSTRAINT c CHECK (id > 0) NOT VALID; "
            "ALTER TABLE orders VALIDATE CONSTRAINT c; COMMIT",
            "validate-in-same-transaction",
        ),
    ],
)
def test_rules_that_need_more_than_one_statement_find_them(sql: str, rule: str) -> None:
    assert rule in {one.rule for each in judged(sql) for one in each.findings}


def test_the_phases_and_the_limits_are_those_of_the_code() -> None:
    text = PAGE.read_text()

    assert tuple(row[0] for row in table(PAGE, "Phases")) == PHASES
    assert f"Up to {SMALL_ROWS:,} rows and {SMALL_BYTES // 1024**2} MB" in text


def test_the_schema_of_the_examples_is_itself_accepted() -> None:
    found = assess(Script("schema", SCHEMA.text, SCHEMA.statements), SERVER)

    assert [one.rule for each in found for one in each.findings if one.severity != "info"] == []
    assert "sequences and indexes are left out" in section(PAGE, "What the rules look at")
