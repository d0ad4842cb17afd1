"""How a run ended. Pure; no I/O."""

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.migrations.guarding.model import RunRecord, Standing

_REFUSALS = frozenset(
    {"Refused", "InvalidInput", "UnknownDatabase", "MigrationInFlight", "LeaseLingers"}
)
"""Errors of the first step, before which nothing was changed."""


class Ended(StoredModel):
    """The end of a run.

    Args:
        standing: how it ended.
        why: what the run says of it.
        undone: of one that undid: what that came to, in words.
        untouched: whether it ended before its first statement.
    """

    run: str
    standing: Standing
    why: str = ""
    undone: str = ""
    untouched: bool = False


def ended_of(record: RunRecord) -> Ended | None:
    """How a run ended by its own line; None while it runs."""
    if record.standing == "running":
        return None
    undone = record.progress.detail if record.stage == "undo" and record.progress else ""
    untouched = record.standing == "refused" or record.stage == "check"
    return Ended(
        run=record.run,
        standing=record.standing,
        why=record.failure,
        undone=undone,
        untouched=untouched,
    )


def ended_without_word(run: str, why: str, *, refused: str = "") -> Ended:
    """Of an execution that ended and wrote nothing.

    Args:
        run: its run.
        why: what Step Functions says.
        refused: the error's name, where the run never began.
    """
    standing: Standing = "refused" if refused in _REFUSALS else "dead"
    return Ended(run=run, standing=standing, why=why, untouched=standing == "refused")
