"""Whether a plan is still the one that a database has the beginning of. Pure; no I/O."""

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from greenlane.migrations.declaring.plan import Migration, Plan
from greenlane.migrations.validating.model import PHASES

Kind = Literal["edited", "missing", "renamed", "reordered", "late"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AppliedMigration(_Part):
    """A file that has run, or has begun to, as the ledger has it.

    Args:
        id: the file's name without `.sql`.
        sha256: of its text, when it ran.
        fingerprint: of its text, without layout, comments and constants.
    """

    id: str
    sha256: str
    fingerprint: str = ""


class Drift(_Part):
    """One way in which plan and database differ; any of them stops a run.

    Args:
        kind: `edited`: a file that ran was changed. `missing`: it is gone. `renamed`: its text has
            another name now. `reordered`: files ran in another order than they stand in. `late`:
            a file that has not run stands before one of its phase, or a later one, that has.
        migration: the file's id.
    """

    kind: Kind
    migration: str
    message: str


def drift(plan: Plan, applied: Sequence[AppliedMigration]) -> tuple[Drift, ...]:
    """Compare a plan with the ledger.

    Args:
        plan: what is to run.
        applied: what ran, in the order in which it began; without what was undone.
    """
    known = {one.id: one for one in plan.migrations}
    return (
        *_changed(plan, applied, known),
        *_reordered(applied, known),
        *_late(plan, {one.id for one in applied}),
    )


def _changed(
    plan: Plan, applied: Sequence[AppliedMigration], known: dict[str, Migration]
) -> Iterator[Drift]:
    ran = {one.id for one in applied}
    by_text = {one.script.sha256: one.id for one in plan.migrations if one.id not in ran}
    for row in applied:
        now = known.get(row.id)
        if now is None and (name := by_text.get(row.sha256)):
            said = f"{row.id} has run, and is called {name} now; give it its name back"
            yield Drift(kind="renamed", migration=row.id, message=said)
        elif now is None:
            said = f"{row.id} has run, and the folder has it no longer; bring it back"
            yield Drift(kind="missing", migration=row.id, message=said)
        elif now.script.sha256 != row.sha256:
            cosmetic = now.script.fingerprint == row.fingerprint
            what = "layout, comments or constants only" if cosmetic else "what it does"
            said = (
                f"{row.id} was changed after it ran, in {what}; bring the text back that ran, and "
                "write a new file for what is to be different"
            )
            yield Drift(kind="edited", migration=row.id, message=said)


def _reordered(applied: Sequence[AppliedMigration], known: dict[str, Migration]) -> Iterator[Drift]:
    """Files of one phase run in their order; phases of several releases may overlap."""
    last: dict[str, AppliedMigration] = {}
    for row in applied:
        now = known.get(row.id)
        if now is None:
            continue
        before = last.get(now.phase)
        if before is not None and known[before.id].declared.number > now.declared.number:
            said = f"{row.id} ran after {before.id}, and stands before it; keep the order that ran"
            yield Drift(kind="reordered", migration=row.id, message=said)
        else:
            last[now.phase] = row


def _late(plan: Plan, ran: set[str]) -> Iterator[Drift]:
    """A contract may still be to come when the next release has expanded; nothing else may."""
    for at, one in enumerate(plan.migrations):
        if one.id in ran:
            continue
        after = next(
            (
                other
                for other in plan.migrations[at + 1 :]
                if other.id in ran and PHASES.index(other.phase) >= PHASES.index(one.phase)
            ),
            None,
        )
        if after is not None:
            said = (
                f"{one.id} has not run, and stands before {after.id}, which has; "
                "give it a number after all others"
            )
            yield Drift(kind="late", migration=one.id, message=said)
