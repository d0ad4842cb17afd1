"""The scene of database migrations: a column is renamed under load, by two releases and a contract.

The first release expands the database before its first task starts, and fills rows while it ramps.
The contract is refused while a version that needs the old column runs or may come back; with the
next release it is allowed, by somebody who gives up the ways back.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import yaml
from rich.console import Console

from greenlane.apply import apply
from greenlane.deployments.shipped_with import ReleaseMigrations
from greenlane.errors import GreenlaneError
from greenlane.local.demo.measure import Result
from greenlane.local.demo.playing import play as play_deployment
from greenlane.local.demo.scenes import Scene
from greenlane.local.errors import LocalCloudError
from greenlane.local.loadgen import LoadGenerator
from greenlane.local.postgres import LocalPostgres
from greenlane.local.postgres_folder import PORT
from greenlane.local.stage import Stage
from greenlane.migrations.declaring.loading import load_plan
from greenlane.migrations.guarding.model import RunRecord
from greenlane.migrations.guarding.release import WAIVED_BY
from greenlane.migrations.managing import MigrationManager
from greenlane.migrations.managing.places import Places
from greenlane.migrations.running.model import Override
from greenlane.migrations.validating.model import PHASES

NAME = "migration"
TITLE = "a column renamed under load: expand, two releases, contract"
BEHAVIOUR = "people_name"
"""How the first version behaves: it knows the old column alone."""

VISITORS = 2000
ROWS = 20_000
"""Few, for time is compressed and the database is not."""

_MEMORY_BYTES = 2**28
"""What the database finds room in; a disk's pauses would only be in the way."""

FOLDER = Path("examples/claude_manager/migrations")
DATABASES = Path("examples/claude_manager/databases.yaml")
SECRET = "claude-manager/people"
SYNTH_SECONDS = 120
CONTRACT_SECONDS = 60.0
MIGRATE_SECONDS = 60.0
EXPAND_TRANSITIONS = 15
"""Of a deployment that waits for its database: one for each look."""

RELEASES = (
    Scene(
        name="migration-expands",
        title="canary to 2.0.0, which writes the new column; the database is expanded before it",
        version="2.0.0",
        behaviour="people_full_name",
        strategy="canary",
        ending="succeeded",
        most_transitions=45 + EXPAND_TRANSITIONS,
    ),
    Scene(
        name="migration-follows",
        title="all at once to 2.1.0, after which nothing that runs knows the old column",
        version="2.1.0",
        behaviour="people_full_name",
        strategy="all_at_once",
        ending="succeeded",
    ),
)

_MADE = f"""
CREATE ROLE migrator LOGIN;
CREATE ROLE application LOGIN;
GRANT pg_monitor TO migrator;
GRANT CREATE ON DATABASE people TO migrator;
CREATE TABLE people (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  visitor text NOT NULL UNIQUE,
  name text NOT NULL,
  visits integer NOT NULL DEFAULT 1
);
ALTER TABLE people OWNER TO migrator;
GRANT USAGE, CREATE ON SCHEMA public TO migrator;
GRANT SELECT, INSERT, UPDATE ON people TO application;
INSERT INTO people (visitor, name) SELECT 'known-' || n, 'person ' || n
FROM generate_series(1, {ROWS}) AS n;
"""


