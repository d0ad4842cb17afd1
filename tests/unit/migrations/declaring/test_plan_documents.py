"""Plans are documents: the same wherever they are made, and checked when they are read."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.errors import InvalidInput
from greenlane.migrations.catalog.model import Catalog
from greenlane.migrations.declaring.judging import assess_plan, stopping
from greenlane.migrations.declaring.loading import load_plan
from greenlane.migrations.declaring.plan import Plan, read_plan
from greenlane.migrations.validating.assessing import assess
from tests.unit.migrations.declaring.plans import plan_of


@given(st.lists(st.sampled_from(["SELECT 1", "SELECT 'é'", "SELECT 2 -- x"]), min_size=1))
def test_a_plan_comes_back_from_its_document(statements: list[str]) -> None:
    plan = plan_of(
        *((f"{at:04}_a.sql", "expand", sql) for at, sql in enumerate(statements, start=1))
    )

    assert read_plan(plan.model_dump_json(), plan.sha256) == plan


def test_a_document_that_is_another_plan_is_refused() -> None:
    plan = plan_of(("0001_a.sql", "expand", "SELECT 1"))
    other = plan_of(("0001_a.sql", "expand", "SELECT 2"))

    with pytest.raises(InvalidInput, match=other.sha256):
        read_plan(other.model_dump_json(), plan.sha256)


def test_line_ends_and_marks_change_no_checksum(tmp_path: Path) -> None:
    sums = set()
    for at, text in enumerate(["SELECT 1;\nSELECT 2;\n", "\ufeffSELECT 1;\r\nSELECT 2;\r\n"]):
        folder = tmp_path / str(at)
        folder.mkdir()
        (folder / "0001_a.sql").write_bytes(text.encode())
        (folder / "migrations.yaml").write_text(
            "database_migrations:\n  database: orders\n  owner: me\n"
            "  files: [{file: 0001_a.sql, phase: expand}]\n"
        )
        sums.add(load_plan(folder).sha256)

    assert len(sums) == 1


def test_a_default_that_is_written_out_changes_no_checksum() -> None:
    one = plan_of(("0001_a.sql", "expand", "SELECT 1"))
    other = one.model_copy(update={"manifest": one.manifest.model_copy(update={"notify": "all"})})

    assert one.sha256 == other.sha256


FILES = (
    ("0001_a.sql", "expand", "CREATE TABLE t (id integer PRIMARY KEY);"),
    ("0002_b.sql", "expand", "CREATE INDEX t_idx ON t (id);"),
    ("0003_c.sql", "migrate", "CREATE INDEX t_idx2 ON t (id);"),
)


def test_what_runs_right_after_a_table_was_made_finds_it_new_and_a_later_phase_does_not() -> None:
    plan = plan_of(*FILES)

    found = assess_plan(plan, Catalog(version=150000))

    rules = {name: [one.rule for one in each[0].findings] for name, each in found.items()}
    assert rules == {"0001_a": [], "0002_b": [], "0003_c": ["index-not-concurrent"]}
    assert [one.rule for one in stopping(plan.migrations[2], found["0003_c"])] == [
        "index-not-concurrent"
    ]


def test_a_plan_is_judged_as_its_files_are_one_by_one() -> None:
    plan = plan_of(*FILES)
    one, two, three = plan.scripts

    found = assess_plan(plan, None)

    assert found["0002_b"] == assess(two, None, before=[one])
    assert found["0003_c"] == assess(three, None, earlier=[one, two])


def test_what_has_run_is_left_out_of_the_judgement() -> None:
    assert set(assess_plan(plan_of(*FILES), None, applied={"0001_a"})) == {"0002_b", "0003_c"}


def test_an_accepted_finding_does_not_stop_a_file() -> None:
    plan = plan_of(*FILES)
    declared = plan.manifest.files[2].model_copy(update={"accept": ("index-not-concurrent",)})
    files = (*plan.manifest.files[:2], declared)
    accepted = plan.model_copy(
        update={"manifest": plan.manifest.model_copy(update={"files": files})}
    )

    found = assess_plan(accepted, None)

    assert stopping(Plan.model_validate(accepted.model_dump()).migrations[2], found["0003_c"]) == ()
