"""How restores are printed."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from greenlane.cli.flags_views import table

if TYPE_CHECKING:
    from datetime import datetime

    from greenlane.migrations.restoring.manager import Open
    from greenlane.migrations.restoring.model import RestoreRecord
    from greenlane.migrations.restoring.salvaging import SalvageStep


def restore_rows(restores: "Sequence[RestoreRecord]") -> Iterator[str]:
    """All restores, one line each."""
    if not restores:
        yield "nothing was restored"
        return
    rows = [("restore", "database", "to before", "standing", "since", "by")]
    for one in restores:
        to = "" if one.state is None else one.state.request.run
        since = f"{one.ended_at or one.started_at:%Y-%m-%d %H:%M}"
        rows.append((one.restore, one.database, to, one.standing, since, one.requested_by))
    yield from table(rows)


def restore_lines(
    record: "RestoreRecord", question: "Open | None", now: "datetime"
) -> Iterator[str]:
    """One restore: where it stands, what it costs, and what it asks."""
    from greenlane.migrations.restoring.asking import ways_out
    from greenlane.migrations.restoring.wording import delete_commands, facts_of

    yield f"{record.restore}: {record.database}, {record.standing}"
    yield f"  asked by: {record.requested_by}: {record.reason}"
    if record.failure:
        yield f"  because: {record.failure}"
    state = record.state
    if state is None:
        return
    for name, said in facts_of(state, record.ended_at or now).items():
        yield f"  {name}: {said}"
    if record.standing == "running":
        for number, step in enumerate(state.plan.steps, 1):
            yield f"  step {number}: {step.title} ({step.who})"
    elif record.standing != "cut_over":
        for command in delete_commands(state.plan):
            yield f"  deleted by: {command}"
    if question is not None:
        yield f"it waits for an answer to {question.question}, offer {question.asked.offer}:"
        yield from ways_out(question.question, state, question.asked.offer).splitlines()


_WHERE = {"new": "in the new database", "old": "in the old database", "shell": "in a shell"}


def salvage_lines(steps: "Sequence[SalvageStep]") -> Iterator[str]:
    """The statements of a salvage, each below what it does; all but SQL and commands is comment."""
    for number, step in enumerate(steps, 1):
        mark = "#" if step.where == "shell" else "--"
        yield f"{mark} {number}. {_WHERE[step.where]}: {step.title}"
        yield step.text
        yield ""
