import json
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import psycopg
import pytest

from benchmarks import migration_load, migrations
from benchmarks.migration_cases import (
    CASES,
    FILLING,
    Case,
    Filled,
    NotMigrated,
    blocker,
    filled,
    run_directly,
    run_plan,
    safe_plan,
)
from benchmarks.migration_figures import (
    NOTHING,
    Cell,
    Run,
    cell,
    chart,
    disturbed,
    middle,
    missed,
    page,
)
from benchmarks.migration_load import SETTINGS, Latencies, Measured, build_table
from benchmarks.migrations import Bench, Times
from benchmarks.other_programs import OtherPrograms
from greenlane.local.postgres import LocalPostgres
from tests.docs.pages import ROOT

ROWS = 12_000
"""More than a small table, which needs no safe form, has."""
COLUMNS = (
    "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute "
    "WHERE attrelid = 'orders'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname"
)
CONSTRAINTS = (
    "SELECT conname, contype::text, convalidated FROM pg_constraint "
    "WHERE conrelid = 'orders'::regclass ORDER BY conname"
)
INDEXES = (
    "SELECT relname, indisunique, indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid "
    "WHERE indrelid = 'orders'::regclass ORDER BY relname"
)


@pytest.fixture(scope="module")
def server() -> Iterator[LocalPostgres]:
    with LocalPostgres.start(SETTINGS, tmpfs_bytes=2**28) as server:
        build_table(server, "pattern", ROWS)
        yield server


