"""How planned changes, runs and ways back are printed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from greenlane.cli.flags_views import table

if TYPE_CHECKING:
    from datetime import datetime

    from greenlane.migrations.guarding.lease import Asked
    from greenlane.migrations.guarding.model import Published, RunRecord
    from greenlane.migrations.managing.asking import StartedMigration
    from greenlane.migrations.managing.folders import Added
    from greenlane.migrations.managing.going_back import ForeseenStep, Rollback
    from greenlane.migrations.managing.standing import Ended
    from greenlane.migrations.running.model import Progress


def added_lines(added: "Added", *, written: bool, queries: Path | None) -> Iterator[str]:
    """What a change adds to a folder."""
    for one in added.files:
        place = Path(added.folder) / one.name
        yield f"{'wrote' if written else 'would write'} {place}: {one.phase}: {one.comment}"
    if not written:
        for one in added.files:
            yield f"-- {one.name}"
            yield one.sql.rstrip()
    yield f"{Path(added.folder) / 'migrations.yaml'} {'has' if written else 'would have'} now:"
    yield from (f"    {line}" for line in added.lines)
    for one in added.files:
        if one.to_accept:
            yield (
                f"to accept: {one.name} does what {', '.join(one.to_accept)} stops: --approved-by "
                "and --reason write who accepts it, and why"
            )
    yield from (f"question: {one}" for one in added.questions)
    yield from (f"note: {one}" for one in added.notes)
    if queries is not None and written:
        yield f"wrote {queries}: in the folder and named as old_app_queries, it is tried each time"


def started_lines(started: "StartedMigration") -> Iterator[str]:
    """A run that was started."""
    for note in started.notes:
        yield f"note: {note}"
    said = "was started before" if started.already else "started"
    what = "takes back" if started.undo else started.phase
    yield f"{started.run} {said}: {what} on {started.database}, {_files(started.files)}"


def _files(names: "Sequence[str]") -> str:
    return names[0] if len(names) == 1 else f"{len(names)} files: {', '.join(names)}"


def run_rows(
    runs: "Sequence[RunRecord]", published: "Sequence[Published]", databases: "Sequence[str]"
) -> Iterator[str]:
    """All runs, one line each, below what stands in each database."""
    if not databases:
        yield "no database is described yet; describe some with `greenlane apply -f FILE`"
        return
    for one in published:
        least = f"; {one.min_app} or later may use it" if one.min_app else ""
        stands = f"{one.phase} of {one.migration}" if one.migration else "nothing"
        yield f"{one.database}: {stands} stands since {moment(one.at)}{least}"
    if not runs:
        yield "nothing was run yet; begin with `greenlane migrations run`"
        return
    rows = [("run", "database", "phase", "standing", "since", "by")]
    for run in runs:
        phase = f"{run.phase}, undone" if run.stage == "undo" else run.phase
        since = moment(run.ended_at or run.started_at)
        rows.append((run.run, run.database, phase, run.standing, since, run.requested_by))
    yield from table(rows)


def run_lines(run: "RunRecord", asked: "Asked | None") -> Iterator[str]:
    """One run: where it stands, why, and what one can do."""
    yield f"{run.run}: {run.phase} on {run.database}, {standing(run)}"
    yield f"  asked   by {run.requested_by} at {moment(run.started_at)}{_why(run.reason)}"
    if run.deployment:
        yield f"  with    the deployment {run.deployment}"
    for one in run.overrides:
        yield f"  despite {one.rule}, by {one.person}: {one.reason}"
    if run.progress is not None:
        yield f"  at      {progress_text(run.progress)}"
    if run.standing == "running" and run.waits_for:
        yield f"  waits   {run.waits_for}"
    if run.backup is not None:
        before = run.backup
        kind = "no backup" if before.kind == "none" else before.kind
        kept = before.snapshot or f"{moment(before.at)}{f', {before.lsn}' if before.lsn else ''}"
        yield f"  before  {kind}, {kept}{_why(before.note)}"
    if run.failure:
        yield f"  because {run.failure}"
    if asked is not None:
        undo = ", and undo it" if asked.undo else ""
        yield f"  {asked.by} asked it to {asked.name}{undo}{_why(asked.reason)}"
    for line in can_do(run, asked):
        yield f"  {line}"


def can_do(run: "RunRecord", asked: "Asked | None") -> Iterator[str]:
    """What a person can do about a run."""
    paused = asked is not None and asked.name == "pause"
    if run.standing == "running":
        yield f"you can: {'resume' if paused else 'pause'}, abort"
    elif run.standing in ("failed", "stopped", "dead", "undone"):
        yield "you can: run that phase again; it goes on where the database says that it was"
    if run.standing in ("succeeded", "stopped", "failed", "dead") and run.stage != "undo":
        yield f"take it back: greenlane migrations rollback {run.run}"


def standing(run: "RunRecord") -> str:
    """Where a run stands, in some words."""
    if run.standing != "running":
        return f"{run.standing} at {moment(run.ended_at or run.updated_at)}"
    doing = {"check": "is checked", "run": "runs", "undo": "is being undone"}[run.stage]
    return f"{doing}, but waits" if run.waits_for else doing


def progress_text(progress: "Progress") -> str:
    """Where a run is, in its files."""
    said = f"{progress.migration}, statement {progress.statement + 1} of {progress.of}"
    if progress.rows_done is not None:
        said += f", {progress.rows_done:,} rows"
        if progress.rows_estimate:
            said += f" of a table of about {progress.rows_estimate:,}"
        if progress.rows_per_second:
            said += f", {progress.rows_per_second:,.0f} rows looked at a second"
    return f"{said}: {progress.detail}" if progress.detail else said


def change_key(run: "RunRecord") -> object:
    """What a watch prints another line for."""
    place = run.progress and (run.progress.migration, run.progress.statement, run.progress.detail)
    return run.standing, run.stage, run.waits_for, place


def change_line(run: "RunRecord") -> str:
    """One line of a watch."""
    said = f"{run.updated_at:%H:%M:%S}  {standing(run)}"
    if run.progress is not None:
        said += f"  {progress_text(run.progress)}"
    return f"{said}  waits: {run.waits_for}" if run.waits_for else said


def ended_lines(ended: "Ended") -> Iterator[str]:
    """How a run ended."""
    yield f"{ended.run} {ended.standing}{_why(ended.why)}"
    if ended.untouched:
        yield "  nothing was changed"
    if ended.undone:
        yield f"  {ended.undone}"


def rollback_lines(rollback: "Rollback") -> Iterator[str]:
    """What taking a run back would do, one statement after the other."""
    yield f"{rollback.run}: taking back {_files(rollback.files)} on {rollback.database}"
    for step in rollback.steps:
        yield f"  {step.of}  {step.grade}: {step.why}"
        yield from (f"      {line}" for line in _step_lines(step))
    for one in rollback.left:
        yield f"  {one.of}  stays: {one.why}"
    accepted = [one for one in rollback.loses if one not in rollback.wanting]
    if accepted:
        yield f"lost, as you accepted: {', '.join(accepted)}"
    if rollback.basis == "text":
        yield "by the files alone: the database's ledger decides; --database DSN looks at it"


def _step_lines(step: "ForeseenStep") -> Iterator[str]:
    yield from (line for sql in step.sql for line in f"{sql};".splitlines())
    if step.locks:
        yield f"takes {', '.join(step.locks)}, {_seconds(step)}"
    yield from (f"only if this says true, under its lock: {query}" for query in step.proof)


def _seconds(step: "ForeseenStep") -> str:
    if step.seconds is None:
        return "for as long as it reads the table" if step.sql else "for a moment"
    return f"about {step.seconds:,.0f} s of reading" if step.seconds >= 1 else "for a moment"


def moment(at: "datetime | None") -> str:
    """An instant to the second."""
    return "never" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _why(text: str) -> str:
    return f": {text}" if text else ""
