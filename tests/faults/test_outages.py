"""A whole service is down when a bad version must go back; and tasks are never stopped too soon."""

from datetime import timedelta
from typing import Any

import pytest

from greenlane.deployments.stepping import finishing
from greenlane.deployments.stepping.drain import weight_of
from greenlane.rollback import settle as settling
from tests.faults.account import Account
from tests.faults.outage import Outage
from tests.faults.scenes import Scene

BAD = Scene(bad=True)
BACK_WITHIN_SECONDS = 15.0


@pytest.mark.parametrize(
    ("service", "callers"),
    [
        ("dynamodb", ()),
        ("sns", ()),
        ("s3", ()),
        ("logs", ()),
        ("cloudwatch", ()),
        ("ecs", ()),
        ("application-autoscaling", ()),
        ("stepfunctions", ("stop_forward", "hold_traffic")),
    ],
)
def test_traffic_goes_back_while_a_service_is_down_and_all_is_well_when_it_returns(
    service: str, callers: tuple[str, ...]
) -> None:
    outage = Outage(service, 600, callers=callers)
    verdict, _ = BAD.play(also=outage.watch)
    assert verdict.broken == []
    assert verdict.outcome == "rolled_back"
    assert outage.began is not None
    assert outage.back is not None
    assert outage.back - outage.began <= BACK_WITHIN_SECONDS


def test_a_forward_machine_that_is_gone_is_not_needed_to_go_back() -> None:
    def stop(account: Account) -> None:
        (forward,) = account.executions.values()
        account.kernel.after(100, lambda: forward.stop("Deleted", "with its machine"))

    verdict, _ = Scene(bad=True, lose_events=True).play(also=stop)
    assert (verdict.broken, verdict.outcome) == ([], "rolled_back")


@pytest.mark.parametrize("bad", [False, True])
def test_no_request_meets_a_stopped_task_however_slowly_nodes_learn(bad: bool) -> None:
    for seed in range(15):
        verdict, _ = Scene(bad=bad, seed=seed, propagation_seconds=115).play()
        assert verdict.lost_without_target == 0
        assert verdict.broken == []


def test_a_fixed_scale_down_delay_of_30_seconds_loses_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control arm: the same runs with what other tools do by default."""

    def after_30_seconds(runtime: Any, plan: Any, *, slot: Any, since: Any) -> str | None:
        waiting = runtime.clock.now() < since + timedelta(seconds=30)
        return "30 seconds" if waiting else weight_of(runtime, plan, slot)

    for module in (settling, finishing):
        monkeypatch.setattr(module, "still_served", after_30_seconds)
    monkeypatch.setattr(settling, "SETTLE_FOR", timedelta(0))
    lost = [
        Scene(bad=True, seed=seed, propagation_seconds=115).play()[0].lost_without_target
        for seed in range(15)
    ]
    assert sum(lost) > 0
