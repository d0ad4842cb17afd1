"""What undoing a statement takes, and what it would cost."""

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict

from greenlane.migrations.sql.parsing import Statement, parse_script
from greenlane.migrations.validating.model import RunsAs

Grade = Literal["exact", "exact_until_written", "lossy", "none"]
GRADES: tuple[Grade, ...] = ("exact", "exact_until_written", "lossy", "none")
"""From the best to the worst."""


class Inverse(BaseModel):
    """How one statement is undone. It is made before the statement runs, and kept with it.

    Objects are named as SQL names them, quoted where they must be: `public.orders`, or
    `public.orders.note` for a column.

    Args:
        grade: `exact`: schema and data are as before. `exact_until_written`: so they are as long
            as nobody has used what the statement made possible. `lossy`: the schema comes back,
            but data does not. `none`: nothing is known that undoes it.
        sql: statements in the order in which they run; none where nothing is to be done.
        runs_as: of each of them, how the runner runs it.
        loses: objects whose data goes.
        why: what the grade rests on.
        proof: queries that answer one boolean. While all of them say true, an
            `exact_until_written` inverse loses nothing and works. None: no query can tell.
        covered_by: objects that the same plan made. What the statement did is only in them, and
            goes with them.
        makes: objects that the statement made.
        from_catalog: whether it took the catalog of before the statement, so that it cannot be
            made later.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    grade: Grade
    sql: tuple[str, ...] = ()
    runs_as: tuple[RunsAs, ...] = ()
    loses: tuple[str, ...] = ()
    why: str
    proof: tuple[str, ...] | None = ()
    covered_by: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    from_catalog: bool = False


def nothing(why: str, *, from_catalog: bool = False) -> Inverse:
    """The statement changed nothing that has to be undone."""
    return Inverse(grade="exact", why=why, from_catalog=from_catalog)


def exact(
    sql: Iterable[str], why: str, *, makes: tuple[str, ...] = (), from_catalog: bool = False
) -> Inverse:
    """All is as before once these have run."""
    return _made("exact", sql, why, makes=makes, from_catalog=from_catalog)


def until_written(
    sql: Iterable[str],
    why: str,
    *,
    loses: tuple[str, ...] = (),
    proof: tuple[str, ...] | None = None,
    makes: tuple[str, ...] = (),
    from_catalog: bool = False,
) -> Inverse:
    """All is as before, unless somebody wrote what only the new schema takes."""
    return _made(
        "exact_until_written",
        sql,
        why,
        loses=loses,
        proof=proof,
        makes=makes,
        from_catalog=from_catalog,
    )


def lossy(sql: Iterable[str], loses: tuple[str, ...], why: str) -> Inverse:
    """The schema comes back, and these objects without their data."""
    return _made("lossy", sql, why, loses=loses, proof=None, from_catalog=True)


def none(why: str, loses: tuple[str, ...] = ()) -> Inverse:
    """Nothing is known that undoes it."""
    return Inverse(grade="none", why=why, loses=loses, proof=None)


def covered(objects: Iterable[str], why: str) -> Inverse:
    """What it did goes with objects that the same plan made."""
    return Inverse(grade="exact", why=why, covered_by=tuple(sorted(set(objects))))


def combined(parts: Iterable[Inverse]) -> Inverse:
    """One inverse for what several parts of a statement did, given in the order they ran."""
    all_parts = list(parts)
    if len(all_parts) == 1:
        return all_parts[0]
    if not all_parts:
        return nothing("it changes nothing")
    back = all_parts[::-1]
    worst = max((one.grade for one in all_parts), key=GRADES.index)
    told = [one.why for one in all_parts if one.grade == worst] if worst != "exact" else []
    proofs = [one.proof for one in back]
    return Inverse(
        grade=worst,
        sql=tuple(sql for one in back for sql in one.sql) if worst != "none" else (),
        runs_as=tuple(how for one in back for how in one.runs_as) if worst != "none" else (),
        loses=_once(name for one in all_parts for name in one.loses),
        why="; ".join(_once(told or (one.why for one in all_parts))),
        proof=None if None in proofs else tuple(one for some in proofs for one in some or ()),
        covered_by=_once(name for one in all_parts for name in one.covered_by),
        makes=_once(name for one in all_parts for name in one.makes),
        from_catalog=any(one.from_catalog for one in all_parts),
    )


def runs_as(statement: Statement) -> RunsAs:
    """How a statement of an inverse runs: `alone` where no transaction takes it or should."""
    if statement.kind in ("index_stmt", "drop_stmt") and statement.node.get("concurrent"):
        return "alone"
    kinds = {
        one["alter_table_cmd"]["subtype"]
        for one in statement.node.get("cmds", ())
        if statement.kind == "alter_table_stmt"
    }
    return "alone" if "AT_ValidateConstraint" in kinds else "transaction"


def _made(
    grade: Grade,
    sql: Iterable[str],
    why: str,
    *,
    loses: tuple[str, ...] = (),
    proof: tuple[str, ...] | None = (),
    makes: tuple[str, ...] = (),
    from_catalog: bool = False,
) -> Inverse:
    statements = tuple(sql)
    return Inverse(
        grade=grade,
        sql=statements,
        runs_as=tuple(runs_as(parse_script(one).statements[0]) for one in statements),
        loses=loses,
        why=why,
        proof=proof,
        makes=makes,
        from_catalog=from_catalog,
    )


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
