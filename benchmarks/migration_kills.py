"""Kills runners of migrations at random, and says whether anything came out wrong.

A migration with a statement of every kind runs in a fresh database beside other writers, again and
again, by runners that die: before, after and in the middle of a call, by a parent's kill -9, with
their backend ended by somebody else, two at once, or of a later owner. When it has come to its end,
its schema is that of a run without kills, each row was updated exactly once by an update that may
not run twice, no index is INVALID, and no statement was seen to run twice at once. Half of the
runs go back in between, killed as often: then the schema is that of the beginning, and going
forward again ends as if nothing had been.
"""

import argparse
import itertools
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from benchmarks.killed_runner import (
    DONE,
    FAILED,
    GAVE_UP,
    LOST_CONNECTION,
    LOST_FENCE,
    Fault,
    Task,
    Where,
    start,
)
from greenlane.local.postgres import LocalPostgres
from greenlane.migrations.declaring.model import Manifest, MigrationFile
from greenlane.migrations.declaring.plan import Plan, SourceFile
from greenlane.migrations.validating.model import PHASES, Phase

ROWS = 6000
"""Of each of the two tables that are filled, with gaps between their keys."""

SETUP = f"""
CREATE TABLE orders (id int PRIMARY KEY, code text, amount int, hits int NOT NULL DEFAULT 0);
INSERT INTO orders SELECT n * 3, 'c' || n, n FROM generate_series(1, {ROWS}) AS n;
CREATE INDEX orders_old ON orders (amount);
ALTER TABLE orders ADD CONSTRAINT orders_positive CHECK (amount > 0);
CREATE TABLE lines (a int, b text, hits int NOT NULL DEFAULT 0, PRIMARY KEY (a, b));
INSERT INTO lines SELECT n / 7, 'b' || n % 7 FROM generate_series(1, {ROWS}) AS n;
CREATE TABLE counted (n int);
CREATE TABLE events (at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE events_old PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE noise (id serial PRIMARY KEY, n int)
"""

FILES: tuple[tuple[Phase, str], ...] = (
    (
        "expand",
        """
        ALTER TABLE orders ADD COLUMN note text;
        CREATE INDEX CONCURRENTLY orders_code ON orders (code);
        CREATE UNIQUE INDEX CONCURRENTLY ON orders (lower(code));
        INSERT INTO counted VALUES (1);
        ALTER TABLE orders ADD CONSTRAINT orders_amount CHECK (amount IS NOT NULL) NOT VALID;
        ALTER TABLE orders VALIDATE CONSTRAINT orders_amount;
        REINDEX INDEX CONCURRENTLY orders_code;
        CREATE TABLE made (id int PRIMARY KEY);
        UPDATE orders SET note = coalesce(note, '') || 'x';
        ALTER TABLE orders DROP CONSTRAINT orders_positive;
        """,
    ),
    ("migrate", "UPDATE orders SET hits = hits + 1; INSERT INTO counted VALUES (2);"),
    ("migrate", "UPDATE lines AS l SET hits = l.hits + 1 WHERE l.b <> 'b9';"),
    (
        "contract",
        """
        DROP INDEX CONCURRENTLY orders_old;
        ALTER TABLE events DETACH PARTITION events_old CONCURRENTLY;
        INSERT INTO counted VALUES (3);
        ALTER TABLE orders DROP COLUMN amount;
        """,
    ),
)

_INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
_TWICE = """
SELECT string_agg(query, ' || ') FROM pg_stat_activity WHERE application_name LIKE 'greenlane/%'
AND application_name NOT LIKE '%/note' AND state = 'active'
AND query ~* '^\\s*(CREATE|DROP|REINDEX|ALTER|BEGIN)' HAVING count(*) > 1
"""
_WHERE = """
SELECT s.runs_as, s.state FROM greenlane.statements s
JOIN greenlane.migrations m ON m.id = s.migration
WHERE s.state <> 'done' ORDER BY m.seq, s.statement LIMIT 1
"""


class Diverged(Exception):
    """Something came out otherwise than it should."""


def made_plan() -> Plan:
    """The migration."""
    files, sources = [], []
    for number, (phase, text) in enumerate(FILES, start=1):
        name = f"{number:04}_{phase}.sql"
        files.append(
            MigrationFile(file=name, phase=phase, min_app="2" if phase == "contract" else None)
        )
        sources.append(SourceFile(file=name, text=text))
    manifest = Manifest(database="shop", owner="benchmarks", files=tuple(files))
    return Plan(manifest=manifest, sources=tuple(sources))


