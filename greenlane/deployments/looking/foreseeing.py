"""The edge of `greenlane plan`: reads the last days' traffic and the tasks, writes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.connection import Connection
from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.declaring.layers import check_fits
from greenlane.deployments.looking.cost import Cost, Fleet, cost_of
from greenlane.deployments.model import DeploymentRequest, PlannedStep, StoredModel
from greenlane.deployments.plan import plan_steps
from greenlane.deployments.reaching.fleet import read_service, read_task_definition
from greenlane.deployments.workload import Workload
from greenlane.errors import InvalidInput, Refused
from greenlane.health.alarm_definitions import SLOTS, places_of
from greenlane.health.asked import criteria_of
from greenlane.health.catalogue import BALANCER, ERROR_PARTS, Metric, Part
from greenlane.health.cloudwatch_data import Data, get_data
from greenlane.health.criteria import Criteria
from greenlane.health.declared import known_metrics
from greenlane.health.expressions import parse
from greenlane.health.foresight import (
    SEES,
    ForeseenStep,
    Foreseer,
    Hour,
    Timing,
    Traffic,
)
from greenlane.health.observed import Baseline
from greenlane.health.rules import expand, metrics_of
from greenlane.health.slowness import slow_metrics

DAYS = 7
MOST_DAYS = 63
"""CloudWatch keeps hourly values longer; what is older says little of a service."""

_TIMES = ("response_time_p50", "response_time_p95", "response_time_p99")
_HOUR_SECONDS = 3600


class Foresight(StoredModel):
    """What is known of a deployment before it begins.

    Attributes:
        at: when its first weight would be written.
        days: of traffic that were looked at.
        traffic: whether there was any, and it could be read.
        usual_error_rate: of the service, a ratio.
        usual_p95_ms: of the service, in the same hours.
        sees: the error rate that a step should see.
        steps: all before the watch.
        seconds: from the first weight to promotion, as long as everything passes.
        watch_seconds: after it.
        cost: of orchestration and tasks.
        better: a schedule without blind steps; none where there are none, or no such schedule.
        better_seconds: from its first weight to promotion, holds and the final bake included.
        notes: what a person should know.
    """

    service: str
    strategy: str
    at: datetime
    days: int
    traffic: bool
    usual_error_rate: Decimal | None = None
    usual_p95_ms: Decimal | None = None
    sees: Decimal
    steps: tuple[ForeseenStep, ...]
    seconds: int
    watch_seconds: int
    cost: Cost
    better: tuple[PlannedStep, ...] = ()
    better_seconds: int = 0
    notes: tuple[str, ...] = ()


def foresee(
    connection: Connection,
    service: str,
    request: DeploymentRequest,
    *,
    days: int = DAYS,
    at: datetime | None = None,
    sees: float = SEES,
) -> Foresight:
    """See `Greenlane.foresee`."""
    if not 1 <= days <= MOST_DAYS:
        raise InvalidInput("days", str(days), f"between 1 and {MOST_DAYS}")
    if not 0 < sees < 1:
        raise InvalidInput("sees", str(sees), "a ratio between 0 and 1, such as 0.05")
    config = connection.store.get_config(service).config
    check_fits(config, request)
    assert config.workload is not None, "apply has read or declared it"
    now = connection.clock.now()
    traffic, notes = read_past(connection.client("cloudwatch"), config.workload, days, now)
    fleet, more = _read_fleet(connection.client("ecs"), config)
    if more:
        notes.append(more)
    return _Planner(config, request, traffic, fleet, at or now, sees).plan(days, notes)


class _Planner:
    """One look ahead, with everything that was read."""

    def __init__(
        self,
        config: ServiceConfig,
        request: DeploymentRequest,
        traffic: Traffic | None,
        fleet: Fleet | None,
        at: datetime,
        sees: float,
    ) -> None:
        self._config, self._request, self._traffic = config, request, traffic
        self._fleet, self._at, self._sees = fleet, at, sees
        self._criteria = criteria_of(config)
        self._metrics = known_metrics(config.metrics, config.database)
        deployment = config.deployment
        timing = Timing(deployment.propagation, deployment.max_hold)
        self._foreseer = Foreseer(traffic, self._criteria, self._metrics, timing, at, sees)

    def plan(self, days: int, notes: list[str]) -> Foresight:
        config, steps = self._config, plan_steps(self._config.deployment, self._request)
        seen = self._foreseer.look(steps)
        last = seen[-1]
        seconds = last.begins + self._foreseer.lasts(last.bake_seconds) + last.hold_seconds
        watch = steps[-1].bake_seconds
        usual = self._traffic.usual(self._at) if self._traffic else None
        p95 = usual.response_times.get("response_time_p95") if usual else None
        better = self._better(seen, steps)
        lasts = self._lasts(better, steps)
        notes = [*notes, *self._notes(seen, seconds, better, lasts)]
        return Foresight(
            service=config.name,
            strategy=self._request.strategy or config.deployment.strategy,
            at=self._at,
            days=days,
            traffic=self._traffic is not None,
            usual_error_rate=Decimal(f"{usual.error_rate:.3g}") if usual else None,
            usual_p95_ms=Decimal(round(p95)) if p95 else None,
            sees=Decimal(str(self._sees)),
            steps=seen,
            seconds=seconds,
            watch_seconds=watch,
            cost=self._cost(steps, seen, seconds + watch),
            better=better,
            better_seconds=lasts,
            notes=tuple(notes),
        )

    def _better(
        self, seen: Sequence[ForeseenStep], steps: Sequence[PlannedStep]
    ) -> tuple[PlannedStep, ...]:
        """Another schedule where a step is blind; nothing where there is none that helps."""
        if not any(step.blind for step in seen if step.kind == "step"):
            return ()
        better = self._foreseer.better(steps)
        same = tuple(step for step in steps if step.kind == "step")
        return () if better == same else better

    def _lasts(self, better: Sequence[PlannedStep], steps: Sequence[PlannedStep]) -> int:
        """Of the better schedule, with the holds and the final bake that it has as well."""
        if not better:
            return 0
        final = [step for step in steps if step.kind == "final"]
        last = self._foreseer.look([*better, *final])[-1]
        return last.begins + self._foreseer.lasts(last.bake_seconds) + last.hold_seconds

    def _notes(
        self,
        seen: Sequence[ForeseenStep],
        seconds: int,
        better: Sequence[PlannedStep],
        lasts: int,
    ) -> Iterator[str]:
        deployment = self._config.deployment
        limit = round(deployment.max_duration.total_seconds())
        if seconds >= limit:
            yield "with its holds it takes longer than max_duration, and would go back"
        if lasts >= limit:
            yield "the better schedule needs a longer max_duration"
        if any(step.no_evidence for step in seen):
            yield (
                "a step that does not get enough requests within max_hold ends by "
                f"on_no_evidence: {deployment.on_no_evidence}"
            )
        if any(step.blind for step in seen) and not better and self._traffic is not None:
            yield "no schedule with bakes of up to an hour sees more; the service is too quiet"
        compared = [
            one.metric
            for one in self._criteria.in_phase("during").criteria
            if one.against != "limit" and not one.optional
        ]
        if compared and (self._traffic is None or all(step.weight >= 100 for step in seen)):
            yield _only_before(tuple(dict.fromkeys(compared)), self._criteria)
        if deployment.shadow:
            yield "judge_mode is shadow: what the steps see is told, and never acts"

    def _cost(
        self, steps: Sequence[PlannedStep], seen: Sequence[ForeseenStep], seconds: int
    ) -> Cost:
        deployment, fleet = self._config.deployment, self._fleet
        rest = round((deployment.extended_watch - deployment.watch).total_seconds())
        if fleet is not None:
            warm = rest if deployment.warm_floor else 0
            fleet = fleet._replace(warm=deployment.warm_floor, warm_seconds=warm)
        return cost_of(
            steps,
            holds=sum(step.hold_seconds > 0 for step in seen),
            seconds=seconds,
            metrics_a_minute=queries_of(self._criteria, self._metrics),
            fleet=fleet,
            # In shadow mode nobody looks there: what the criteria say would not act.
            extended_seconds=0 if deployment.shadow else rest,
        )


def _only_before(compared: Sequence[str], criteria: Criteria) -> str:
    """What comparisons come to that may have nothing to compare with."""
    names = ", ".join(compared)
    said = (
        f"{names}: compared with the live slot and the minutes before; where neither has anything, "
        "as at a first deployment or all at once, it is not applicable and no step waits for it"
    )
    critical = [name for name in compared if criteria.rule(name).critical]
    if critical:
        said += f"; but {', '.join(critical)} is declared critical, and holds without evidence"
    return said


def queries_of(criteria: Criteria, metrics: Mapping[str, Metric]) -> int:
    """How many CloudWatch metrics one judgement reads."""
    names = {one.metric for one in criteria.criteria}
    asked = {name: metrics[name] for name in names if name in metrics}
    for condition in criteria.conditions:
        asked |= metrics_of(expand(parse(condition.expression, metrics), metrics))
    # Any number will do: where a threshold lies does not change how many there are.
    before = [Baseline(metric=name, value=Decimal(1000), minutes=1) for name in names]
    slow = slow_metrics(criteria.criteria, before, metrics)
    found = {
        (part, str(sorted(part.values.items())), slot)
        for metric in (*asked.values(), *slow)
        for part in metric.parts.values()
        for slot in (SLOTS if part.per_slot else (None,))
    }
    return len(found)


def read_past(
    cloudwatch: Any, workload: Workload, days: int, now: datetime
) -> tuple[Traffic | None, list[str]]:
    """The whole hours of the last days, over both slots, by one read; and what is to be said."""
    end = now.replace(minute=0, second=0, microsecond=0)
    start = end - timedelta(days=days)
    queries = [_query(*each, workload) for each in _asked()]
    data = get_data(cloudwatch, queries, start=start, end=end)
    trouble = next(iter(data.troubles.values()), "")
    if trouble:
        return None, [f"the traffic was not read: {trouble}"]
    traffic = Traffic(_hours(data), end)
    if not traffic.known:
        return None, [
            f"no traffic in the last {days} days: what steps see is not known; send the service "
            "its usual load, or look at more days"
        ]
    return traffic, []


def _asked() -> Iterator[tuple[str, str, Part]]:
    """Each query's name, slot and statistic."""
    for slot in SLOTS:
        for name, part in ERROR_PARTS.items():
            yield name, slot, part
        for name in _TIMES:
            statistic = name.rsplit("_", 1)[1]
            dimensions = ERROR_PARTS["r"].dimensions
            yield (
                name,
                slot,
                Part(BALANCER, "TargetResponseTime", statistic, dimensions),
            )


