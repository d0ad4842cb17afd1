"""What a run does next, after each of its steps. Pure; no I/O.

Order of a watch, the first that is true decides:

1. a person, or the end of its deployment, ends the run;
2. a slice was refused, or too many in a row have failed with an error;
3. its execution has used up its rounds: another one goes on;
4. it is paused, its deployment is not well, or an alarm is red: it waits;
5. a contract that has not begun, and that would break what runs or may come back, ends;
6. it goes on where it was.

What undoes a failed run is not held up by alarms or deployments: a schema that is half done helps
nobody. A person may pause it, and end it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from greenlane.errors import Aborted, DataLoss, InvalidInput, MigrationFailed, Refused
from greenlane.migrations.guarding.lease import Asked
from greenlane.migrations.guarding.model import MigrationRun, Next, Trouble
from greenlane.migrations.running.model import CheckResult, SliceResult
from greenlane.migrations.validating.model import Finding
from greenlane.people.wording import clip

PAUSE_SECONDS = 30
"""Between two watches of a run that is paused or waits for somebody else."""

LONGEST_WAIT_SECONDS = 300
"""A run that waits for a lock or a replica is watched at least so often; its lease lives longer."""

MOST_ROUNDS = 1000
"""Of one execution, at most 16 events each; Step Functions ends one that has 25,000."""

MOST_TROUBLES = 10
"""Slices that failed with an error, one after the other: some ten minutes at least."""

_LONGEST_CAUSE = 8000
"""Characters; what goes from state to state is 256 KiB at most."""

_FINAL = frozenset({Refused.__name__, InvalidInput.__name__, DataLoss.__name__})
"""Errors of slices that the same slice would meet again."""


@dataclass(frozen=True)
class Seen:
    """What a watch has found.

    Args:
        asked: what a person asks of the run.
        over: why the run's deployment has ended, when it has, without success.
        unwell: why the deployment, or the service, is not well enough to go on.
        red: the alarms that are red.
        refused: why a contract may not run.
    """

    asked: Asked | None = None
    over: str = ""
    unwell: str = ""
    red: Sequence[str] = ()
    refused: Sequence[str] = ()


def after_watch(run: MigrationRun, seen: Seen) -> MigrationRun:
    """What a watch leads to."""
    trouble, run = run.trouble, _counted(run)
    undoing, asked = run.stage == "undo", seen.asked
    if asked is not None and asked.name == "abort" and not (undoing and asked.undo):
        why = f"{asked.by} ended it: {asked.reason or 'no reason given'}"
        return _end_early(run, why, undo=asked.undo)
    if seen.over and not undoing:
        return _end_early(run, seen.over, undo=False)
    if trouble is not None and (trouble.Error in _FINAL or run.troubles >= MOST_TROUBLES):
        return failed(run, trouble)
    if run.rounds >= MOST_ROUNDS:
        return _to(run, "hand_over")
    if why := _waits_for(run, seen):
        return _to(run, "wait", wait_seconds=PAUSE_SECONDS, held_for=why)
    run = run.model_copy(update={"held_for": ""})
    if seen.refused and not run.begun:
        return failed(run, Trouble(Error=Refused.__name__, Cause="; ".join(seen.refused)))
    # From here on a slice may have changed something, whether or not it can tell.
    return _to(run, run.stage, begun=run.begun or run.stage == "run")


def after_check(run: MigrationRun, result: CheckResult) -> MigrationRun:
    """What a check leads to: a backup, a wait, or the end."""
    match result.outcome:
        case "ready":
            said = _said(result.reasons, [one for one in result.findings if one.severity != "info"])
            found = {"checked": said, "at": result.at, "lsn": result.lsn}
            return _to(run, "back_up", stage="run", waits_for="", **found)
        case "waiting":
            return _wait(run, result.wait_seconds, "; ".join(result.reasons))
    blocking = [one for one in result.findings if one.severity == "block"]
    said = _said(result.reasons, blocking)
    return failed(run, Trouble(Error=Refused.__name__, Cause=said))


def _said(reasons: Sequence[str], findings: Sequence[Finding]) -> str:
    said = [*reasons, *(f"{one.rule}: {one.message}" for one in findings)]
    return clip("; ".join(said), _LONGEST_CAUSE)


def after_slice(run: MigrationRun, result: SliceResult) -> MigrationRun:
    """What a slice forward leads to."""
    run = run.model_copy(update={"progress": result.progress, "troubles": 0})
    match result.outcome:
        case "again":
            return _to(run, "watch", waits_for="")
        case "waiting":
            return _wait(run, result.wait_seconds, result.progress.detail)
        case "done":
            return _to(run, "publish", waits_for="", outcome="succeeded")
    run = run.model_copy(update={"slice_failure": result.failure})
    return failed(run, trouble_of(result))


def after_undo(run: MigrationRun, result: SliceResult) -> MigrationRun:
    """What a slice back leads to. A failure that it undoes stays the run's."""
    run = run.model_copy(update={"progress": result.progress, "troubles": 0})
    match result.outcome:
        case "again":
            return _to(run, "watch", waits_for="")
        case "waiting":
            return _wait(run, result.wait_seconds, result.progress.detail)
        case "done" if run.request.undo and result.in_use:
            said = "; ".join(result.in_use)
            return failed(run, Trouble(Error=MigrationFailed.__name__, Cause=said))
        case "done" if run.request.undo:
            return _to(run, "publish", waits_for="", outcome="succeeded")
        case "done":
            return _to(run, "release", waits_for="", outcome="undone")
    return failed(run, trouble_of(result))


