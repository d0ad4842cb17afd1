"""Everything that is under way, read from the tables and nothing else.

What is read is bounded. A table that is not there is named as not deployed; a document that cannot
be read, one of another version say, is named too, and is not in the way of the others.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from greenlane.deployments.connection import TABLE
from greenlane.deployments.storing.store import DynamoStore
from greenlane.errors import UnknownDeployment
from greenlane.experiments.names import TABLE as EXPERIMENTS
from greenlane.experiments.storing.store import DynamoExperimentStore
from greenlane.experiments.storing.stored_items import TEST, TESTS
from greenlane.flags.names import TABLE as FLAGS
from greenlane.flags.storing.store import DynamoFlagStore
from greenlane.migrations.databases.store import DatabaseStore
from greenlane.migrations.guarding.lease import Leases
from greenlane.migrations.guarding.model import RunRecord
from greenlane.migrations.guarding.records import Runs
from greenlane.migrations.restoring.model import RestoreRecord
from greenlane.migrations.restoring.records import Restores
from greenlane.regions.coordinating.store import Rollouts
from greenlane.status import changes, releases
from greenlane.status.model import (
    DeploymentUnderWay,
    Everything,
    MigrationUnderWay,
    Need,
    Part,
    RampUnderWay,
    RestoreUnderWay,
    RollbackUnderWay,
    RolloutUnderWay,
    TestUnderWay,
    Told,
    Untold,
)

MOST = 200
"""Of services, of databases and of A/B tests, that are looked at."""

MOST_PROPOSALS = 100
"""That are looked at, newest first, decided ones too: an old one that still waits behind so many is
found by `greenlane flags proposals`."""

AT_ONCE = 4
"""Reads of one table beside each other; with the other tables' as many as a boto3 client keeps
connections."""

_NEWEST = 5
"""Runs of a database that are looked at: some may have been refused beside one that runs."""

_MISSING = "ResourceNotFoundException"
_MAY_NOT = frozenset({"AccessDeniedException", "AccessDenied"})

ToldT = TypeVar("ToldT", bound=Told)
LineT = TypeVar("LineT", RunRecord, RestoreRecord)

_Read = Callable[["Stores", datetime], Iterable[Told]]


class Stores(NamedTuple):
    """Where everything is kept in one Region."""

    deployments: DynamoStore
    rollouts: Rollouts
    databases: DatabaseStore
    runs: Runs
    leases: Leases
    restores: Restores
    flags: DynamoFlagStore
    experiments: DynamoExperimentStore

    @classmethod
    def of(
        cls,
        client: Any,
        *,
        deployments: str = TABLE,
        flags: str = FLAGS,
        experiments: str = EXPERIMENTS,
    ) -> "Stores":
        """Those of a boto3 `dynamodb` client, by the names of its tables."""
        return cls(
            DynamoStore(client, deployments),
            Rollouts(client, deployments),
            DatabaseStore(client, deployments),
            Runs(client, deployments),
            Leases(client, deployments),
            Restores(client, deployments),
            DynamoFlagStore(client, flags),
            DynamoExperimentStore(client, experiments),
        )


def read_everything(stores: Stores, now: datetime) -> Everything:
    """All that is under way, and whatever needs a person.

    Some queries for all, one to three reads for each service, three to five for each database, one
    for each A/B test.

    A table that does not answer is named, and the others are told.

    Raises:
        botocore.exceptions.BotoCoreError, ClientError: no table answered.
    """
    missing: list[Part] = []
    found: list[Told] = []
    failed: list[BotoCoreError | ClientError] = []
    # Tables beside each other: one that hangs must not use up the time of those that answer.
    with ThreadPoolExecutor(max_workers=len(_TABLES)) as pool:
        read = list(chain.from_iterable(pool.map(partial(_table, stores, now), _TABLES)))
    for part, told in read:
        if not isinstance(told, BotoCoreError | ClientError):
            found += told
        elif _code(told) == _MISSING:
            missing.append(part)
        elif _code(told) in _MAY_NOT:
            found.append(Untold(part=part, why="you may not read its table"))
        else:
            failed.append(told)
            found.append(Untold(part=part, why=f"its table did not answer: {_code(told)}"))
    if failed and len(failed) + len(missing) == len(read):
        raise failed[0]
    return _sorted_out(found, missing, now)


def _table(
    stores: Stores, now: datetime, parts: Mapping[Part, _Read]
) -> list[tuple[Part, list[Told] | BotoCoreError | ClientError]]:
    """What the parts of one table have, or why they do not; one that hangs is not asked again."""
    found: list[tuple[Part, list[Told] | BotoCoreError | ClientError]] = []
    hangs: BotoCoreError | None = None
    for part, read in parts.items():
        try:
            if hangs is not None:
                raise hangs
            found.append((part, _told(part, partial(read, stores, now))))
        except ClientError as error:
            found.append((part, error))
        except BotoCoreError as error:
            hangs = error
            found.append((part, error))
    return found


def _code(error: BotoCoreError | ClientError) -> str:
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    return type(error).__name__


def _sorted_out(found: list[Told], missing: list[Part], now: datetime) -> Everything:
    def of(kind: type[ToldT]) -> tuple[ToldT, ...]:
        return tuple(one for one in found if isinstance(one, kind))

    return Everything(
        at=now,
        needs=of(Need),
        deployments=of(DeploymentUnderWay),
        rollbacks=of(RollbackUnderWay),
        rollouts=of(RolloutUnderWay),
        migrations=of(MigrationUnderWay),
        restores=of(RestoreUnderWay),
        ramps=of(RampUnderWay),
        tests=of(TestUnderWay),
        not_deployed=tuple(missing),
        untold=of(Untold),
    )


def _told(what: str, read: Callable[[], Iterable[Told]]) -> list[Told]:
    """What is read, or that it cannot be."""
    try:
        return list(read())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "document"
        return [Untold(part=what, why=f"it cannot be read: {field}: {first['msg']}")]


def _each(
    part: Part, names: list[str], read: Callable[[str], Iterable[Told | None]]
) -> Iterator[Told]:
    """What each of them has, by name, some beside each other."""

    def one(name: str) -> list[Told]:
        return _told(f"{part}: {name}", lambda: [it for it in read(name) if it is not None])

    names = sorted(names)
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        yield from chain.from_iterable(pool.map(one, names[:MOST]))
    if len(names) > MOST:
        yield Untold(part=part, why=f"there are {len(names)}; only the first {MOST} are looked at")


def _deployments(stores: Stores, now: datetime) -> Iterator[Told]:
    def read(service: str) -> Iterator[Told | None]:
        record = stores.deployments.record(service)
        if record is None:
            return
        plan = None
        if record.phase in releases.UNDER_WAY:
            try:
                plan = stores.deployments.plan(record.deployment_id)
            except UnknownDeployment:
                plan = None  # it is still planning: there is none yet
        under_way = releases.deployment_under_way(record, plan, now)
        yield under_way
        yield releases.rollback_under_way(record)
        yield from releases.needs_of_record(record, under_way)

    return _each("deployments", stores.deployments.services(), read)


def _rollouts(stores: Stores, now: datetime) -> Iterator[Told]:
    def read(service: str) -> Iterator[Told | None]:
        kept = stores.rollouts.kept(service)
        if kept is not None:
            yield releases.rollout_under_way(kept)
            yield from releases.needs_of_rollout(kept, now)

    return _each("rollouts", stores.rollouts.services(), read)


def _databases(stores: Stores, now: datetime) -> Iterator[Told]:
    def read(database: str) -> Iterator[Told | None]:
        run = _latest(stores.runs.runs(database, _NEWEST))
        if run is not None:
            lease = stores.leases.read(database) if run.standing == "running" else None
            asked = lease.asked if lease is not None and lease.run == run.run else None
            yield changes.migration_under_way(run, asked)
            yield from changes.needs_of_run(run, asked, now)
        restore = _latest(stores.restores.restores(database, _NEWEST))
        if restore is not None:
            stage = restore.state.stage if restore.state is not None else None
            question = None
            if stage == "approve" or stage == "writers":
                question = stores.restores.asked(restore.restore, stage)
            yield changes.restore_under_way(restore)
            yield from changes.needs_of_restore(restore, question, now)

    return _each("migrations", stores.databases.names(), read)


def _latest(found: list[LineT]) -> LineT | None:
    """The one that runs; else the newest that was not refused."""
    running = (one for one in found if one.standing == "running")
    ended = (one for one in found if one.standing != "refused")
    return next(chain(running, ended), None)


def _flags(stores: Stores, now: datetime) -> Iterator[Told]:
    flags = stores.flags.read()
    yield from changes.ramps(flags, now)
    yield from changes.needs_of_flags(flags)
    found = stores.flags.proposals(None, None, MOST_PROPOSALS)
    yield from changes.needs_of_proposals(one for one in found if one.status == "waiting")


def _tests(stores: Stores, now: datetime) -> Iterator[Told]:
    del now

    def read(name: str) -> Iterator[Told | None]:
        test = stores.experiments.find(name)
        if test is not None:
            yield changes.test_under_way(test)

    kept = stores.experiments.query(TESTS, TEST, projection="sk")
    return _each("experiments", [it["sk"]["S"].removeprefix(TEST) for it in kept], read)


_TABLES: tuple[Mapping[Part, _Read], ...] = (
    {"deployments": _deployments, "rollouts": _rollouts, "migrations": _databases},
    {"flags": _flags},
    {"experiments": _tests},
)
"""What is read of each table."""
