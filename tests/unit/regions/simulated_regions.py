"""Regions, coordinators and a network between them, in one thread of virtual time.

What coordinates is the real `take_turn`; the Regions answer by the real rules of `fencing`. A call
may be struck: its process ends before or after it, the network loses it, or delivers it late.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TypeVar

from greenlane.deployments.model import DeploymentRequest
from greenlane.deployments.phases import Phase
from greenlane.errors import FenceLost
from greenlane.regions.coordinating.beginning import record_of
from greenlane.regions.coordinating.fencing import Fence, admits, after, is_majority, may_run
from greenlane.regions.coordinating.model import (
    OVER,
    SILENT,
    Act,
    Asked,
    ExecutionState,
    RegionSeen,
    Rollout,
)
from greenlane.regions.coordinating.standing_in import stood_in, taken_again
from greenlane.regions.coordinating.turning import Standing, Turn, take_turn
from greenlane.regions.planning.planner import plan_regions
from tests.builders import SERVICE
from tests.unit.regions.region_files import MONDAY, document

DEPLOYS, WATCHES, GOES_BACK = timedelta(minutes=20), timedelta(minutes=30), timedelta(seconds=60)
HOME, STANDBY = "home", "standby"
Answer = TypeVar("Answer")


class Gone(BaseException):
    """The process is gone."""


class Lost(Exception):
    """Nobody answers."""


class SimulatedRegion:
    """One Region with its fence, and the deployment of the rollout in it.

    `fails` is when the candidate turns bad, counted from its start; `back` is how its way back
    ends: `rolled_back` or `held`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.fence = Fence()
        self.started: datetime | None = None
        self.refused = False
        self.back_since: datetime | None = None
        self.fails: timedelta | None = None
        self.back = Phase.ROLLED_BACK
        self.deaf_since: datetime | None = None

    def phase(self, now: datetime) -> Phase | None:
        if self.started is None or self.refused:
            return None
        if self.fails is not None and self.back_since is None and now >= self.started + self.fails:
            self.back_since = self.started + self.fails
        if self.back_since is not None:
            return self.back if now >= self.back_since + GOES_BACK else Phase.ROLLING_BACK
        if now < self.started + DEPLOYS:
            return Phase.SHIFTING
        return Phase.PROMOTED if now < self.started + DEPLOYS + WATCHES else Phase.WATCHING

    def unbaked(self, now: datetime) -> bool:
        return self.phase(now) in (Phase.SHIFTING, Phase.PROMOTED, Phase.ROLLING_BACK, Phase.HELD)


class World:
    """All Regions, what happened in them in order, and the network."""

    def __init__(self, record: Rollout) -> None:
        self.now = record.started_at
        self.regions = {name: SimulatedRegion(name) for name in record.regions}
        self.log: list[tuple[str, str, int]] = []
        self.cut: set[tuple[str, str]] = set()
        self.pairs = record.pairs
        self.late: list[tuple[datetime, Callable[[], None]]] = []
        self.calls = 0
        self.strike: Callable[[int], str] = lambda _: ""
        self.between: dict[int, Callable[[], None]] = {}

    def call(self, site: str, region: str, effect: Callable[[], Answer]) -> Answer:
        """A call over the network."""
        self.calls += 1
        if self.calls in self.between:
            self.between.pop(self.calls)()
        how = self.strike(self.calls)
        if how == "gone before":
            raise Gone
        one = self.regions.get(region)
        deaf = one is not None and one.deaf_since is not None and self.now >= one.deaf_since
        if (site, region) in self.cut or deaf or how == "lost":
            raise Lost
        if how == "late":
            self.late.append((self.now + timedelta(minutes=7), lambda: _tried(effect)))
            raise Lost
        answer = effect()
        if how == "twice":
            _tried(effect)
        if how == "gone after":
            raise Gone
        if how == "unanswered":
            raise Lost
        return answer

    def advance(self, to: datetime) -> None:
        for at, effect in sorted(self.late, key=lambda one: one[0]):
            if at <= to:
                self.now = max(self.now, at)
                effect()
        self.late = [one for one in self.late if one[0] > to]
        self.now = max(self.now, to)

    def go(self, name: str, epoch: int, rollout: str) -> None:
        """The order `go`."""
        region = self.regions[name]
        if not admits(region.fence, "go", epoch, rollout):
            raise FenceLost(name)
        region.fence = after(region.fence, "go", epoch, rollout)
        self.log.append(("go", name, epoch))

    def run(self, name: str, epoch: int, rollout: str) -> None:
        """The start of the deployment, and the Region's own planning."""
        region = self.regions[name]
        if region.started is not None:
            return
        region.started = self.now
        region.refused = not may_run(region.fence, epoch, rollout)
        if region.refused:
            self.log.append(("refused", name, epoch))
            return
        self.log.append(("runs", name, epoch))
        for pair in self.pairs:
            if name in pair:
                (other,) = set(pair) - {name}
                if other in self.regions and self.regions[other].unbaked(self.now):
                    self.log.append(("conflict", f"{name} and {other}", epoch))

    def take_back(self, name: str, epoch: int, rollout: str) -> None:
        region = self.regions[name]
        if admits(region.fence, "back", epoch, rollout):
            region.fence = after(region.fence, "back", epoch, rollout)
        self.log.append(("back", name, epoch))
        if region.phase(self.now) in (Phase.SHIFTING, Phase.PROMOTED, Phase.WATCHING, Phase.HELD):
            region.back_since = self.now


def _tried(effect: Callable[[], object]) -> None:
    try:
        effect()
    except FenceLost:
        return