@dataclass
class Tally:
    """What was done so far. Args: where: kills by how the statement under way runs."""

    kills: int = 0
    runs: int = 0
    attempts: int = 0
    detached: int = 0
    given_up: int = 0
    undone: int = 0
    pairs: int = 0
    ways: Counter[str] = field(default_factory=Counter)
    where: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def line(self) -> str:
        """The figures on one line."""
        ways = ", ".join(f"{name} {count}" for name, count in sorted(self.ways.items()))
        where = ", ".join(f"{name} {count}" for name, count in sorted(self.where.items()))
        return (
            f"{self.kills} kills ({ways}) of {self.attempts} runners in {self.runs} runs, "
            f"{self.undone} of them back and forth, {self.pairs} times two at once, "
            f"{self.detached} statements left to themselves, of which {self.given_up} given up; "
            f"under way: {where}; 0 divergences; {self.seconds:.0f} s"
        )


class Kills:
    """Runs of one migration on one server, with kills."""

    def __init__(self, server: LocalPostgres, seed: int, folder: Path) -> None:
        """See the class."""
        self._server, self._folder = server, folder
        self._chance = random.Random(seed)
        self._plan = made_plan()
        self._undo: tuple[str, ...] = ()
        self.tally = Tally()
        server.create_database("template_shop")
        with psycopg.connect(server.dsn("template_shop"), autocommit=True) as connection:
            for statement in SETUP.split(";"):
                connection.execute(statement.encode())
        self._start_schema = self._schema("template_shop")
        self._expected = self._one_run("without", kill=False)

    def until(self, kills: int) -> None:
        """Run after run, until so many runners were killed.

        Raises:
            Diverged: at the first thing that is not as it should be.
        """
        began = time.monotonic()
        while self.tally.kills < kills:
            schema = self._one_run(f"run_{self.tally.runs}", kill=True)
            if schema != self._expected:
                raise Diverged(f"the schema is another:\n{schema}\n---\n{self._expected}")
            self.tally.runs += 1
        self.tally.seconds = time.monotonic() - began
        left = self._folder / "detached"
        self.tally.detached = len(left.read_text()) if left.exists() else 0

    def _one_run(self, name: str, *, kill: bool) -> str:
        dsn = self._server.create_database(name, "template_shop")
        others = self._others(dsn) if kill else None
        epoch = 1
        try:
            for phase in PHASES:
                if phase == "expand" and kill and self._chance.random() < 0.5:
                    epoch = self._back(dsn, name, epoch)
                epoch = self._phase(dsn, phase, epoch, kill=kill)
        finally:
            if others is not None:
                os.kill(others, signal.SIGKILL)
                os.waitpid(others, 0)
        self._look(dsn)
        schema = self._schema(name)
        self._server.drop_database(name)
        return schema

    def _schema(self, name: str) -> str:
        dump = self._server.run("pg_dump", "-s", "-N", "greenlane", "--dbname", name)
        lines = [one for one in dump.splitlines() if not one.startswith(("\\restrict", "\\unr"))]
        return "\n".join(lines)

    def _back(self, dsn: str, name: str, epoch: int) -> int:
        """Go forward somewhere, and back to the beginning; the epoch of the last runner.

        Raises:
            Diverged: the schema is not that of the beginning.
        """
        turns = self._chance.randint(1, 8)
        epoch = self._phase(dsn, "expand", epoch, kill=True, most=turns)
        epoch = self._phase(dsn, "expand", epoch, kill=True, undo=True)
        self.tally.undone += 1
        schema = self._schema(name)
        if schema != self._start_schema:
            raise Diverged(f"undone, the schema is another:\n{schema}\n---\n{self._start_schema}")
        return epoch

    def _phase(
        self,
        dsn: str,
        phase: Phase,
        epoch: int,
        *,
        kill: bool,
        undo: bool = False,
        most: int | None = None,
    ) -> int:
        """Runners, until one says that the phase is done, or after `most` turns; the last epoch."""
        self._undo = ("0001_expand",) if undo else ()
        for _ in range(most) if most is not None else itertools.count():
            two = kill and self._chance.random() < 0.15
            later = kill and self._chance.random() < 0.2
            epochs = [epoch, epoch + later] if two else [epoch + later]
            epoch = max(epochs)
            self.tally.pairs += two
            pids = [self._start(dsn, phase, one, kill=kill) for one in epochs]
            statuses = [self._end(pid, dsn, kill=kill) for pid in pids]
            if DONE in statuses:
                break
        return epoch

    def _start(self, dsn: str, phase: Phase, epoch: int, *, kill: bool) -> int:
        fault, seconds = Fault(), 60.0
        if kill:
            ways: tuple[Where, ...] = ("never", "before", "after", "amid", "amid")
            where = self._chance.choice(ways)
            call = self._chance.randint(0, 90)
            fault = Fault(where, call, self._chance.uniform(0, 12))
            # A deadline that leaves a statement some 0.5 s before it is left to itself.
            seconds = self._chance.choice((60.0, 60.0, 5.1))
        self.tally.attempts += 1
        said = self._folder / "said"
        return start(Task(dsn, self._plan, phase, epoch, seconds, fault, said, self._undo))

    def _end(self, pid: int, dsn: str, *, kill: bool) -> int:
        """Wait for a runner, kill it or end its backend; its exit status, negative if killed."""
        way = self._chance.choice(("wait", "wait", "kill", "terminate")) if kill else "wait"
        if way != "wait":
            time.sleep(self._chance.uniform(0.0, 0.25))
        if way == "kill":
            os.kill(pid, signal.SIGKILL)
        elif way == "terminate":
            self._terminate(dsn)
        _, raw = os.waitpid(pid, 0)
        status = os.waitstatus_to_exitcode(raw)
        if status == FAILED:
            raise Diverged((self._folder / "said").read_text())
        if status == -signal.SIGKILL:
            self._count("by its parent" if way == "kill" else "by itself", dsn)
        elif status == LOST_CONNECTION:
            self._count("its backend", dsn)
        elif status == GAVE_UP:
            self.tally.given_up += 1
        elif status not in (DONE, LOST_FENCE):
            raise Diverged(f"a runner ended with {status}")
        return status

    def _count(self, way: str, dsn: str) -> None:
        self.tally.kills += 1
        self.tally.ways[way] += 1
        with psycopg.connect(dsn, autocommit=True) as connection:
            try:
                row = connection.execute(_WHERE.encode()).fetchone()
            except psycopg.errors.UndefinedTable:
                row = ("before the", "ledger")
        self.tally.where[" ".join(row) if row else "between files"] += 1

    def _terminate(self, dsn: str) -> None:
        query = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name LIKE 'greenlane%' AND datname = current_database()"
        )
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(query.encode())

    def _look(self, dsn: str) -> None:
        """Whether all is as it should be.

        Raises:
            Diverged: it is not.
        """
        checks = {
            "a row was not updated exactly once": "SELECT count(*) FROM orders WHERE hits <> 1",
            "a line was not updated exactly once": "SELECT count(*) FROM lines WHERE hits <> 1",
            "a row was not filled exactly once": (
                "SELECT count(*) FROM orders WHERE note IS DISTINCT FROM 'x'"
            ),
            "rows are gone": f"SELECT count(*) - {ROWS} FROM orders",
            "an INSERT ran twice, or not": (
                "SELECT count(*) FROM (SELECT n FROM counted GROUP BY n HAVING count(*) = 1) AS c "
                "HAVING count(*) <> 3 OR (SELECT count(*) FROM counted) <> 3"
            ),
            "an index is INVALID": f"SELECT count(*) FROM ({_INVALID}) AS i",
            "a statement is not done": (
                "SELECT count(*) FROM greenlane.statements WHERE state <> 'done'"
            ),
            "a statement ran twice at once": "SELECT max(n) FROM noise WHERE n < 0",
        }
        with psycopg.connect(dsn) as connection:
            for wrong, query in checks.items():
                row = connection.execute(query.encode()).fetchone()
                if row is not None and row[0]:
                    raise Diverged(f"{wrong}: {row[0]}")

    def _others(self, dsn: str) -> int:
        """Fork other writers, whose locks and snapshots are in the way; their process id."""
        seed = self._chance.random()
        pid = os.fork()
        if pid:
            return pid
        try:
            _write_beside(dsn, random.Random(seed))
        finally:
            os._exit(FAILED)


