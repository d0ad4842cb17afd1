"""One migration at a time for each database, and a dead one is in nobody's way for ever."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from greenlane.errors import FenceLost, LeaseLingers, MigrationInFlight, SignalRefused
from greenlane.migrations.guarding.lease import LEASE, Asked, Lease, Leases
from tests.builders import NOW, SettableClock
from tests.fakes import Spy
from tests.table import Table

TABLE = "greenlane-deployments"


class World:
    """A table, a clock, and which executions live."""

    def __init__(self) -> None:
        self.table, self.clock = Table(TABLE), SettableClock()
        self.calls: list[tuple[str, str]] = []
        self.dead: set[str] = set()
        self.leases = Leases(Spy(self, "dynamodb", self.table), TABLE)
        self.between: Callable[[], Any] | None = None

    def faults_of(self, service: str, operation: str) -> tuple[None, None]:
        del service
        if operation == "put_item" and self.between is not None:
            act, self.between = self.between, None
            act()
        return None, None

    def take(self, execution: str, run: str = "m-1") -> Lease:
        return self.leases.take(
            "orders",
            execution=execution,
            run=run,
            phase="expand",
            now=self.clock.now(),
            lives=lambda arn: arn not in self.dead,
        )


@pytest.fixture
def world() -> World:
    return World()


def test_the_first_owner_has_epoch_one_and_asking_again_changes_nothing(world):
    first = world.take("one")
    world.clock.advance(seconds=30)
    again = world.take("one")

    assert (first.epoch, first.held_until) == (1, NOW + LEASE)
    assert (again.epoch, again.held_by) == (1, "one")
    assert again.held_until == world.clock.now() + LEASE


def test_a_living_owner_is_left_alone_even_past_its_time(world):
    world.take("one")
    world.clock.advance(hours=5)

    with pytest.raises(MigrationInFlight, match=r"m-1 \(expand\)"):
        world.take("two", "m-2")


def test_a_dead_owner_is_waited_for_until_its_time_is_over_and_then_taken_over(world):
    world.take("one")
    world.dead.add("one")
    world.clock.at = NOW + LEASE - timedelta(seconds=1)
    with pytest.raises(LeaseLingers, match="12:20:00"):
        world.take("two", "m-2")
    world.clock.at = NOW + LEASE

    taken = world.take("two", "m-2")

    assert (taken.epoch, taken.held_by, taken.run) == (2, "two", "m-2")


def test_who_lost_the_lease_can_neither_renew_nor_release_nor_hand_it_over(world):
    lost = world.take("one")
    world.dead.add("one")
    world.clock.advance(hours=1)
    world.take("two")

    for act in (
        lambda: world.leases.renew(lost, world.clock.now()),
        lambda: world.leases.release(lost),
        lambda: world.leases.hand_over(lost, "three", world.clock.now()),
    ):
        with pytest.raises(FenceLost):
            act()
    assert world.leases.read("orders").held_by == "two"


def test_a_released_lease_is_free_and_its_epoch_goes_on(world):
    held = world.take("one")

    world.leases.release(held)
    world.leases.release(held)  # its answer was lost

    assert world.leases.read("orders").held_by is None
    assert world.take("two").epoch == 2


def test_a_lease_that_ran_out_and_was_not_taken_is_still_its_owners(world):
    held = world.take("one")
    world.clock.advance(hours=2)

    assert world.leases.renew(held, world.clock.now()).held_until == world.clock.now() + LEASE


def test_a_successor_gets_the_lease_with_its_epoch_and_repeating_it_changes_nothing(world):
    held = world.take("one")

    given = world.leases.hand_over(held, "two", world.clock.now())
    again = world.leases.hand_over(held, "two", world.clock.now())

    assert (given.held_by, given.epoch) == (again.held_by, again.epoch) == ("two", 1)
    with pytest.raises(FenceLost):
        world.leases.renew(held, world.clock.now())


def test_of_two_who_take_a_free_lease_at_once_one_gets_it(world):
    world.between = lambda: world.take("two", "m-2")

    with pytest.raises(MigrationInFlight, match="m-2"):
        world.take("one")
    assert world.leases.read("orders").held_by == "two"


def test_an_owner_that_renews_at_the_last_moment_is_not_taken_over(world):
    held = world.take("one")
    world.dead.add("one")  # as was said of it before it came back
    world.clock.advance(minutes=21)
    world.between = lambda: world.leases.renew(held, world.clock.now())

    with pytest.raises(LeaseLingers):
        world.take("two")


def asked(name="pause", **more) -> Asked:
    return Asked(name=name, by="ada", at=NOW, reason="a sale", **more)


def test_what_people_ask_is_read_with_the_next_renewal(world):
    held = world.take("one")
    world.leases.ask("orders", "m-1", asked())

    assert world.leases.renew(held, NOW).asked == asked()
    world.leases.resume("orders", "m-1")
    assert world.leases.renew(held, NOW).asked is None


def test_an_abort_stands(world):
    held = world.take("one")
    world.leases.ask("orders", "m-1", asked())
    world.leases.ask("orders", "m-1", asked("abort", undo=True))

    def refused(*acts: Callable[[], Any]) -> None:
        for act in acts:
            with pytest.raises(SignalRefused, match="to abort already: ada"):
                act()

    def ask(one: Asked) -> Callable[[], None]:
        return lambda: world.leases.ask("orders", "m-1", one)

    refused(lambda: world.leases.resume("orders", "m-1"), ask(asked()))
    assert world.leases.renew(held, NOW).asked.undo is True

    ask(asked("abort"))()  # what is being undone is left where it is
    refused(ask(asked("abort", undo=True)), ask(asked()))
    assert world.leases.renew(held, NOW).asked.undo is False


def test_what_is_asked_of_a_migration_that_does_not_run_is_refused(world):
    with pytest.raises(SignalRefused, match="does not run"):
        world.leases.ask("orders", "m-1", asked())
    held = world.take("one")
    with pytest.raises(SignalRefused, match="m-0 does not run on orders"):
        world.leases.ask("orders", "m-0", asked())
    world.leases.release(held)
    with pytest.raises(SignalRefused):
        world.leases.ask("orders", "m-1", asked())


def test_what_was_asked_of_the_one_before_is_not_asked_of_the_next(world):
    held = world.take("one")
    world.leases.ask("orders", "m-1", asked("abort"))
    world.leases.release(held)

    assert world.leases.renew(world.take("two", "m-2"), NOW).asked is None


class Owners(RuleBasedStateMachine):
    """Three executions that take, renew, hand over, release, die and live again."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.known: dict[str, Lease] = {}
        self.highest = 0

    names = st.sampled_from(["one", "two", "three"])

    @rule(name=names)
    def take(self, name: str) -> None:
        before = self.world.leases.read("orders")
        try:
            lease = self.world.take(name)
        except (MigrationInFlight, LeaseLingers):
            assert before is not None
            assert before.held_by not in (None, name)
            assert before.held_until is not None
            over = self.world.clock.now() >= before.held_until
            assert not (over and before.held_by in self.world.dead)
            return
        ours = before is not None and before.held_by == name
        assert lease.epoch == (before.epoch if ours else self.highest + 1)
        self.highest = max(self.highest, lease.epoch)
        self.known[name] = lease

    @rule(name=names)
    def renew(self, name: str) -> None:
        self._ours(name, lambda lease: self.world.leases.renew(lease, self.world.clock.now()))

    @rule(name=names, to=names)
    def hand_over(self, name: str, to: str) -> None:
        def give(lease: Lease) -> None:
            self.known[to] = self.world.leases.hand_over(lease, to, self.world.clock.now())

        self._ours(name, give)

    @rule(name=names)
    def release(self, name: str) -> None:
        self._ours(name, self.world.leases.release)

    @rule(name=names)
    def die_or_live(self, name: str) -> None:
        self.world.dead ^= {name}

    @rule(minutes=st.integers(1, 25))
    def wait(self, minutes: int) -> None:
        self.world.clock.advance(minutes=minutes)

    def _ours(self, name: str, act: Callable[[Lease], Any]) -> None:
        if name not in self.known:
            return
        mine = self.known[name]
        before = self.world.leases.read("orders")
        assert before is not None
        holds = (before.held_by, before.epoch) == (mine.held_by, mine.epoch)
        try:
            act(mine)
        except FenceLost:
            assert not holds

    @invariant()
    def the_epoch_only_rises(self) -> None:
        found = self.world.leases.read("orders")
        assert (0 if found is None else found.epoch) == self.highest


TestOwners = Owners.TestCase
TestOwners.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
