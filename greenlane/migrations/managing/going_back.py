"""What taking a run back would do and lose, before anybody says so.

What ran, and how each statement is undone, is in the ledger of the database. Without a connection
to it the plan's text has to do: then what is said is the worst that the text allows, and the run
that undoes reads the ledger all the same.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.errors import DataLoss, InvalidInput, Refused
from greenlane.migrations.catalog.model import Catalog
from greenlane.migrations.catalog.reading import read_catalog
from greenlane.migrations.declaring.plan import Migration, Plan
from greenlane.migrations.guarding.model import RunRecord
from greenlane.migrations.inverting.grading import foresee_inverses
from greenlane.migrations.inverting.model import Grade
from greenlane.migrations.inverting.rollback import (
    Applied,
    RollbackPlan,
    Step,
    create_rollback_plan,
)
from greenlane.migrations.planning.described import VERSION
from greenlane.migrations.running import ledger
from greenlane.migrations.running.fence import APPLICATION
from greenlane.migrations.running.session import Connect, Session
from greenlane.migrations.running.undoing import applied, is_applied
from greenlane.migrations.sql.parsing import parse_script
from greenlane.migrations.validating.assessing import assess
from greenlane.migrations.validating.model import PHASES, Phase

BYTES_PER_SECOND = 100_000_000
"""At which a table is taken to be read; an assumption, about what a small instance's disk does."""


class ForeseenStep(StoredModel):
    """One statement that would be undone.

    Args:
        of: its file and line, such as `0007_expand:3`.
        grade: how well.
        why: what the grade rests on.
        sql: what runs, in its order.
        locks: what that takes, such as `ACCESS EXCLUSIVE on public.people`.
        seconds: how long the tables that it reads whole take; None where nobody knows their size.
        proof: queries that must say true right before, under its lock.
        loses: objects whose data would go.
    """

    of: str
    grade: Grade
    why: str
    sql: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    seconds: float | None = None
    proof: tuple[str, ...] = ()
    loses: tuple[str, ...] = ()


class StaysBehind(StoredModel):
    """A statement that stays as it is, and why."""

    of: str
    why: str


class Rollback(StoredModel):
    """What taking a run back takes.

    Args:
        run: what is taken back.
        phase: the earliest of the files.
        files: ids, the last one first.
        steps: in the order in which they run.
        left: what stays as it is, as it was accepted.
        loses: what is lost.
        wanting: of that, what nobody has accepted, and why it is lost; nothing runs before that.
        basis: whether the ledger said so, or the plan's text had to do.
    """

    run: str
    database: str
    phase: Phase
    plan_sha: str
    files: tuple[str, ...]
    steps: tuple[ForeseenStep, ...] = ()
    left: tuple[StaysBehind, ...] = ()
    loses: tuple[str, ...] = ()
    wanting: dict[str, str] = {}
    accept_data_loss: tuple[str, ...] = ()
    basis: Literal["ledger", "text"]

    def refuse_loss(self) -> None:
        """Raise `DataLoss` where something would be lost that nobody has accepted."""
        if self.wanting:
            raise DataLoss(list(self.wanting), list(self.wanting.values()))


def foresee_rollback(
    record: RunRecord,
    plan: Plan,
    connect: Connect | None,
    *,
    files: Sequence[str] = (),
    accept_data_loss: Iterable[str] = (),
    phases: Collection[Phase] = PHASES,
) -> Rollback:
    """Say what taking a run back would do, as `create_rollback_plan` decides it.

    Args:
        record: the run.
        plan: that it ran.
        connect: opens a session that may write nothing; without one the plan's text has to do.
        files: ids to take back instead of those that the run began, and of those after it.
        accept_data_loss: what may be lost, by name.
        phases: that were run since, as far as is known without the ledger.

    Raises:
        Refused: nothing of it stands, or a file that stands would be left out.
        InvalidInput: the plan has no such file, or nobody can say which files are meant.
        ConnectionLost: the database does not answer.
    """
    accepted = tuple(dict.fromkeys(accept_data_loss))
    for name in files:
        plan.migration(name)
    if connect is None:
        chosen, gone = _by_text(record, plan, files, phases), set[str]()
        statements, catalog = _foreseen(chosen), None
    else:
        with connect(f"{APPLICATION}/look") as session:
            chosen = _by_ledger(session, record, plan, files)
            rows = ledger.statements(session, [one.id for one in chosen])
            statements = [applied(one) for one in rows if is_applied(one)]
            gone = {applied(one).name for one in rows if one.inverse and one.state == "undone"}
            catalog = read_catalog(session)
    back, wanting = _planned(statements, accepted)
    return Rollback(
        run=record.run,
        database=record.database,
        phase=min((one.phase for one in chosen), key=PHASES.index),
        plan_sha=plan.sha256,
        files=tuple(one.id for one in reversed(chosen)),
        steps=tuple(_told(one, catalog) for one in back.steps if one.of.name not in gone),
        left=tuple(StaysBehind(of=one.of.name, why=one.why) for one in back.left),
        loses=back.loses,
        wanting=wanting,
        accept_data_loss=accepted,
        basis="text" if connect is None else "ledger",
    )


