"""Alarms of a service that the guardrails of a test heed.

A guardrail with a limit, such as `error_rate < 0.01`, may be about a metric on which `apply` keeps
an alarm of the service. Such an alarm is about all users and says nothing of a variant. So it makes
the tests of that service be watched at once, and what was recorded by variant decides. Only where
nobody recorded the guardrail by variant, so that nothing else will ever tell, the alarm itself ends
the test: when it is true of the whole service, and turned red while the test ran.

Margins need the control, which no alarm knows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from greenlane.experiments.model import Experiment
from greenlane.experiments.records import Reason
from greenlane.experiments.running.experiment_news import service_of
from greenlane.experiments.running.runtime import ExperimentRuntime
from greenlane.experiments.storing.state import StoredTest, Watch
from greenlane.flags.ramps.behind import service_behind
from greenlane.flags.ramps.guards import Guard
from greenlane.flags.ramps.impact import MOST_MINUTES, Behind, Questions, is_true
from greenlane.flags.ramps.impact_metrics import by_variant
from greenlane.health.alarm_definitions import PULLING, plan_alarms
from greenlane.health.alarms import read_alarms
from greenlane.health.asked import criteria_of
from greenlane.health.declared import known_metrics
from greenlane.health.expressions import ExpressionError, parse
from greenlane.health.metrics import MINUTE
from greenlane.health.rules import expand, metrics_of


@dataclass(frozen=True)
class ServiceAlarm:
    """An alarm that `apply` keeps: its name, what it is about, and the metrics in that."""

    name: str
    expression: str
    metrics: frozenset[str]


def alarms_of_service(behind: Behind) -> tuple[ServiceAlarm, ...]:
    """The alarms of a service that call for going back, with their metrics; pure."""
    config = behind.config
    metrics = known_metrics(config.metrics, config.database)
    found = []
    for condition in criteria_of(config).conditions:
        if condition.role not in PULLING:
            continue
        try:
            named = metrics_of(expand(parse(condition.expression, metrics), metrics))
        except ExpressionError:
            continue  # the metric is gone, and its alarm with it
        if any(by_variant(metric) for metric in named.values()):
            continue  # of a flag's variants
        plan = plan_alarms([condition], behind.workload, metrics)
        found += [
            ServiceAlarm(alarm.name, condition.expression, frozenset(named))
            for alarm in plan.alarms
            if alarm.pulls
        ]
    return tuple(found)


def limited(test: Experiment) -> frozenset[str]:
    """The guardrails of a test that have a limit, by name."""
    return frozenset(one.name for one in test.guardrail_metrics if one.margin is None)


def heeding(
    tests: Sequence[StoredTest], alarm: ServiceAlarm, service: str, services: Sequence[str]
) -> Iterator[StoredTest]:
    """The running tests with a guardrail that an alarm of a service is about."""
    for test in tests:
        its_own = test.status == "running" and service_of(test, services) == service
        if its_own and limited(test.definition) & alarm.metrics:
            yield test


def alarmed(
    runtime: ExperimentRuntime, test: StoredTest, watch: Watch, services: Sequence[str]
) -> Reason | None:
    """Why an alarm ends a test: it is about a guardrail that nobody recorded by variant.

    Args:
        runtime: the clients and the clock.
        test: it runs.
        watch: what was recorded.
        services: the names of all services.

    Raises:
        ClientError: CloudWatch did not answer.
    """
    silent = {one.metric for one in watch.guardrails if one.standing == "no_data"}
    silent &= limited(test.definition)
    service = service_of(test, services)
    # Those of an earlier epoch keep their variant, and may be harmed by it.
    users = sum(sum(epoch.users.values()) for epoch in watch.snapshot.epochs)
    if not silent or not service or users == 0:
        return None
    behind = service_behind(runtime, service, services)
    if isinstance(behind, str):
        return None
    alarms = {one.name: one for one in alarms_of_service(behind) if one.metrics & silent}
    if not alarms:
        return None
    for state in read_alarms(runtime.cloudwatch_quick, alarms):
        began = test.started_at is None or state.since is None or state.since >= test.started_at
        if state.red and began and _of_all_users(runtime, test, behind, alarms[state.name]):
            alarm = alarms[state.name]
            metric = sorted(alarm.metrics & silent)[0]
            text = (
                f"{alarm.expression} is true of {service}, and nobody recorded {metric} by variant"
            )
            return Reason(text=text, metric=metric)
    return None


def _of_all_users(
    runtime: ExperimentRuntime, test: StoredTest, behind: Behind, alarm: ServiceAlarm
) -> bool:
    """Whether it is true of the whole service: an alarm is of a slot, and a test is in both.

    A new version that fails alone is the deployment's business. Where that cannot be read, the
    alarm counts as it is.
    """
    guard = Guard(
        flag=test.name,
        environment="",
        service=behind.config.name,
        rollback=(alarm.expression,),
        signals=(),
        on="",
        off="",
    )
    questions = Questions(guard, behind)
    now, since = runtime.clock.now(), test.started_at
    reach = None if since is None or since <= now - (MOST_MINUTES + 1) * MINUTE else since
    return is_true(runtime, questions, alarm.expression, reach) is not False