class SimulatedRealm:
    """The Regions as one coordinator reaches them."""

    def __init__(self, world: World, site: str) -> None:
        self.world, self.site = world, site
        self.red: dict[str, tuple[str, ...]] = {}
        self.opens: dict[str, datetime] = {}
        self.shares: dict[str, Decimal] = {}

    def look(self, record: Rollout, now: datetime) -> Mapping[str, RegionSeen]:
        def one(name: str) -> RegionSeen:
            region = self.world.regions[name]
            phase = region.phase(now)
            execution: ExecutionState = "none"
            if region.started is not None:
                execution = "refused" if region.refused else "running"
            return RegionSeen(
                phase=phase,
                execution=execution,
                promoted_at=None if region.started is None else region.started + DEPLOYS,
                fence=region.fence,
                requests=10_000,
                red=self.red.get(name, ()),
                share=self.shares.get(name, record.at(name).traffic_percentage),
                opens_at=max(self.opens.get(name, now), now),
                closed_for="outside of its window",
            )

        found: dict[str, RegionSeen] = {}
        for name in record.regions:
            try:
                found[name] = self.world.call(self.site, name, partial(one, name))
            except Lost:
                found[name] = SILENT
        return found

    def claim(self, record: Rollout) -> int:
        took = 0
        self.world.log.append(("claims", self.site, record.epoch))
        for name in record.regions:
            region = self.world.regions[name]

            def effect(region: SimulatedRegion = region) -> bool:
                if not admits(region.fence, "claim", record.epoch, record.rollout_id):
                    return False
                region.fence = after(region.fence, "claim", record.epoch, record.rollout_id)
                self.world.log.append(("took", region.name, record.epoch))
                return True

            try:
                took += bool(self.world.call(self.site, name, effect))
            except Lost:
                continue
        if is_majority(took, len(record.regions)):
            self.world.log.append(("majority", self.site, record.epoch))
        return took

    def act(self, record: Rollout, acts: Sequence[Act]) -> Mapping[str, str]:
        world, failures = self.world, dict[str, str]()
        steps: dict[str, tuple[Callable[[str, int, str], None], ...]] = {
            "start": (world.go, world.run),
            "take_back": (world.take_back,),
        }
        for act in acts:
            try:
                for do in steps[act.what]:
                    told = partial(do, act.region, record.epoch, record.rollout_id)
                    world.call(self.site, act.region, told)
            except (Lost, FenceLost) as error:
                failures[act.region] = repr(error)
        return failures


class SimulatedBook:
    """A record and its conditional write."""

    def __init__(self, world: World, site: str, record: Rollout) -> None:
        self.world, self.site, self.record = world, site, record
        self.asked: Asked | None = None

    def read(self, service: str) -> Standing:
        del service
        return Standing(self.record, self.asked)

    def write(self, record: Rollout) -> Rollout:
        def effect() -> Rollout:
            if (self.record.epoch, self.record.version) != (record.epoch, record.version):
                raise FenceLost(self.site)
            self.record = record.model_copy(update={"version": record.version + 1})
            return self.record

        return self.world.call(self.site, "its table", effect)


class Coordinator:
    """One coordinator: turns when they are due; a process that is gone is started again."""

    def __init__(self, world: World, site: str, record: Rollout) -> None:
        self.world, self.site = world, site
        self.book = SimulatedBook(world, site, record)
        self.realm = SimulatedRealm(world, site)
        self.due: datetime | None = world.now
        self.turns: list[Turn] = []

    @property
    def record(self) -> Rollout:
        return self.book.record

    def turn(self) -> None:
        try:
            done = take_turn(self.book, self.realm, self.book.read(SERVICE), self.world.now)
        except (Gone, FenceLost, Lost):
            self.due = self.world.now + timedelta(seconds=10)
            return
        self.turns.append(done)
        self.due = done.wake_at

    def wake(self) -> None:
        if self.record.phase not in OVER:
            self.due = self.world.now


def shop(shares: Mapping[str, int], *, pairs: Mapping[str, list[str]] | None = None, **strategy):
    """A record, of Regions by their percent."""
    regions = {
        name: {"traffic_percentage": share, "failover_regions": (pairs or {}).get(name, [])}
        for name, share in shares.items()
    }
    described = document(regions, **strategy)
    return record_of(
        plan_regions(described, now=MONDAY),
        described,
        DeploymentRequest(service=SERVICE, version="1.4.2", requested_by="ada"),
        rollout_id="r-1",
        home="eu-west-1",
        now=MONDAY,
    ).model_copy(update={"epoch": 2})


def run(world: World, *coordinators: Coordinator, hours: float = 60) -> None:
    """Let time pass from turn to turn."""
    end = world.now + timedelta(hours=hours)
    for _ in itertools.count():
        due = [(one.due, number) for number, one in enumerate(coordinators) if one.due is not None]
        if not due or min(due)[0] > end:
            return
        at, number = min(due)
        world.advance(at)
        coordinators[number].turn()


def take_over(world: World, home: Coordinator, why: str = "home does not answer") -> Coordinator:
    """The standby, with the copy that home sent first."""
    standby = Coordinator(world, STANDBY, home.record)
    copy = home.turns[0].before if home.turns else home.record
    while True:
        try:
            seen = standby.realm.look(copy, world.now)
            break
        except Gone:
            continue
    standby.book.record = stood_in(copy, seen.values(), why, world.now)
    return standby


def give_back(world: World, home: Coordinator) -> None:
    """A person lets home go on."""
    seen = home.realm.look(home.record, world.now)
    home.book.record = taken_again(home.record, seen.values(), "again", world.now)
    home.book.asked = Asked(
        name="resume", number=home.record.heeded + 1, by="ada", at=world.now, reason="home is back"
    )
    home.due = world.now