def failed(run: MigrationRun, trouble: Trouble) -> MigrationRun:
    """What a failure leads to: undoing what is exact to undo, or the end.

    A failure while undoing ends the run: what stands is told, and nobody guesses.
    """
    trouble = Trouble(Error=trouble.Error, Cause=clip(trouble.Cause, _LONGEST_CAUSE))
    if run.stage == "undo":
        before = run.failure.Cause if run.failure is not None else "it was to be undone"
        said = f"{before}; and it could not be undone: {trouble.Cause}"
        both = Trouble(Error=trouble.Error, Cause=clip(said, _LONGEST_CAUSE))
        return _to(run, "release", outcome="failed", failure=both)
    if run.begun and run.request.on_failure == "undo":
        return _to(run, "watch", stage="undo", failure=trouble, troubles=0, waits_for="")
    return _to(run, "release", outcome="failed", failure=trouble)


def trouble_of(result: SliceResult) -> Trouble:
    """A slice's failure as the state machine reports it."""
    failure = result.failure
    if failure is None:
        return Trouble(Error=MigrationFailed.__name__, Cause=result.progress.detail)
    where = f"{result.progress.migration}, statement {failure.statement}"
    if failure.line is not None:
        where += f", line {failure.line}"
    said = f"{where}: {failure.error}: {failure.message}"
    return Trouble(Error=MigrationFailed.__name__, Cause=said)


def _counted(run: MigrationRun) -> MigrationRun:
    more = 1 if run.trouble is not None else 0
    counted = {"rounds": run.rounds + 1, "turns": run.turns + 1, "troubles": run.troubles + more}
    return run.model_copy(update={**counted, "trouble": None})


def _end_early(run: MigrationRun, why: str, *, undo: bool) -> MigrationRun:
    trouble = Trouble(Error=Aborted.__name__, Cause=why)
    if run.stage == "undo":
        return failed(run, trouble)
    if undo and run.begun:
        return _to(run, "watch", stage="undo", failure=trouble, waits_for="")
    return _to(run, "release", outcome="stopped", failure=trouble)


def _waits_for(run: MigrationRun, seen: Seen) -> str:
    if seen.asked is not None and seen.asked.name == "pause":
        return f"{seen.asked.by} paused it" + (
            f": {seen.asked.reason}" if seen.asked.reason else ""
        )
    if run.stage == "undo":
        return ""
    if seen.unwell:
        return seen.unwell
    return f"red: {', '.join(seen.red)}" if seen.red else ""


def _wait(run: MigrationRun, seconds: float, why: str) -> MigrationRun:
    whole = max(1, min(round(seconds), LONGEST_WAIT_SECONDS))
    return _to(run, "wait", wait_seconds=whole, waits_for=why)


def _to(run: MigrationRun, next_: Next, **changes: object) -> MigrationRun:
    return run.model_copy(update={"next": next_, **changes})
