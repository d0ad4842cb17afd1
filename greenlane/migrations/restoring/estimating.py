"""What going back costs: seconds of writes, and time. Pure; no I/O."""

from collections.abc import Sequence
from datetime import datetime

from greenlane.durations import format_seconds
from greenlane.migrations.restoring.model import Looked, Point, RestorePlan, Rto, TableShape

LAST_MEASURED = 5
"""Restores that count: databases grow, so old ones say little."""

ALWAYS_LOST = (
    "sequences go back too: numbers that were given out since will be given out again",
    "what other systems were told since stays told: payments, mails, queues, caches",
)


def rpo_seconds(point: Point, until: datetime) -> float:
    """How many seconds of writes are lost if nothing is written after `until`."""
    return max(0.0, (until - point.at).total_seconds())


def estimate_rto(measured: Sequence[float], declared: float | None) -> Rto:
    """How long restoring takes: the longest of the last that were measured, or what was declared.

    Args:
        measured: seconds of earlier restores of this database, the newest first.
        declared: what the request says.
    """
    last = measured[:LAST_MEASURED]
    if last:
        return Rto(seconds=max(last), basis="measured", samples=len(last))
    if declared is not None:
        return Rto(seconds=declared, basis="declared")
    return Rto(seconds=None, basis="unknown")


def rto_said(rto: Rto) -> str:
    """The estimate in words."""
    if rto.seconds is None:
        return "nobody knows: no restore of this database was measured, and none declared"
    if rto.basis == "declared":
        return f"{format_seconds(rto.seconds)}, as declared; none was measured yet"
    return f"{format_seconds(rto.seconds)}, the longest of the last {rto.samples} measured"


def losses(plan: RestorePlan, looked: Looked | None, until: datetime | None) -> tuple[str, ...]:
    """What is lost by going back, each by its name.

    Args:
        plan: with the point, and the runs that the new database does not have.
        looked: what both databases hold, once that is known.
        until: when writing ends; None leaves out how long that is, for it grows all the time.
    """
    point = plan.point
    since = f"every write to {plan.old} since {point.at:%Y-%m-%d %H:%M:%S} UTC"
    if until is not None:
        seconds = rpo_seconds(point, until)
        since += f": {seconds:.0f} seconds ({format_seconds(seconds)})"
    found = [since]
    found += [
        f"the {one.phase} of {one.run} ({one.standing}), begun {one.started_at:%Y-%m-%d %H:%M:%S}"
        for one in plan.lost_runs
    ]
    if looked is not None:
        found += _tables(looked)
    return (*found, *ALWAYS_LOST)


def _tables(looked: Looked) -> list[str]:
    if not looked.old_answers:
        return [
            f"of {one.name} nobody knows what: the old one does not answer" for one in looked.then
        ]
    now = {one.name: one for one in looked.now}
    return [_table(one, now[one.name]) for one in looked.then if one.name in now]


def _table(then: TableShape, now: TableShape) -> str:
    if not then.exists:
        return (
            f"{then.name}, which the new one does not have"
            if now.exists
            else (f"{then.name} is in neither")
        )
    if not now.exists:
        return f"nothing of {then.name}: only the new one has it, with {_rows(then)}"
    columns = sorted({one.name for one in now.columns} - {one.name for one in then.columns})
    said = f"{then.name}: {_rows(now)} now, {_rows(then)} then; rows that were changed come on top"
    return said + (f"; and its columns {', '.join(columns)}" if columns else "")


def _rows(table: TableShape) -> str:
    return "too many rows to count" if table.rows is None else f"{table.rows} rows"
