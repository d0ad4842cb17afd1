"""Whoever needs the old slot in the second in which it is let go: no request meets a slot without
tasks, whether the call to ECS hangs or not, and however long ECS takes to stop them."""

import pytest

from tests.effort import part
from tests.faults.faults import Kind
from tests.faults.letting_go import WAYS, LetGo, next_deployments, rollbacks

MOMENTS = [number / 5 for number in range(7)]
"""In seconds after the phase has moved; the call to ECS is made a third to a half of one later."""

FAULTS: list[tuple[Kind | None, float]] = [
    (None, 5),
    (None, 20),
    ("slow", 0),
    ("late", 0),
    ("killed_after", 5),
]
"""Of the call to ECS, and how many seconds ECS takes to stop tasks."""

BACK_WITHIN_SECONDS = 110.0
"""Nothing can land any more after 90, the next look is at most 5 later, and a slot that was stopped
in the 65th second, by a late call, is healthy again by then."""

each_way = pytest.mark.parametrize("way", WAYS, ids=str)


@each_way
@pytest.mark.parametrize(("fault", "stops_after"), FAULTS)
def test_a_rollback_at_any_moment_of_it(way: LetGo, fault: Kind | None, stops_after: float) -> None:
    # Every other moment; those between them with the next fault, and the next way.
    moments = part(MOMENTS, 2, WAYS.index(way) + FAULTS.index((fault, stops_after)))
    assert rollbacks(way, fault, stops_after, moments, BACK_WITHIN_SECONDS) == []


@each_way
@pytest.mark.parametrize("fault", [None, "late"])
def test_a_next_deployment_that_takes_the_slot_over(way: LetGo, fault: Kind | None) -> None:
    assert next_deployments(way, fault, [0.0, 2.0, 20.0]) == []
