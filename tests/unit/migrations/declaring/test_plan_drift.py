"""A plan and a ledger that do not fit are told apart, each in its way."""

import pytest

from greenlane.migrations.declaring.drift import AppliedMigration, drift
from greenlane.migrations.declaring.plan import Plan
from tests.unit.migrations.declaring.plans import plan_of

FILES = (
    ("0001_a.sql", "expand", "ALTER TABLE t ADD COLUMN a integer;"),
    ("0002_b.sql", "migrate", "UPDATE t SET a = 1 WHERE a IS NULL;"),
    ("0003_c.sql", "contract", "ALTER TABLE t DROP COLUMN b;"),
    ("0004_d.sql", "expand", "ALTER TABLE t ADD COLUMN d integer;"),
    ("0005_e.sql", "migrate", "UPDATE t SET d = 1 WHERE d IS NULL;"),
)
PLAN = plan_of(*FILES)


def applied(*ids: str, plan: Plan = PLAN) -> list[AppliedMigration]:
    return [
        AppliedMigration(id=one, sha256=script.sha256, fingerprint=script.fingerprint)
        for one in ids
        for script in [plan.migration(one).script]
    ]


def kinds(plan: Plan, rows: list[AppliedMigration]) -> list[tuple[str, str]]:
    return [(one.kind, one.migration) for one in drift(plan, rows)]


@pytest.mark.parametrize(
    "ids",
    [
        (),
        ("0001_a",),
        ("0001_a", "0002_b"),
        ("0001_a", "0002_b", "0004_d"),  # its contract is still to come
        ("0001_a", "0002_b", "0004_d", "0003_c", "0005_e"),
        ("0001_a", "0002_b", "0003_c", "0004_d", "0005_e"),
    ],
)
def test_a_plan_that_is_carried_on_has_not_drifted(ids: tuple[str, ...]) -> None:
    assert drift(PLAN, applied(*ids)) == ()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("ALTER TABLE t  ADD COLUMN a integer; -- new", "layout, comments or constants only"),
        ("ALTER TABLE t ADD COLUMN a bigint;", "in what it does"),
    ],
)
def test_an_edit_of_what_ran_is_found(text: str, what: str) -> None:
    edited = plan_of((FILES[0][0], "expand", text), *FILES[1:])

    (found,) = drift(edited, applied("0001_a", "0002_b"))

    assert (found.kind, found.migration) == ("edited", "0001_a")
    assert what in found.message


def test_an_edit_of_what_has_not_run_is_none() -> None:
    edited = plan_of(*FILES[:4], ("0005_e.sql", "migrate", "UPDATE t SET d = 2 WHERE d IS NULL;"))

    assert drift(edited, applied("0001_a", "0002_b", "0004_d")) == ()


def test_a_file_that_ran_and_is_gone_is_missed() -> None:
    assert kinds(plan_of(*FILES[1:]), applied("0001_a", "0002_b")) == [("missing", "0001_a")]


def test_a_file_that_ran_under_another_name_is_recognised() -> None:
    renamed = plan_of(("0001_z.sql", "expand", FILES[0][2]), *FILES[1:])

    (found, late) = drift(renamed, applied("0001_a", "0002_b"))

    assert (found.kind, found.migration) == ("renamed", "0001_a")
    assert "is called 0001_z now" in found.message
    assert (late.kind, late.migration) == ("late", "0001_z")


def test_a_file_put_before_what_ran_comes_too_late() -> None:
    assert kinds(PLAN, applied("0002_b")) == [("late", "0001_a")]
    assert kinds(PLAN, applied("0001_a", "0004_d")) == []
    assert kinds(PLAN, applied("0001_a", "0005_e", "0004_d")) == [("late", "0002_b")]


def test_files_of_one_phase_that_ran_in_another_order_are_found() -> None:
    assert kinds(PLAN, applied("0004_d", "0001_a", "0002_b")) == [("reordered", "0001_a")]
