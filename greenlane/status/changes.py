"""What flags, A/B tests and changes of databases mean to a person. Pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from greenlane.experiments.storing.state import StoredTest
from greenlane.flags.storing.keeping import DISABLED_BY
from greenlane.flags.storing.proposals import Proposal
from greenlane.flags.storing.ramp_records import level
from greenlane.flags.storing.state import FlagState, StoredFlags
from greenlane.migrations.guarding.lease import Asked
from greenlane.migrations.guarding.model import RunRecord
from greenlane.migrations.restoring.model import RestoreRecord
from greenlane.migrations.restoring.records import Asked as AskedOfPeople
from greenlane.migrations.running.model import Progress
from greenlane.status.model import (
    MigrationUnderWay,
    Need,
    RampUnderWay,
    RestoreUnderWay,
    TestUnderWay,
)

RECENT = timedelta(days=7)
"""How long a change of a database that failed is told of, unless another one came after it."""


def ramps(flags: StoredFlags, now: datetime) -> Iterator[RampUnderWay]:
    """The ramps that may still be raised, by flag and environment."""
    for key, environment, state in _states(flags):
        ramp = state.going
        if ramp is None:
            continue
        due = None if ramp.raised_at is None else ramp.raised_at + ramp.interval
        yield RampUnderWay(
            flag=key,
            environment=environment,
            ramp=ramp.id,
            status=ramp.status,
            level=level(flags.flags[key], environment, now.timestamp()),
            target=ramp.target,
            next_at=due,
            since=ramp.started_at,
            because=ramp.reason,
        )


def needs_of_flags(flags: StoredFlags) -> Iterator[Need]:
    """Ramps that are held, and flags that went back or off without a person's word."""
    for key, environment, state in _states(flags):
        ramp, gone = state.going, state.retreated
        if ramp is not None and ramp.status == "held":
            what = f"its ramp is held: {ramp.reason}" if ramp.reason else "its ramp is held"
            yield _flag_need(key, environment, what, ramp.raised_at)
        if gone is not None and not gone.startswith(DISABLED_BY):
            what = "was switched off" if state.stopped else "went back"
            yield _flag_need(key, environment, f"{what}: {gone}", None)


def _states(flags: StoredFlags) -> Iterator[tuple[str, str, FlagState]]:
    for key, stored in sorted(flags.flags.items()):
        for environment, state in sorted(stored.states.items()):
            yield key, environment, state


def _flag_need(key: str, environment: str, what: str, since: datetime | None) -> Need:
    return Need(
        kind="flag",
        name=key,
        id=environment,
        what=what,
        since=since,
        do=f"greenlane flags get {key}",
    )


def needs_of_proposals(proposals: Iterable[Proposal]) -> Iterator[Need]:
    """Changes of flags that wait for a second person."""
    for one in proposals:
        why = f": {one.reason}" if one.reason else ""
        yield Need(
            kind="proposal",
            name=one.id,
            what=f"{', '.join(one.based)} in {', '.join(one.environments)}, by {one.by}{why}",
            since=one.at,
            do=f"greenlane flags proposals {one.id}",
        )


def test_under_way(test: StoredTest) -> TestUnderWay | None:
    """An A/B test, if it runs."""
    if test.status != "running" or test.started_at is None:
        return None
    longest = test.definition.maximum_duration
    return TestUnderWay(
        name=test.name,
        variants=tuple(test.as_it_is().variants),
        traffic=test.traffic,
        since=test.started_at,
        ends_by=None if longest is None else test.started_at + longest,
        verdict=test.verdict,
    )


def migration_under_way(run: RunRecord, asked: Asked | None) -> MigrationUnderWay | None:
    """A run of a migration, if it runs."""
    if run.standing != "running":
        return None
    return MigrationUnderWay(
        database=run.database,
        run=run.run,
        phase=run.phase,
        undo=run.stage == "undo",
        progress="" if run.progress is None else _progress(run.progress),
        waits_for=run.waits_for,
        paused_by=asked.by if asked is not None and asked.name == "pause" else None,
        since=run.started_at,
    )


def _progress(progress: Progress) -> str:
    said = f"{progress.migration}, statement {progress.statement + 1} of {progress.of}"
    return said if progress.rows_done is None else f"{said}, {progress.rows_done:,} rows"


def needs_of_run(latest: RunRecord, asked: Asked | None, now: datetime) -> Iterator[Need]:
    """What of a database's latest run waits for a person."""
    paused = asked is not None and asked.name == "pause"
    if latest.standing == "running" and paused and asked is not None:
        why = f": {asked.reason}" if asked.reason else ""
        yield _run_need(latest, f"{latest.phase} is paused by {asked.by}{why}", asked.at)
    ended = latest.ended_at or latest.updated_at
    if latest.standing in ("dead", "failed") and now - ended < RECENT:
        why = f": {latest.failure}" if latest.failure else ""
        yield _run_need(latest, f"{latest.phase} {_ENDED[latest.standing]}{why}", ended)


_ENDED = {"dead": "died", "failed": "failed"}


def _run_need(run: RunRecord, what: str, since: datetime) -> Need:
    return Need(
        kind="migration",
        name=run.database,
        id=run.run,
        what=what,
        since=since,
        do=f"greenlane migrations get {run.run}",
    )


def restore_under_way(record: RestoreRecord) -> RestoreUnderWay | None:
    """A restore, if it runs."""
    if record.standing != "running":
        return None
    state = record.state
    return RestoreUnderWay(
        database=record.database,
        restore=record.restore,
        mode="restore" if state is None else state.request.mode,
        stage=None if state is None else state.stage,
        since=record.started_at,
    )


def needs_of_restore(
    latest: RestoreRecord, question: AskedOfPeople | None, now: datetime
) -> Iterator[Need]:
    """What of a database's latest restore waits for a person."""
    if latest.standing == "running" and question is not None and question.answer is None:
        what = f"it asks people: {_ASKS[question.question]}"
        yield _restore_need(latest, what, latest.updated_at)
    ended = latest.ended_at or latest.updated_at
    if latest.standing in ("dead", "failed") and now - ended < RECENT:
        why = f": {latest.failure}" if latest.failure else ""
        yield _restore_need(latest, f"it {_ENDED[latest.standing]}{why}", ended)


_ASKS = {
    "approve": "whether to use the new database",
    "writers": "whether anything still writes to the old one",
}


def _restore_need(record: RestoreRecord, what: str, since: datetime) -> Need:
    return Need(
        kind="restore",
        name=record.database,
        id=record.restore,
        what=what,
        since=since,
        do=f"greenlane migrations restore get {record.restore}",
    )
