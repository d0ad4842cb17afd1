"""Scripts to assessments: each statement is judged in the world that those before it left."""

from collections.abc import Iterable

from greenlane.migrations.catalog.model import Catalog
from greenlane.migrations.sql.parsing import Script, Statement
from greenlane.migrations.validating.judging import server
from greenlane.migrations.validating.judging.code import uses_new_label
from greenlane.migrations.validating.judging.table import HANDLERS
from greenlane.migrations.validating.model import PHASES, Assessment, Finding, Phase
from greenlane.migrations.validating.rules import RULES
from greenlane.migrations.validating.verdict import Verdict
from greenlane.migrations.validating.world import World


def assess(
    script: Script,
    catalog: Catalog | None,
    *,
    before: Iterable[Script] = (),
    earlier: Iterable[Script] = (),
) -> tuple[Assessment, ...]:
    """Say what each statement of a script locks, costs and breaks.

    Without a catalog the answer is the worst plausible case, and `certain` is False where it
    mattered. Locks that triggers take when they fire are not told, those of foreign keys included:
    they are never stronger than ROW EXCLUSIVE.

    Args:
        script: what is to run.
        catalog: of the database; None where there is none. It may have been read before or after
            the other scripts ran.
        before: scripts of the same plan that run right before it, with no version of the service
            in between that could use what they make: their tables count as new.
        earlier: scripts of the same plan that ran before those, in earlier phases: what they made
            is known, and in use.

    Returns:
        One for each statement, in their order.
    """
    world = World(catalog)
    for one in earlier:
        _all(one, world)
        world.settle(used=True)
    for one in before:
        _all(one, world)
        world.settle(used=False)
    return _all(script, world)


def problems(assessments: Iterable[Assessment], declared: Phase) -> tuple[Finding, ...]:
    """What is wrong with declaring that phase: a finding for each statement that needs a later one.

    Args:
        assessments: of one file.
        declared: the phase that its manifest gives it.
    """
    rule = RULES["phase-too-early"]
    found = []
    for one in assessments:
        if PHASES.index(one.phase) <= PHASES.index(declared):
            continue
        reasons = [finding for finding in one.findings if finding.severity != "info"]
        because = (
            f" ({', '.join(sorted({finding.rule for finding in reasons}))})" if reasons else ""
        )
        found.append(
            Finding(
                rule=rule.name,
                severity=rule.severity,
                line=one.line,
                statement=one.statement,
                message=f"this belongs to {one.phase}, not to {declared}{because}: {rule.why}",
                table=next((finding.table for finding in reasons if finding.table), None),
                safe_form=f"move it to a file of phase {one.phase}",
            )
        )
    return tuple(found)


def _all(script: Script, world: World) -> tuple[Assessment, ...]:
    return tuple(judged(one, world) for one in script.statements)


def judged(statement: Statement, world: World) -> Assessment:
    """Judge one statement, and advance the world by it."""
    verdict = Verdict(world, statement, _judge)
    _judge(verdict, statement)
    _in_transaction(verdict, statement)
    return verdict.assessment()


def _in_transaction(verdict: Verdict, statement: Statement) -> None:
    """What a BEGIN before it makes of a statement: locks that are held on, labels not yet usable.

    One that scans or writes a table anew, or many rows, holds up whoever waits for the locks of
    those before it.
    """
    transaction = verdict.world.transaction
    if transaction is None:
        return
    if uses_new_label(statement, transaction.labels) and statement.kind != "alter_enum_stmt":
        verdict.find("enum-label-in-same-transaction")
    long = bool(verdict.scans or verdict.rewrites)
    held = [one for one in transaction.strong if verdict.world.in_use(one)]
    if long and held:
        first = held[0]
        what = f"a long statement under the lock on {first} of line {transaction.strong[first]}"
        verdict.find("locks-add-up", what=what)
    for key, mode in verdict.locks.items():
        if mode.blocks_writes:
            transaction.strong.setdefault(key, statement.line)


def _judge(verdict: Verdict, statement: Statement) -> None:
    handler = HANDLERS.get(statement.kind)
    if handler is None:
        kind = statement.kind.removesuffix("_stmt").replace("_", " ").upper()
        verdict.find("not-judged", what=f"{kind}, which no rule knows")
        verdict.certain = False
        return
    server.check(verdict, statement.node)
    handler(verdict, statement.node)
