"""A plan as it is stored and handed to workflows: small, and whole without its document."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.regions.declaring.model import Stage, Type
from greenlane.regions.windows.gate import AtEnd

Policy = Literal["safe", "balanced", "fast"]
POLICIES: tuple[Policy, ...] = ("safe", "balanced", "fast")


class Override(StoredModel):
    """What somebody set aside for one deployment, and why.

    Args:
        what: all windows, or all freezes.
        reason: for the record.
        by: who.
    """

    what: Literal["windows", "freezes"]
    reason: str
    by: str


class PlannedRegion(StoredModel):
    """A Region's place in a plan.

    Args:
        region: its name.
        starts_local: when its clocks show what, with their offset, such as
            `2026-11-30T02:00:00-05:00`.
        zone: whose clocks, such as `America/New_York`.
        window: its window as it was understood; empty when it is open at any time.
        closes_at: when its open time ends; None if it does not.
        traffic_percentage: of production.
        small_steps: whether it alone is more than the wave's budget, so its own first step has to
            be at most 10 percent.
        why: why it stands where it stands.
    """

    region: str
    starts_local: str
    zone: str
    window: str = ""
    closes_at: datetime | None = None
    traffic_percentage: Decimal = Decimal(0)
    small_steps: bool = False
    why: tuple[str, ...] = ()


class PlannedWave(StoredModel):
    """Regions that are deployed to at the same instant, and baked before the next wave.

    Args:
        number: from 1.
        stage: of all of its Regions.
        starts_at: when, UTC.
        wait_seconds: from when it could start, were it not for windows and freezes.
        wait_for: what it waits for; empty when it does not.
        deploy_seconds: baseline and deployment, of the slowest Region.
        bake_seconds: the longest watch after that.
        bake_requests: which each Region has to have had besides; None for none.
        baked_at: when the wave is done by the plan, UTC.
        traffic_percentage: of all its Regions.
        budget_percentage: what it may have when it has several.
        regions: by name.
    """

    number: int
    stage: Stage
    starts_at: datetime
    wait_seconds: int
    wait_for: str = ""
    deploy_seconds: int
    bake_seconds: int
    bake_requests: int | None = None
    baked_at: datetime
    traffic_percentage: Decimal
    budget_percentage: Decimal
    regions: tuple[PlannedRegion, ...]


class Risk(StoredModel):
    """What a bad version is expected to do to users, for comparing plans with each other.

    Args:
        user_minutes: minutes, added up over users.
        of_users: how many users that is of; 100 where nobody said how many there are.
        declared: whether somebody did.
        caught_seconds: how long a fault lasts that is seen: until the alarm, and on the way back.
    """

    user_minutes: Decimal
    of_users: int
    declared: bool
    caught_seconds: int


class Plan(StoredModel):
    """Waves, and when each of them is.

    Args:
        planned_at: the clock's instant that it was made for, UTC.
        tzdata: the edition of time zones that it was made with, such as `2026f`.
        type: how a version goes through the Regions.
        policy: how careful.
        prepare_seconds: how long the version is started everywhere before the first wave.
        waves: in order.
        delay_seconds: the pause after each wave but the last.
        total_seconds: from `planned_at` until the last wave is baked.
        ends_at: when that is, UTC.
        watch_seconds: of extended monitoring after that; holds up nothing.
        on_window_end: what becomes of the Regions in hand when their window ends.
        pairs: Regions that must never be unbaked at once.
        risk: what a bad version is expected to do.
        overrides: what was set aside.
        assumptions: of time zones.
        notes: what people should know, such as days on which changed clocks cut a window.
    """

    planned_at: datetime
    tzdata: str
    type: Type
    policy: Policy
    prepare_seconds: int
    waves: tuple[PlannedWave, ...]
    delay_seconds: int
    total_seconds: int
    ends_at: datetime
    watch_seconds: int
    on_window_end: AtEnd
    pairs: tuple[tuple[str, str], ...] = ()
    risk: Risk
    overrides: tuple[Override, ...] = ()
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[tuple[str, ...], ...]:
        """The names of the Regions, wave by wave."""
        return tuple(tuple(one.region for one in wave.regions) for wave in self.waves)


class Cost(StoredModel):
    """What one constraint costs: the same plan without it.

    Args:
        constraint: its name, for programs.
        text: it, for people.
        saved_seconds: by how much the plan would be shorter.
    """

    constraint: str
    text: str
    saved_seconds: int


class WhatIf(StoredModel):
    """What another policy would come to.

    Args:
        policy: which.
        waves: how many.
        total_seconds: until the last wave is baked.
        ends_at: when that is, UTC.
        risk: what a bad version is expected to do.
        binding: what costs it the most time; None if nothing does.
    """

    policy: Policy
    waves: int
    total_seconds: int
    ends_at: datetime
    risk: Risk
    binding: Cost | None


class OtherStart(StoredModel):
    """A later start within a day that needs less time from then on.

    Args:
        at: when, UTC.
        total_seconds: from then until the last wave is baked.
        saved_seconds: against the plan.
        ends_at: when that is, UTC; it may be later than the plan's end.
    """

    at: datetime
    total_seconds: int
    saved_seconds: int
    ends_at: datetime


class Comparison(StoredModel):
    """What else could be: what each constraint costs, other policies, another start.

    Args:
        costs: of the constraints that cost anything, the dearest first.
        what_ifs: one for each policy.
        start: the best of the next 24 whole hours; None if none is shorter.
    """

    costs: tuple[Cost, ...]
    what_ifs: tuple[WhatIf, ...]
    start: OtherStart | None = None