def _query(name: str, slot: Any, part: Part, workload: Workload) -> dict[str, Any]:
    values = part.filled(places_of(workload, slot))
    dimensions = [{"Name": key, "Value": value} for key, value in values.items()]
    metric = {"Namespace": part.namespace, "MetricName": part.metric, "Dimensions": dimensions}
    stat = {"Metric": metric, "Period": _HOUR_SECONDS, "Stat": part.statistic}
    return {"Id": f"{name}_{slot}", "MetricStat": stat, "ReturnData": True}


def _hours(data: Data) -> Iterator[Hour]:
    def of(name: str, slot: str, at: datetime) -> float:
        return data.values[f"{name}_{slot}"].get(at, 0.0)

    for at in sorted(set().union(*(data.values[f"r_{slot}"] for slot in SLOTS))):
        busier = max(SLOTS, key=lambda slot: of("r", slot, at))
        times = {
            name: 1000 * data.values[f"{name}_{busier}"][at]
            for name in _TIMES
            if at in data.values[f"{name}_{busier}"]
        }
        requests = sum(of("r", slot, at) for slot in SLOTS)
        yield Hour(at, requests, sum(_errors(of, slot, at) for slot in SLOTS), times)


def _errors(of: Any, slot: str, at: datetime) -> float:
    """As the catalogue counts them: 5xx, and requests without an answer."""
    answered = sum(of(name, slot, at) for name in ("c2", "c3", "c4", "c5"))
    missing = max(of("r", slot, at) - answered, of("k", slot, at), 0.0)
    return float(of("c5", slot, at) + missing)


def _read_fleet(ecs: Any, config: ServiceConfig) -> tuple[Fleet | None, str]:
    """The tasks of the slot that has more of them, and their size."""
    workload = config.workload
    assert workload is not None
    try:
        services = [
            read_service(ecs, workload.cluster, resources.service)
            for resources in workload.slots.values()
        ]
        live = max(services, key=lambda service: service.desired)
        definition = read_task_definition(ecs, live.task_definition)
    except (ClientError, BotoCoreError, Refused) as error:
        return None, f"the tasks were not read, so their cost is not known: {error}"
    cpu = workload.shape.cpu or _number(definition.get("cpu"))
    memory = workload.shape.memory or _number(definition.get("memory"))
    if not cpu or not memory:
        return None, "the task definition says no size for the task, so its cost is not known"
    least = workload.capacity.min_tasks if workload.capacity else 0
    tasks = max(live.desired, least)
    return Fleet(tasks, Decimal(cpu) / 1024, Decimal(memory) / 1024), ""


def _number(text: Any) -> int:
    try:
        return int(text)
    except (TypeError, ValueError):
        return 0
