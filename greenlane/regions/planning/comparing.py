"""What else could be: the price of each constraint, other policies, another start.

What is compared with is searched with less effort, so a saving may be said too small, never too
large.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from greenlane.errors import InvalidInput
from greenlane.regions.declaring.model import RegionsDocument
from greenlane.regions.planning.model import (
    POLICIES,
    Comparison,
    Cost,
    OtherStart,
    Override,
    Plan,
    Policy,
    WhatIf,
)
from greenlane.regions.planning.planner import risk
from greenlane.regions.planning.searching import (
    QUICK,
    SKETCHED,
    THOROUGH,
    Effort,
    Order,
    best_order,
)
from greenlane.regions.planning.situating import (
    TERMS,
    Calendars,
    Constraint,
    Situation,
    Terms,
    prepare_seconds,
    situation_of,
)
from greenlane.regions.planning.timing import timed
from greenlane.regions.windows.instants import instant_of, seconds_of

STARTS = 24
"""Whole hours that are looked at as other starts."""

_HOUR_SECONDS = 3600

_WITHOUT: Mapping[str, tuple[str, tuple[Constraint, ...]]] = {
    "windows": ("deployment windows", ("windows",)),
    "freezes": ("freezes", ("freezes",)),
    "primary_last": ("primary last", ("primary_last",)),
    "priorities": ("priorities", ("priorities",)),
    "order": ("primary last and priorities, together", ("primary_last", "priorities")),
    "budgets": ("waves that grow only slowly", ("budgets",)),
    "one_by_one": ("one region after the other", ("one_by_one",)),
    "pairs": ("failover pairs apart", ("pairs",)),
    "requests": ("baking by requests", ("requests",)),
}
"""What is left out to see what it costs, as people call it."""


class _Outcome(NamedTuple):
    """An order that was found, and its seconds since `planned_at`."""

    situation: Situation
    order: Order
    seconds: int


class _Comparer:
    """Plans of one document at one instant, by other terms."""

    def __init__(
        self, document: RegionsDocument, planned_at: int, overrides: Collection[Override]
    ) -> None:
        """See the class."""
        self.document = document
        self.planned_at = planned_at
        self.overrides = overrides
        self.calendars = Calendars(document, planned_at)

    def outcome(self, terms: Terms, later: int = 0, effort: Effort = QUICK) -> _Outcome | None:
        """What some terms come to, so many seconds later; None if nothing can be planned."""
        start = self.planned_at + later + prepare_seconds(self.document)
        situation = situation_of(self.document, start, self.calendars, terms, self.overrides)
        order = best_order(situation, effort)
        if order is None:
            return None
        *_, last = timed(situation, order)
        return _Outcome(situation, order, last.baked - self.planned_at - later)

    def costs(self, terms: Terms, seconds: int) -> tuple[Cost, ...]:
        """What each constraint costs a plan of so many seconds, if anything; the dearest first."""
        costs = []
        for name, (text, constraints) in _WITHOUT.items():
            if terms.dropped.intersection(constraints):
                continue
            found = self.outcome(terms.without(*constraints))
            if found is not None and found.seconds < seconds:
                saved = seconds - found.seconds
                costs.append(Cost(constraint=name, text=text, saved_seconds=saved))
        return tuple(sorted(costs, key=lambda cost: -cost.saved_seconds))

    def what_if(self, policy: Policy) -> WhatIf:
        """What a policy comes to."""
        terms = TERMS[policy]
        found = self.outcome(terms, effort=THOROUGH)
        if found is None:
            raise InvalidInput("policy", policy, "no order of the regions can be planned")
        return WhatIf(
            policy=policy,
            waves=len(found.order),
            total_seconds=found.seconds,
            ends_at=instant_of(self.planned_at + found.seconds),
            risk=risk(found.situation, found.order),
            binding=next(iter(self.costs(terms, found.seconds)), None),
        )

    def start(self, terms: Terms, seconds: int) -> OtherStart | None:
        """The shortest plan that begins at one of the next whole hours, if that is shorter."""
        first = -(-(self.planned_at + 60) // _HOUR_SECONDS) * _HOUR_SECONDS
        found = []
        for hour in range(STARTS):
            later = first + hour * _HOUR_SECONDS - self.planned_at
            outcome = self.outcome(terms, later, SKETCHED)
            if outcome is not None and outcome.seconds < seconds:
                found.append((outcome.seconds, later))
        if not found:
            return None
        best, later = min(found)
        at = self.planned_at + later
        return OtherStart(
            at=instant_of(at),
            total_seconds=best,
            saved_seconds=seconds - best,
            ends_at=instant_of(at + best),
        )


def compare(document: RegionsDocument, plan: Plan) -> Comparison:
    """What else could be than a plan.

    Args:
        document: which the plan was made of.
        plan: as `plan_regions` made it.
    """
    comparer = _Comparer(document, seconds_of(plan.planned_at), plan.overrides)
    terms = TERMS[plan.policy]
    costs = comparer.costs(terms, plan.total_seconds)
    planned = WhatIf(
        policy=plan.policy,
        waves=len(plan.waves),
        total_seconds=plan.total_seconds,
        ends_at=plan.ends_at,
        risk=plan.risk,
        binding=next(iter(costs), None),
    )
    return Comparison(
        costs=costs,
        what_ifs=tuple(
            planned if policy == plan.policy else comparer.what_if(policy) for policy in POLICIES
        ),
        start=comparer.start(terms, plan.total_seconds),
    )
