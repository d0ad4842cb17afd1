"""The watch after promotion has its length, whoever goes on with it."""

from greenlane.deployments.model import Deployment
from greenlane.deployments.stepping.judging import Tick, judge_step
from greenlane.rollback.reconcile import reconcile
from tests.fakes import FORWARD


def tick(world, **later):
    world.clock.advance(**later)
    reconcile(Tick(), world.runtime)


def test_a_completed_deployment_watches_for_as_long_as_it_would_have(world):
    world.promoted()
    world.machines.statuses[FORWARD] = "FAILED"
    tick(world)
    tick(world, minutes=1)
    (given,) = [each["input"] for each in world.machines.started]
    assert given["bake_seconds"] == 29 * 60
    # Its first bake may end before it has written down until when it lasts.
    world.serve("green", 2)
    world.traffic("green", requests=100, minutes=1)
    after = judge_step(Deployment.model_validate(given), world.runtime)
    assert (after.next, after.bake_seconds) == ("bake", 29 * 60)
