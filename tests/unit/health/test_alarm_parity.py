"""The product's verdict on an expression is that of its alarms, minute by minute.

`GREENLANE_EXAMPLES=10000` asks for more examples than the few hundred of a normal run.
"""

import os
from typing import Any

from hypothesis import HealthCheck, given, settings

from greenlane.health.alarm_definitions import AlarmPlan, plan_alarms
from greenlane.health.criteria import Condition
from greenlane.health.evaluate import evaluate
from greenlane.health.expressions import Expression
from greenlane.health.rules import expand, without_data
from greenlane.local.alarms_api import Alarms
from greenlane.local.cloudwatch_store import MetricStore
from tests.builders import SettableClock
from tests.unit.health.condition_data import (
    END,
    WORKLOAD,
    Published,
    cases,
    needed,
    series_from,
    store_of,
)

EXAMPLES = int(os.environ.get("GREENLANE_EXAMPLES", "200"))
often = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def alarms_of(plan: AlarmPlan, store: MetricStore) -> Alarms:
    """The local CloudWatch with a plan's alarms, evaluated once."""
    alarms = Alarms(store, SettableClock(), "arn:aws:cloudwatch:eu-west-1:1:alarm:", _no, _no)
    for alarm in plan.alarms:
        body = dict(alarm.body)
        (alarms.put_composite_alarm if alarm.composite else alarms.put_metric_alarm)(body)
    return alarms


def _no(*_: Any) -> None: ...


def state(plan: AlarmPlan, alarms: Alarms) -> str:
    (name,) = plan.pulling("green") or plan.pulling(None)
    return alarms.alarms[name].value


@often
@given(cases())
def test_the_alarms_and_the_product_agree(case: tuple[Expression, Published]) -> None:
    tree, data = case
    plan = plan_alarms([Condition(expression=str(tree), role="trigger")], WORKLOAD)
    if plan.unwatched:
        assert without_data(expand(tree)), plan.unwatched
        return
    store = store_of(data, needed(tree))
    alarms = alarms_of(plan, store)
    assert state(plan, alarms) != "ALARM", "a new alarm must not start anything"
    alarms.evaluate(int(END.timestamp()))
    found = evaluate(tree, series_from(store, needed(tree)), END)
    assert found.complete
    assert state(plan, alarms) == ("ALARM" if found.true else "OK")