def _planned(
    statements: Sequence[Applied], accepted: Sequence[str]
) -> tuple[RollbackPlan, dict[str, str]]:
    """The plan, as if all that it loses were accepted, and what was not."""
    try:
        return create_rollback_plan(statements, accept_data_loss=accepted), {}
    except DataLoss as error:
        wanting = dict(zip(error.objects, error.reasons, strict=True))
        every = (*accepted, *error.objects)
        return create_rollback_plan(statements, accept_data_loss=every), wanting


def _by_ledger(
    session: Session, record: RunRecord, plan: Plan, files: Sequence[str]
) -> list[Migration]:
    """What the run began and what began after that, in the order in which they began."""
    begun = ledger.migrations(session) if ledger.exists(session) else []
    stand = [one.id for one in begun if one.state != "undone"]
    first = files or ledger.begun_by(session, _executions(record)) if begun else ()
    at = [stand.index(name) for name in first if name in stand]
    if not at:
        asked = ", ".join(files) or f"what {record.run} began"
        raise Refused(f"{record.database}: nothing of {asked} stands; there is nothing to undo")
    chosen = stand[min(at) :]
    if files and (more := [one for one in chosen if one not in files]):
        raise Refused(
            f"{', '.join(more)} began after {stand[min(at)]}: going back goes from the last one "
            f"on; add {' '.join(f'--file {one}' for one in more)}"
        )
    return [plan.migration(name) for name in chosen]


def _executions(record: RunRecord) -> str:
    """A pattern of the ARNs of a run's executions: a long run has `m-1`, `m-1-2`, `m-1-3`."""
    return rf":{record.run.replace('.', '[.]')}(-\d+)?$"


def _by_text(
    record: RunRecord, plan: Plan, files: Sequence[str], phases: Collection[Phase]
) -> list[Migration]:
    """The files of the run's phase, and of later ones that were run, that are of its release."""
    if files:
        return [one for one in plan.migrations if one.id in files]
    of_phase = plan.of(record.phase)
    last = record.progress.migration if record.progress is not None else ""
    release = next((one.declared.release for one in of_phase if one.id == last), None)
    later = [record.phase, *(one for one in PHASES[PHASES.index(record.phase) :] if one in phases)]
    chosen = [
        one for one in plan.migrations if one.phase in later and one.declared.release == release
    ]
    if release is None and len(of_phase) > 1:
        named = " ".join(f"--file {one.id}" for one in of_phase)
        way_out = f"say which files, such as {named}, or let --database look at what ran"
        raise InvalidInput("rollback", record.run, way_out)
    return chosen or list(of_phase)


def _foreseen(chosen: Sequence[Migration]) -> list[Applied]:
    """Each statement with the inverse that its text allows."""
    empty = Catalog(version=VERSION, tables={})
    inverses = iter(foresee_inverses([one.script for one in chosen], empty))
    return [
        Applied(
            migration=one.id,
            statement=statement.index,
            line=statement.line,
            sql=statement.text,
            inverse=next(inverses),
        )
        for one in chosen
        for statement in one.script.statements
    ]


def _told(step: Step, catalog: Catalog | None) -> ForeseenStep:
    inverse = step.of.inverse
    judged = [one for sql in step.sql for one in assess(parse_script(sql, "rollback"), catalog)]
    locks = [f"{lock.mode} on {lock.table}" for one in judged for lock in one.locks]
    read = [key for one in judged for key in (*one.scans, *one.rewrites)]
    tables = catalog.tables if catalog is not None else {}
    known = all(key in tables for key in read)
    size = sum(tables[key].bytes for key in read) if known else 0
    return ForeseenStep(
        of=step.of.name,
        grade=inverse.grade,
        why=inverse.why,
        sql=step.sql,
        locks=tuple(dict.fromkeys(locks)),
        seconds=size / BYTES_PER_SECOND if known else None,
        proof=step.proof,
        loses=() if step.proof else inverse.loses,
    )
