"""From a strategy to a list of steps. Pure; no I/O."""

from collections.abc import Sequence
from datetime import timedelta

from greenlane.deployments.declaring.config import DeploymentConfig, StepConfig, Strategy
from greenlane.deployments.model import DeploymentRequest, PlannedStep

BLUE_GREEN_WEIGHTS = (10, 25, 50, 75, 100)
CANARY_WEIGHTS = (1, 5, 10, 25, 50, 100)

_BAKE: dict[Strategy, timedelta] = {
    "blue_green": timedelta(minutes=2),
    "canary": timedelta(minutes=5),
    "linear": timedelta(minutes=3),
    "all_at_once": timedelta(minutes=10),
}
_FINAL_BAKE: dict[Strategy, timedelta] = {
    "blue_green": timedelta(minutes=10),
    "canary": timedelta(0),
    "linear": timedelta(minutes=10),
    "all_at_once": timedelta(0),
}


def linear_weights(step: int) -> tuple[int, ...]:
    """Equal steps of `step` percent up to 100: 30 gives 30, 60, 90, 100."""
    return (*range(step, 100, step), 100)


def weights_of(strategy: Strategy, *, linear_step: int) -> tuple[int, ...]:
    """The strategy's own weights, in percent for the candidate."""
    if strategy == "blue_green":
        return BLUE_GREEN_WEIGHTS
    if strategy == "canary":
        return CANARY_WEIGHTS
    if strategy == "linear":
        return linear_weights(linear_step)
    return (100,)


def plan_steps(config: DeploymentConfig, request: DeploymentRequest) -> tuple[PlannedStep, ...]:
    """The steps of one deployment, the final bake and the watch after promotion included.

    The request goes before the configuration, which goes before the strategy's defaults. Steps
    that the configuration spells out belong to its own strategy only.
    """
    strategy = request.strategy or config.strategy
    steps = _declared(config, request, strategy)
    bakes = (request.bake, config.bake, _BAKE[strategy])
    bake = next(bake for bake in bakes if bake is not None)
    planned = [
        PlannedStep(
            weight=step.weight,
            bake_seconds=_seconds(bake if step.bake is None else step.bake),
            approval=step.approval,
        )
        for step in steps
    ]
    final = _FINAL_BAKE[strategy] if config.final_bake is None else config.final_bake
    if request.undo:  # its version was good before: nothing to wait for
        final = timedelta(0)
    if final:
        planned.append(PlannedStep(weight=100, bake_seconds=_seconds(final), kind="final"))
    planned.append(PlannedStep(weight=100, bake_seconds=_seconds(config.watch), kind="watch"))
    return tuple(planned)


def _declared(
    config: DeploymentConfig, request: DeploymentRequest, strategy: Strategy
) -> Sequence[StepConfig]:
    if request.steps is not None:
        return request.steps
    if config.steps is not None and strategy == config.strategy:
        return config.steps
    return [
        StepConfig(weight=weight) for weight in weights_of(strategy, linear_step=config.linear_step)
    ]


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())


def share_of(capacity: int, weight: int) -> int:
    """How many of `capacity` tasks a weight in percent needs, rounded up; at least 1 above 0."""
    return -(-capacity * weight // 100)


def carries(healthy: int, *, capacity: int, weight: int) -> bool:
    """Whether so many healthy tasks carry that percentage of the traffic of `capacity` tasks."""
    return healthy >= share_of(capacity, weight)