@pytest.fixture
def no_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what does not look at the latencies that it measures."""
    monkeypatch.setattr(migration_load, "_WARM_UP_SECONDS", 0.1)
    monkeypatch.setattr(migration_load, "_AFTERWARDS_SECONDS", 0.1)


def schema(dsn: str) -> list[list[tuple[object, ...]]]:
    with psycopg.connect(dsn) as connection:
        return [
            connection.execute(query.encode()).fetchall()
            for query in (COLUMNS, CONSTRAINTS, INDEXES)
        ]


@pytest.mark.parametrize("case", CASES, ids=lambda one: one.name)
def test_both_ways_end_in_the_same_schema(server: LocalPostgres, case: Case) -> None:
    name = f"case_{CASES.index(case)}"
    directly = server.create_database(f"{name}_directly", "pattern")
    ours = server.create_database(f"{name}_ours", "pattern")
    before = schema(ours)

    run_directly(directly, case)
    run_plan(ours, safe_plan(ours, case))

    assert schema(directly) == schema(ours) != before


def test_the_plan_of_a_rewrite_spares_the_table_in_more_than_one_statement(
    server: LocalPostgres,
) -> None:
    plan = safe_plan(server.create_database("planned", "pattern"), FILLING)

    assert [one.phase for one in plan.migrations] == ["expand", "migrate"]
    assert [len(one.script.statements) for one in plan.migrations] == [2, 1]


def test_what_has_no_safe_form_is_not_measured(server: LocalPostgres) -> None:
    dsn = server.create_database("unsafe", "pattern")

    with pytest.raises(NotMigrated, match="every row is lost"):
        safe_plan(dsn, Case("TRUNCATE", "TRUNCATE orders"))


def test_a_plan_that_is_refused_ends_the_measurement_with_the_reason(server: LocalPostgres) -> None:
    dsn = server.create_database("failing", "pattern")
    case = Case("twice", "ALTER TABLE orders ADD COLUMN reviewed boolean")
    plan = safe_plan(dsn, case)
    run_directly(dsn, case)

    with pytest.raises(NotMigrated, match="expand: .*which public.orders has"):
        run_plan(dsn, plan)


def test_a_statement_that_fails_ends_the_measurement_with_the_reason(
    server: LocalPostgres,
) -> None:
    dsn = server.create_database("null", "pattern")
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE orders SET email = NULL WHERE id = 7")

    with pytest.raises(NotMigrated, match="expand: .*CheckViolation"):
        run_plan(dsn, safe_plan(dsn, CASES[1]))


def test_rows_that_were_filled_are_told_by_the_ledger(server: LocalPostgres) -> None:
    dsn = server.create_database("filled", "pattern")
    run_plan(dsn, safe_plan(dsn, FILLING))

    found = filled(dsn)

    assert found.rows == ROWS
    assert 0 < found.seconds < 60
    with psycopg.connect(dsn) as connection:
        counted = connection.execute("SELECT count(DISTINCT token) FROM orders").fetchone()
    assert counted == (ROWS,)


def test_a_change_behind_a_transaction_waits_for_it_and_writers_do_not(
    server: LocalPostgres,
) -> None:
    behind = next(one for one in CASES if one.blocked)
    bench = Bench(server, Times(blocked=2.5, calm=0.5, nothing=0.1), attempts=1)

    naive = bench.cell(behind, ROWS, "directly")
    ours = bench.cell(behind, ROWS, "Greenlane")

    assert min(naive.seconds, ours.seconds) >= 2.5
    assert naive.longest_ms > 2200
    assert ours.longest_ms < naive.longest_ms / 2
    assert (naive.failed, ours.failed) == (0, 0)


def test_the_transaction_in_the_way_holds_the_table_for_its_time(server: LocalPostgres) -> None:
    dsn = server.create_database("held", "pattern")
    began = time.monotonic()
    with (
        blocker(dsn, 0.4),
        psycopg.connect(dsn) as connection,
        pytest.raises(psycopg.errors.LockNotAvailable),
    ):
        connection.execute("LOCK TABLE orders NOWAIT")

    assert time.monotonic() - began >= 0.4


def test_a_cell_that_others_disturb_is_measured_again_and_the_quietest_counts(
    server: LocalPostgres, no_rests: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = iter((0.9, 0.5, 0.7, 0.1, 0.0))
    monkeypatch.setattr(OtherPrograms, "share", lambda self: next(shares))
    bench = Bench(server, Times(calm=0.2, nothing=0.1), attempts=3)

    assert bench.cell(None, ROWS, "nothing").others == 0.5
    assert bench.cell(None, ROWS, "nothing").others == 0.1


def proc(folder: Path, *, uptime: float, busy: int, server: int, backend: int) -> None:
    """As the kernel tells it, in ticks of a hundredth; two of each kind are not busy."""
    (folder / "uptime").write_text(f"{uptime} 9.9\n")
    (folder / "stat").write_text(f"cpu  {busy} 0 0 5000 700 0 0 0 0 0\ncpu0 1 2 3\n")
    for pid, parent, ticks in ((10, 1, server), (11, 10, backend), (12, 1, 9999)):
        (folder / str(pid)).mkdir(exist_ok=True)
        fields = f"S {parent} " + "0 " * 9 + f"{ticks} 0 0 0 20 0"
        (folder / str(pid) / "stat").write_text(f"{pid} (a (b) c) {fields}\n")


def test_what_the_server_does_is_not_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.times", lambda: type("T", (), dict.fromkeys(OWN, 1.0)))
    monkeypatch.setattr("benchmarks.other_programs._TICKS", 100)
    proc(tmp_path, uptime=50.0, busy=4000, server=100, backend=200)
    others = OtherPrograms(10, tmp_path)

    proc(tmp_path, uptime=60.0, busy=5000, server=200, backend=600)

    # 10 s of all, less 1 s of the server's and 4 s of its backend's, in 10 s.
    assert others.share() == pytest.approx(0.5)


OWN = ("user", "system", "children_user", "children_system")


def a_cell(way: str = "Greenlane", **figures: float) -> Cell:
    known = {
        "seconds": 2.0,
        "longest_ms": 8.0,
        "calm_ms": 5.0,
        "added_ms": 3.0,
        "slow": 0,
        "failed": 0,
        "others": 0.0,
    }
    name = NOTHING if way == "nothing" else "SET NOT NULL"
    return Cell(case=name, rows=1000, way=way, **(known | figures))  # type: ignore[arg-type]


def a_run(*cells: Cell, rate: int = 150_000) -> Run:
    return Run(
        cells=(a_cell("nothing"), *cells),
        filled={1000: Filled(1100, 0.1)},
        alone={1000: Filled(1000, 1000 / rate)},
        version="15.1",
        processors=2,
        rounds=1,
        blocked_seconds=60,
        calm_seconds=5,
    )


def test_what_is_added_is_over_the_calm_before_and_never_less_than_nothing() -> None:
    def found(calm: float, during: float) -> Cell:
        before, after = Latencies(9, 0, 0, calm, 1), Latencies(9, 1, 2, during, 1)
        return cell("SET NOT NULL", 1000, "Greenlane", Measured(1.5, before, after), 0.1)

    assert found(4.0, 9.0) == a_cell(
        seconds=1.5, longest_ms=9.0, calm_ms=4.0, added_ms=5.0, slow=2, failed=1, others=0.1
    )
    assert found(9.0, 4.0).added_ms == 0.0


def test_of_rounds_the_median_counts_but_of_failures_the_most() -> None:
    rounds = [
        a_cell(longest_ms=9.0, added_ms=1.0, failed=0, others=0.3),
        a_cell(longest_ms=300.0, added_ms=290.0, failed=2),
        a_cell(longest_ms=10.0, added_ms=3.0),
    ]

    found = middle(rounds)

    assert (found.longest_ms, found.added_ms, found.failed, found.others) == (10.0, 3.0, 2, 0.3)


def test_a_goal_that_is_missed_is_told_with_its_figure() -> None:
    naive = a_cell("directly", longest_ms=800.0, added_ms=795.0, slow=200, failed=1)

    assert missed(a_run(naive, a_cell())) == []
    assert missed(a_run(naive, a_cell(added_ms=25.0, failed=1), rate=99_999)) == [
        "SET NOT NULL, 1,000 rows: 25 ms were added",
        "SET NOT NULL, 1,000 rows: 1 transactions failed",
        "1,000 rows were filled at 99,999 a second, without a load",
    ]


def test_on_a_busy_machine_no_goal_is_said_to_be_met() -> None:
    calm = a_run(a_cell("directly"), a_cell())
    busy = a_run(a_cell("directly"), a_cell(calm_ms=140.0, longest_ms=120.0, added_ms=0.0))

    assert page(calm, "stalls.svg").endswith("All are met.\n")
    assert "All are met" not in page(busy, "stalls.svg")
    assert disturbed(busy).endswith("a calm had a stall of 140 ms.")
    assert missed(busy) == []


def test_the_page_and_the_chart_have_the_figures() -> None:
    run = a_run(a_cell("directly", longest_ms=800.0, added_ms=795.0, slow=200), a_cell())
    text = page(run, "images/stalls.svg")

    assert "| SET NOT NULL | directly | 2.00 | 800 | 5.0 | 795 | 200 | 0 |  |" in text
    assert "|  | Greenlane | 2.00 | 8.0 | 5.0 | 3.0 | 0 | 0 | 100.0 |" in text
    assert "| beside the load | 1,100 | 0.1 | 11,000 |" in text
    assert text.endswith("All are met.\n")
    assert "SET NOT NULL 800 and 8" in text

    drawn = ElementTree.fromstring(chart(run))
    texts = [one.text for one in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"800 ms", "8.0 ms", "SET NOT NULL", "1,000 rows: longest stall"} <= set(texts)


def test_a_small_table_is_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        migrations.main(["--rows", "1000000", "10000"])

    assert "10,000 rows is small" in capsys.readouterr().err


def test_a_trial_writes_no_page_of_the_documentation(
    tmp_path: Path,
    no_rests: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(migrations, "QUICK", Times(blocked=0.2, calm=0.2, nothing=0.2))
    asked = ["--quick", "--rows", str(ROWS), "--only", "set not null", "--attempts", "1"]

    status = migrations.main(asked)

    written = tmp_path / "build" / "bench" / "migrations"
    figures = json.loads((written / "figures.json").read_text())
    assert [one["way"] for one in figures["cells"]] == ["nothing", "directly", "Greenlane"]
    assert (written / "migrations-benchmark.md").read_text().startswith("# What a migration costs")
    assert (written / "migrations-stalls.svg").read_text().startswith("<svg ")
    assert not (tmp_path / "docs").exists()
    assert status == ("goals are met" not in capsys.readouterr().out)


def test_the_folders_of_the_page_and_its_chart_are_there() -> None:
    assert (ROOT / migrations.PAGE).parent.is_dir()
    assert (ROOT / migrations.PICTURE).parent.is_dir()
