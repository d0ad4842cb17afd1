"""What the simulation is worth: builds with one rule taken out are caught, the real one is not."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from greenlane.deployments.phases import LEASED, Phase
from greenlane.deployments.reaching import traffic
from greenlane.deployments.stepping import admission, finishing, scale_in, shifting
from greenlane.deployments.storing import store
from greenlane.people import ledger
from greenlane.rollback import settle, take_back
from tests.effort import examples
from tests.faults.cells import Cell, run
from tests.faults.faults import Kind, Site
from tests.faults.letting_go import WAYS, next_deployments, rollbacks
from tests.faults.scenes import Scene
from tests.faults.schedules import play

SEEDS = range(1000, 1000 + examples(40, 60))
MOST = 400


def without_the_fence(patch: pytest.MonkeyPatch) -> None:
    """Forward steps write whoever owns the record by now."""

    def unchecked(runtime: Any, deployment: Any, phases: Any) -> Any:
        del phases
        return runtime.store.record(deployment.service)

    checked = store.DynamoStore.update

    def update(self: Any, record: Any, changes: Any, **conditions: Any) -> Any:
        if "intended_weight" not in changes:
            return checked(self, record, changes, **conditions)
        return self.update_when(record.service, changes, "attribute_exists(pk)", {})

    patch.setattr(shifting, "fenced", unchecked)
    patch.setattr(store.DynamoStore, "update", update)


def without_the_drain(patch: pytest.MonkeyPatch) -> None:
    """Tasks are stopped as soon as the rule says 0."""
    for module in (settle, finishing):
        patch.setattr(module, "still_served", lambda *_, **__: None)


def with_stickiness_kept(patch: pytest.MonkeyPatch) -> None:
    """The way back, and the last step forward, change weights only."""
    original = traffic.actions_with

    def keep(rule: Any, weights: Any, *, keep_stickiness: bool) -> Any:
        del keep_stickiness
        return original(rule, weights, keep_stickiness=True)

    patch.setattr(traffic, "actions_with", keep)


def without_capacity(patch: pytest.MonkeyPatch) -> None:
    """All traffic goes back at once, whatever is left of the good slot."""

    def at_once(runtime: Any, rollback: Any, recipe: Any, *_: Any, **__: Any) -> Any:
        traffic.write_actions(runtime.elbv2, recipe.rule_arn, recipe.actions)
        return "settle", {recipe.good_target_group: 100}

    patch.setattr(take_back, "_put_back", at_once)


def blind_to_drift(patch: pytest.MonkeyPatch) -> None:
    """A step goes on from whatever weights it finds."""

    def whatever(rule: Any, plan: Any, record: Any) -> int:
        del record
        return int((rule.percent(plan.workload) or {plan.candidate: 0})[plan.candidate])

    patch.setattr(shifting, "_expected", whatever)


def believing_the_balancer(patch: pytest.MonkeyPatch) -> None:
    """Whatever is healthy counts, though ECS has been asked to stop it."""
    patch.setattr(scale_in, "LANDS_WITHIN", timedelta(0))


def with_a_slow_way_back(patch: pytest.MonkeyPatch) -> None:
    """A quarter of a minute passes before the traffic goes back."""
    original = take_back._put_back

    def late(runtime: Any, *arguments: Any, **more: Any) -> Any:
        runtime.clock.sleep(15)
        return original(runtime, *arguments, **more)

    patch.setattr(take_back, "_put_back", late)


def without_an_end(patch: pytest.MonkeyPatch) -> None:
    """A deployment that went back blocks the next one."""
    patch.setattr(admission, "LEASED", LEASED | {Phase.ROLLED_BACK})


def without_a_claim(patch: pytest.MonkeyPatch) -> None:
    """Whatever SNS delivers twice is told twice."""
    patch.setattr(ledger.Ledger, "claim", lambda *_: True)


def cell_of_let_go(kind: Kind) -> Cell:
    """An alarm in the second in which the old slot is let go, and a call that lands after that."""
    scene = Scene(disturbance="alarm as the phase moves to retired")
    return Cell(scene, Site("finish_deployment", "ecs", "update_service", 1), kind)


def violations(seeds: range) -> list[str]:
    """What is broken in the first run that breaks anything."""
    for seed in seeds:
        broken = play(seed).broken
        if broken:
            return broken
    return []


@pytest.mark.parametrize(
    ("build", "words", "first"),
    [
        # The first seeds are a little before those that caught it when this was written.
        (without_the_fence, "after a rollback began|from rolling_back to", 1120),
        (without_the_drain, "stopped while nodes send it", 1000),
        (with_stickiness_kept, "stopped while nodes send it|met a slot without|disagree", 1000),
        (without_capacity, "percent with", 1085),
        (blind_to_drift, "a forward step overwrote", 1385),
        (with_a_slow_way_back, "had traffic for", 1000),
        (without_an_end, "was refused as another|did not begin", 1000),
        (without_a_claim, "PagerDuty was called", 1000),
    ],
)
def test_a_build_without_one_of_the_rules_is_caught(
    monkeypatch: pytest.MonkeyPatch,
    build: Callable[[pytest.MonkeyPatch], None],
    words: str,
    first: int,
) -> None:
    build(monkeypatch)
    broken = violations(range(first, first + MOST))
    assert any(re.search(words, one) for one in broken), f"{build.__name__}: {broken}"


def test_the_real_build_passes_where_the_broken_ones_do_not() -> None:
    assert violations(SEEDS) == []


@pytest.mark.parametrize("kind", ["late", "slow"])
def test_a_build_that_counts_on_tasks_which_a_late_call_stops_is_caught(
    monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    assert run(cell_of_let_go(kind)).broken == ()
    believing_the_balancer(monkeypatch)
    assert any("met a slot without" in one for one in run(cell_of_let_go(kind)).broken)


def test_so_it_is_where_ecs_only_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    believing_the_balancer(monkeypatch)
    for way in WAYS:
        broken = rollbacks(way, None, 5.0, [0.6], 999)
        assert any("stopped while nodes send it" in one for one in broken), way


def test_so_it_is_by_a_next_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    believing_the_balancer(monkeypatch)
    for way in WAYS:
        broken = next_deployments(way, "late", [0.0])
        assert any("stopped while nodes send it" in one for one in broken), way
