"""An adopted service gets the alarms that the sample's template declares, word for word."""

from typing import Any

import pytest

from greenlane.adopting.alarms import KINDS, alarms_of
from greenlane.adopting.model import Describe
from greenlane.adopting.planning import plan_adoption
from infra.alarms import KINDS as KINDS_OF_THE_TEMPLATE
from tests.infra.conftest import Template
from tests.unit.adopting.test_adoption_plan import found


def named(value: Any, slot: str) -> Any:
    """A template's value with names in place of references."""
    if isinstance(value, dict) and "Fn::GetAtt" in value:
        return {"LoadBalancerFullName": "app/x/1", "TargetGroupFullName": f"targetgroup/{slot}/2"}[
            value["Fn::GetAtt"][1]
        ]
    if isinstance(value, dict):
        return {key: named(part, slot) for key, part in value.items()}
    return [named(part, slot) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("slot", ["blue", "green"])
@pytest.mark.parametrize("kind", KINDS_OF_THE_TEMPLATE)
def test_the_alarm_is_that_of_the_template(sample: Template, slot: Any, kind: str) -> None:
    name = f"claude-manager-{slot}-{kind}"
    template = named(sample.only("AWS::CloudWatch::Alarm", AlarmName=name).properties, slot)
    bodies = {
        one["AlarmName"]: one
        for one in alarms_of("claude-manager", slot, "app/x/1", f"targetgroup/{slot}/2")
    }
    mine = {key: value for key, value in bodies[name].items() if key != "Tags"}
    assert mine == template
    assert KINDS == KINDS_OF_THE_TEMPLATE


def test_the_stack_reads_the_parameters_that_an_adoption_writes(product: Template) -> None:
    prefix = "/greenlane/workloads/"
    read = {
        str(one["Default"]).removeprefix(prefix).partition("/")[2]
        for one in product.body["Parameters"].values()
        if str(one.get("Default", "")).startswith(prefix)
    }
    values = next(
        step.values for step in plan_adoption(found()).steps if isinstance(step, Describe)
    )
    written = {name.removeprefix(prefix).partition("/")[2] for name in values}
    assert read
    assert read | {""} == written