def _write_beside(dsn: str, chance: random.Random) -> None:
    """Short transactions and some longer ones, for ever; a row with -1 when two run at once."""
    watching = psycopg.connect(dsn, autocommit=True)
    while True:
        with psycopg.connect(dsn) as connection:
            key = 3 * chance.randint(1, ROWS)
            connection.execute(b"UPDATE orders SET code = code WHERE id = %s", [key])
            connection.execute(b"INSERT INTO noise (n) VALUES (%s)", [key])
            if watching.execute(_TWICE.encode()).fetchone() is not None:
                watching.execute(b"INSERT INTO noise (n) VALUES (-1)")
            # The longest is longer than a slice that is to be left to itself.
            time.sleep(chance.choice((*(0.001, 0.005, 0.02) * 6, 0.15, 0.15, 0.15, 1.0)))


def main() -> int:
    """Kill, and write the figures on one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with (
        LocalPostgres.start({"autovacuum": False}, tmpfs_bytes=2**30) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        kills = Kills(server, given.seed, Path(folder))
        try:
            kills.until(given.kills)
        except Diverged as error:
            print(f"after {kills.tally.kills} kills (seed {given.seed}): {error}")
            return 1
    print(kills.tally.line())
    return 0


if __name__ == "__main__":
    sys.exit(main())
