"""What the rules say of a whole plan: each file in the place that it has in it."""

from collections.abc import Collection, Iterable

from greenlane.migrations.catalog.model import Catalog
from greenlane.migrations.declaring.plan import Migration, Plan
from greenlane.migrations.validating.assessing import judged, problems
from greenlane.migrations.validating.model import Assessment, Finding
from greenlane.migrations.validating.world import World


def assess_plan(
    plan: Plan, catalog: Catalog | None, *, applied: Collection[str] = ()
) -> dict[str, tuple[Assessment, ...]]:
    """What each statement locks, costs and breaks, by the file's id.

    Args:
        plan: what is to run.
        catalog: of the database; None where there is none.
        applied: ids of files that have run, so that the catalog has what they did; they are left
            out.
    """
    world = World(catalog)
    found = {}
    for at, migration in enumerate(plan.migrations):
        if migration.id in applied:
            continue
        world.settle(used=not plan.continues(at))
        statements = migration.script.statements
        found[migration.id] = tuple(judged(one, world) for one in statements)
    return found


def stopping(migration: Migration, assessments: Iterable[Assessment]) -> tuple[Finding, ...]:
    """The findings that stop a file: those that block and that its manifest does not accept."""
    found = tuple(assessments)
    every = [*(one for each in found for one in each.findings), *problems(found, migration.phase)]
    return tuple(
        one
        for one in every
        if one.severity == "block" and one.rule not in migration.declared.accept
    )
