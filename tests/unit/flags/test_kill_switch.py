"""No sandbox answers "on" later than the TTL plus one read after a flag was switched off."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from greenlane.flags.reading.reader import Reader
from tests.unit.flags.flagging import NOW, flag, rule
from tests.unit.flags.reading import Time, body

SANDBOXES = 50
TTL = 5.0
KILLED = 60.0
"""Seconds after the beginning."""

ON, OFF = body(1), body(2, {"f": flag(rule(), on=False)})
USER = {"targetingKey": "user-1"}


@dataclass
class Timed:
    """The one store as a sandbox sees it: each read takes time and looks at some instant of it."""

    at: Time
    reads: list[tuple[float, float]]
    """Seconds before and after the look, of one read after the other; then round again."""
    durations: list[float] = field(default_factory=list)

    def _look(self) -> bool:
        before, after = self.reads[len(self.durations) % len(self.reads)]
        self.at.passes(before)
        killed = self.at.wall - NOW >= KILLED
        self.at.passes(after)
        self.durations.append(before + after)
        return killed

    def version(self, environment: str) -> int | None:
        return 2 if self._look() else 1

    def snapshot(self, environment: str) -> tuple[int, bytes] | None:
        return (2, OFF) if self._look() else (1, ON)


DURATIONS = st.floats(0, 0.5) | st.floats(0, 6)
READS = st.lists(st.tuples(DURATIONS, DURATIONS), min_size=1, max_size=4)
PAUSES = st.lists(
    st.tuples(st.floats(0, 0.3) | st.floats(0, 20), st.booleans()), min_size=1, max_size=60
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 70), PAUSES, READS), min_size=1, max_size=SANDBOXES))
def test_no_sandbox_answers_on_later_than_the_ttl_and_one_read(
    sandboxes: list[tuple[float, list[tuple[float, bool]], list[tuple[float, float]]]],
) -> None:
    # Each of the fifty begins when it begins, is asked when it is asked, and may be frozen between.
    for number in range(SANDBOXES):
        began, pauses, reads = sandboxes[number % len(sandboxes)]
        at = Time()
        at.passes(began + number * 0.01)
        store = Timed(at, reads)
        reader = Reader(
            store, "production", ttl_seconds=TTL, clock=at.clock, monotonic=at.monotonic
        )
        for seconds, frozen in pauses:
            at.passes(seconds, frozen=frozen)
            done = len(store.durations)
            value = reader.evaluate("f", USER).value
            late = at.wall - NOW - KILLED
            # Tighter than the promise: what is read is as old as that read, what is not, the TTL.
            read = store.durations[done:]
            assert value is None or late <= (sum(read) if read else TTL) + 1e-6
            if value is None:
                assert late >= 0


def test_the_bound_is_reached_so_the_test_could_fail() -> None:
    at = Time()
    reader = Reader(Timed(at, [(0.0, 0.0)]), "production", clock=at.clock, monotonic=at.monotonic)
    reader.engine()
    at.wall = NOW + KILLED - 0.001
    assert reader.evaluate("f", USER).value is True

    at.wall = NOW + KILLED - 0.001 + TTL - 0.0001
    assert reader.evaluate("f", USER).value is True
    at.wall += 0.0002
    assert reader.evaluate("f", USER).value is None