@dataclass(frozen=True)
class People:
    """The database of the sample, which is this machine's own PostgreSQL."""

    server: LocalPostgres

    def dsn(self, user: str) -> str:
        """How libpq reaches it."""
        return self.server.dsn("people", user=user)

    def described(self) -> str:
        """The sample's file of databases, for a database that RDS does not run."""
        document: dict[str, Any] = yaml.safe_load(DATABASES.read_text(encoding="utf-8"))
        one = document["databases"]["people"]
        one.pop("cluster")
        one["engine"] = "postgres"
        one["endpoint"] |= {"host": self.server.socket_folder, "port": PORT}
        one |= {"auth": "secret", "secret": SECRET, "tls": "disable"}
        one["backup"] = dict.fromkeys(PHASES, "none")
        return yaml.safe_dump(document)

    def synthesize(self, folder: Path) -> Path:
        """The product's templates with this database configured, and the sample that uses it.

        Raises:
            LocalCloudError: `app.py` failed.
        """
        context: dict[str, Any] = json.loads(Path("cdk.json").read_text(encoding="utf-8"))
        settings = context["context"]["greenlane"]
        settings["sample"]["shape"]["environment"]["PEOPLE_DATABASE"] = self.dsn("application")
        settings["migrations"] = {
            "databases": [{"name": "people", "secret": SECRET}],
            "subnet_ids": ["subnet-11111111"],
            "security_group_ids": ["sg-11111111"],
        }
        environment = {
            **os.environ,
            "CDK_OUTDIR": str(folder),
            "CDK_CONTEXT_JSON": json.dumps({"greenlane": settings}),
        }
        done = subprocess.run(
            [sys.executable, "app.py"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=SYNTH_SECONDS,
        )
        if done.returncode != 0:
            raise LocalCloudError(f"app.py failed: {done.stderr.strip()[-2000:]}")
        return folder


@dataclass
class MigrationResult:
    """What became of the releases and the database. Seconds are real."""

    seconds: float
    deployments: list[Result] = field(default_factory=list)
    runs: list[RunRecord] = field(default_factory=list)
    refused: str = ""
    columns: tuple[str, ...] = ()
    rows: int = 0
    nameless: int = 0
    requests: int = 0
    failed: int = 0
    broken: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For `summary.json`."""
        return {
            "scene": NAME,
            "title": TITLE,
            "seconds": round(self.seconds, 2),
            "deployments": [one.as_json() for one in self.deployments],
            "runs": {one.run: [one.phase, one.standing] for one in self.runs},
            "contract_first_refused": self.refused,
            "columns": self.columns,
            "rows": self.rows,
            "client_requests": self.requests,
            "client_failures": self.failed,
            "promises_broken": self.broken,
        }

    def lines(self) -> list[str]:
        """What there is to read at the end."""
        said = [f"{NAME}: {TITLE}"]
        said += [f"  {one.run}: {one.phase} {one.standing}" for one in reversed(self.runs)]
        said += [
            f"  the contract was refused first: {self.refused}",
            f"  people has {', '.join(self.columns)}; {self.rows} rows, {self.nameless} nameless",
            f"  {self.failed} of {self.requests} requests failed",
        ]
        return said + [f"  PROMISE BROKEN: {words}" for words in self.broken]


@contextmanager
def database() -> Iterator[People]:
    """PostgreSQL with the sample's table and its people, for as long as the block lasts."""
    with LocalPostgres.start(tmpfs_bytes=_MEMORY_BYTES) as server:
        server.create_database("people")
        with psycopg.connect(server.dsn("people"), autocommit=True) as connection:
            connection.execute(_MADE)
        yield People(server)


def play(console: Console, stage: Stage, load: LoadGenerator, people: People) -> MigrationResult:
    """Describe the database, ship two releases, and take the old column away."""
    console.print(f"\n[bold]{TITLE}[/bold]")
    began = time.monotonic()
    result = MigrationResult(seconds=0.0)
    # This server trusts its own machine and looks at no password.
    signs_in = {"username": "migrator", "password": "unused"}
    secrets = stage.cloud.client("secretsmanager")
    secrets.create_secret(Name=SECRET, SecretString=json.dumps(signs_in))
    apply(stage.greenlane, people.described(), by="the demo")
    manager = MigrationManager(stage.greenlane.connection, by="the demo")
    plan = load_plan(FOLDER)
    Places(stage.greenlane.connection).keep_plan(plan)
    brought = ReleaseMigrations(database="people", plan=plan.sha256)
    for scene, migrations in zip(RELEASES, (brought, None), strict=True):
        result.deployments.append(play_deployment(console, stage, load, scene, migrations))
        _await_runs(console, manager)
        overrides: tuple[Override, ...] = ()
        if migrations is None:
            reason = "2.0.0 has been good for long enough"
            overrides = (Override(rule=WAIVED_BY, person="the demo", reason=reason),)
        standing, why = _contract(console, manager, overrides)
        if migrations is not None:
            result.refused = why if standing == "refused" else ""
    result.seconds = time.monotonic() - began
    _measure(result, manager, load, people)
    result.broken = broken_promises(result)
    return result


def _await_runs(console: Console, manager: MigrationManager) -> None:
    """Until what the release brought has ended, and say how."""
    deadline = time.monotonic() + MIGRATE_SECONDS
    while any(one.standing == "running" for one in manager.runs("people")):
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    for one in reversed(manager.runs("people")):
        console.print(f"  {one.phase} {one.standing} {one.waits_for}".rstrip(), highlight=False)


def _contract(
    console: Console, manager: MigrationManager, overrides: tuple[Override, ...]
) -> tuple[str, str]:
    """Ask for the contract; how it ended, and why."""
    console.print("  contract: takes people.name away", highlight=False)
    try:
        started = manager.start(FOLDER, "contract", overrides=overrides)
        deadline = time.monotonic() + CONTRACT_SECONDS
        while (ended := manager.look(started.run)[1]) is None and time.monotonic() < deadline:
            time.sleep(0.2)
    except GreenlaneError as error:
        standing, why = "refused", str(error)
    else:
        why = ended.why.removeprefix("Refused: ") if ended else ""
        standing, why = (ended.standing, why) if ended else ("late", "it has not ended")
    console.print(f"  contract {standing}{': ' if why else ''}{why}", highlight=False)
    return standing, why


def _measure(
    result: MigrationResult, manager: MigrationManager, load: LoadGenerator, people: People
) -> None:
    result.runs = manager.runs("people")
    with psycopg.connect(people.dsn("postgres")) as connection:
        columns = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'people'::regclass "
            "AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        )
        result.columns = tuple(str(name) for (name,) in columns)
        if "full_name" in result.columns:
            counted = connection.execute(
                "SELECT count(*), count(*) FILTER (WHERE full_name IS NULL) FROM people"
            ).fetchone()
            result.rows, result.nameless = counted or (0, 0)
    for count in load.snapshot().counts:
        if count.phase.startswith(NAME) or count.phase == "between":
            result.requests += count.count
            result.failed += 0 if count.ok else count.count


def broken_promises(result: MigrationResult) -> list[str]:
    """What the scene promised and did not keep, in words."""
    broken = [words for one in result.deployments for words in one.broken]
    phases = [(one.phase, one.standing) for one in reversed(result.runs)]
    promised = [
        ("expand", "succeeded"),
        ("migrate", "succeeded"),
        ("contract", "refused"),
        ("contract", "succeeded"),
    ]
    if phases != promised:
        broken.append(f"the runs ended as {phases}, instead of {promised}")
    if not result.refused:
        broken.append("the contract was not refused while the old version could come back")
    if "full_name" not in result.columns or "name" in result.columns:
        broken.append(f"people has {', '.join(result.columns)}")
    if result.rows < ROWS or result.nameless:
        broken.append(f"{result.rows} of {ROWS} rows, {result.nameless} of them without a name")
    if result.failed:
        broken.append(f"{result.failed} of {result.requests} requests failed")
    return broken
