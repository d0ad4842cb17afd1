"""From statements that ran to what undoes them, in the reverse of their order.

Each inverse is made for the state right after its statement, so going back goes through the states
that going forward went through, and stops in one of them.
"""

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from greenlane.errors import DataLoss
from greenlane.migrations.inverting.model import Inverse
from greenlane.migrations.sql.parsing import Script, parse_script
from greenlane.migrations.validating.model import RunsAs


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Applied(_Part):
    """A statement that ran, as the ledger has it.

    Args:
        migration: its file's id.
        statement: its place in the file, from 0.
        line: of its file, from 1.
        sql: the statement.
        inverse: as it was graded right before it ran.
    """

    migration: str
    statement: int
    line: int
    sql: str
    inverse: Inverse

    @property
    def name(self) -> str:
        """`0007_expand:3`: the file and the line."""
        return f"{self.migration}:{self.line}"


class Step(_Part):
    """One statement to undo.

    Args:
        of: what it undoes.
        sql: what runs; nothing where there is nothing to do.
        runs_as: how each of them runs.
        proof: queries that must all say true right before; if one does not, undoing stops there.
    """

    of: Applied
    sql: tuple[str, ...] = ()
    runs_as: tuple[RunsAs, ...] = ()
    proof: tuple[str, ...] = ()


class Left(_Part):
    """A statement that is not undone, and why."""

    of: Applied
    why: str


class RollbackPlan(_Part):
    """What undoing takes.

    Args:
        steps: in the order in which they run: the last statement first.
        left: statements that stay as they are, likewise.
        loses: what is lost, by name, as it was accepted.
    """

    steps: tuple[Step, ...] = ()
    left: tuple[Left, ...] = ()
    loses: tuple[str, ...] = ()

    def script(self) -> Script:
        """All of it as one script, to be judged by the same rules as any other."""
        lines = []
        for step in self.steps:
            lines.append(f"-- undoes {step.of.name} ({step.of.inverse.grade})")
            lines += [f"{sql};" for sql in step.sql]
        return parse_script("\n".join(lines) + "\n", "rollback")


def create_rollback_plan(
    applied: Sequence[Applied],
    *,
    accept_data_loss: Iterable[str] = (),
    unwritten: bool = False,
    exact_only: bool = False,
) -> RollbackPlan:
    """Plan to undo statements, the last one first.

    Args:
        applied: the statements that ran, in their order; those of earlier migrations too, if they
            are to be undone.
        accept_data_loss: what may be lost: objects as `Inverse.loses` names them, or statements
            by file and line, such as `0007_expand:3`.
        unwritten: nobody has written what only the new schema takes, because no version that
            knows it has run. Without it the queries of `Inverse.proof` have to say so.
        exact_only: never raise; stop before the first statement that cannot be undone exactly.
            What ran before it stays too.

    Raises:
        DataLoss: with every object that would be lost and is not accepted.
    """
    accepted = frozenset(accept_data_loss)
    back = list(reversed(applied))
    refused = [_refusal(back, at, accepted, unwritten) for at in range(len(back))]
    if not exact_only:
        wanting = [one for one in refused if one]
        if wanting:
            told = {name: why for names, why in wanting for name in names}
            raise DataLoss(list(told), list(told.values()))
        cut = len(back)
    else:
        cut = _cut(back, refused)
    stays = [_stays(back, at) for at in range(len(back))]
    steps = [_step(back, at, accepted, unwritten) for at in range(cut) if not stays[at]]
    left = [
        Left(of=one, why=stays[at] or one.inverse.why)
        for at, one in enumerate(back)
        if at >= cut or stays[at]
    ]
    lost = (name for step in steps if not step.proof for name in _lost(step.of, unwritten))
    return RollbackPlan(steps=tuple(steps), left=tuple(left), loses=tuple(dict.fromkeys(lost)))


def _stays(back: list[Applied], at: int) -> str:
    """Why nothing is done about a statement, though a person accepted that; else empty."""
    if back[at].inverse.grade == "none":
        return back[at].inverse.why
    missing = _uncovered(back, at)
    return missing[1] if missing is not None else ""


def _lost(one: Applied, unwritten: bool) -> tuple[str, ...]:
    if one.inverse.grade == "exact_until_written" and unwritten:
        return ()
    return one.inverse.loses


def _refusal(
    back: list[Applied], at: int, accepted: frozenset[str], unwritten: bool
) -> tuple[tuple[str, ...], str] | None:
    """What has to be accepted before this one is undone, and why; None if nothing has."""
    one = back[at]
    inverse = one.inverse
    if one.name in accepted:
        return None
    if inverse.grade == "exact":
        return _uncovered(back, at)
    if inverse.grade == "exact_until_written":
        if unwritten or not inverse.loses or _proof(back, at) is not None:
            return None
        why = "nobody can tell whether it was written to, and it would go"
    else:
        why = inverse.why
    missing = tuple(name for name in inverse.loses or (one.name,) if name not in accepted)
    return (missing, why) if missing else None


def _uncovered(back: list[Applied], at: int) -> tuple[tuple[str, ...], str] | None:
    """A covered statement whose cover is not among what is undone."""
    missing = set(back[at].inverse.covered_by) - _made(back[at:])
    return ((back[at].name,), "what it wrote stays") if missing else None


def _made(applied: Iterable[Applied]) -> set[str]:
    return {name for one in applied for name in one.inverse.makes}


def _proof(back: list[Applied], at: int) -> tuple[str, ...] | None:
    """Its queries, unless the plan itself has written what they look at."""
    inverse = back[at].inverse
    written = {name for one in back[:at] for name in one.inverse.covered_by}
    return None if written & set(inverse.makes) else inverse.proof


def _step(back: list[Applied], at: int, accepted: frozenset[str], unwritten: bool) -> Step:
    one = back[at]
    inverse = one.inverse
    by_name = one.name in accepted or bool(inverse.loses) and set(inverse.loses) <= accepted
    skip = unwritten or by_name or inverse.grade != "exact_until_written"
    proof = () if skip else _proof(back, at) or ()
    return Step(of=one, sql=inverse.sql, runs_as=inverse.runs_as, proof=proof)


def _cut(back: list[Applied], refused: list[tuple[tuple[str, ...], str] | None]) -> int:
    """How many can be undone: up to the first that cannot, and never half of what is covered."""
    cut, open_covers = 0, set[str]()
    for at, one in enumerate(back):
        if refused[at] or one.inverse.grade in ("lossy", "none"):
            break
        open_covers |= set(one.inverse.covered_by)
        open_covers -= set(one.inverse.makes)
        if not open_covers:
            cut = at + 1
    return cut
