"""Deploying again never resets live weights, task definitions or desired counts.

CloudFormation touches a resource when its properties in the template change. So the proof is that
no setting, whatever its value, changes the properties of what holds live state, and that these
properties are the ones that were deployed first. That CloudFormation, given templates that differ
elsewhere, leaves live state alone is replayed on the local cloud.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.infra.conftest import API, PRODUCT, SAMPLE, Assembly, Synthesizer, Template, Vary
from tests.infra.synthesizing import read

FROZEN = Path(__file__).parent / "frozen_slots.json"
HOLDS_LIVE_STATE = (
    "AWS::ECS::Service",
    "AWS::ECS::TaskDefinition",
    "AWS::ApplicationAutoScaling::ScalableTarget",
)

# Every setting that a person may change between two deployments of the stacks. Names are not
# among them: a service of another name is another service.
CHANGES: dict[str, dict[str, Any]] = {
    "variable": {"sample": {"shape": {"environment": {"LOG_LEVEL": "debug", "NEW": "1"}}}},
    "size": {"sample": {"shape": {"cpu": 1024, "memory": 2048}}},
    "capacity": {"sample": {"capacity": {"min_tasks": 5, "max_tasks": 50}}},
    "priority": {"sample": {"rule_priority": 50}},
    "paths": {"sample": {"rule_paths": ["/api/*", "/health"]}},
    "threshold": {"sample": {"alarms": {"error_rate_percent": 1, "p95_seconds": 2}}},
    "scaling": {"sample": {"cpu_target_percent": 40, "requests_per_task_target": 10}},
    "test listener": {"sample": {"test_listener_cidr": "192.0.2.0/24"}},
    "Alertmanager": {"sample": {"alertmanager_port": 9093}},
    "Prometheus": {"sample": {"prometheus_port": 9090}},
    "certificate": {
        "sample": {"certificate_arn": "arn:aws:acm:eu-west-1:123456789012:certificate/1"}
    },
    "retention": {"log_retention_days": 90},
}


def live(template: Template) -> dict[str, Any]:
    """The whole bodies of the resources that hold live state, by logical id."""
    return {found.logical_id: found.body for found in template.resources(*HOLDS_LIVE_STATE)}


def test_the_list_of_changes_names_every_setting_of_the_sample() -> None:
    from infra.settings import SampleSettings

    changed = {key for change in CHANGES.values() for key in change.get("sample", {})}

    assert changed == set(SampleSettings.model_fields) - {"service"}


def test_no_stack_but_its_own_knows_the_settings_of_the_sample(
    assembly: Assembly, vary: Vary, synthesizer: Synthesizer
) -> None:
    """So a change of them is replayed with the other stacks as they are."""
    changed = {
        key: value for one in CHANGES.values() for key, value in one.get("sample", {}).items()
    }

    folder = synthesizer.together(sample=changed)

    found = {
        stack: read(folder / f"{stack}.template.json").body for stack in (PRODUCT, API, SAMPLE)
    }
    assert found[PRODUCT] == assembly.product.body
    assert found[API] == assembly.api.body
    assert found[SAMPLE] == vary(sample=changed).sample.body != assembly.sample.body


@pytest.mark.parametrize("change", CHANGES)
def test_no_setting_reaches_a_resource_that_holds_live_state(vary: Vary, change: str) -> None:
    before, after = vary().sample, vary(**CHANGES[change]).sample

    assert live(after) == live(before)
    # The change is a change: a test of nothing would pass as well.
    assert after.body != before.body


def test_what_was_deployed_first_is_what_is_deployed_now(sample: Template) -> None:
    """A difference here means: deploying this over a running service restarts it on bootstrap.

    A change of these resources is a migration: see docs/adr/0002. If no environment exists that
    was deployed from the file's state, write the file anew from the template.
    """
    assert live(sample) == json.loads(FROZEN.read_text())


def test_no_template_says_how_many_tasks_run(sample: Template) -> None:
    for service in sample.resources("AWS::ECS::Service"):
        assert "DesiredCount" not in service.properties


def test_both_slots_are_pinned_to_one_bootstrap_revision(sample: Template) -> None:
    (bootstrap,) = sample.resources("AWS::ECS::TaskDefinition")

    assert {
        json.dumps(service.properties["TaskDefinition"])
        for service in sample.resources("AWS::ECS::Service")
    } == {json.dumps({"Ref": bootstrap.logical_id})}
    assert "Environment" not in bootstrap.properties["ContainerDefinitions"][0]


def test_the_tag_that_says_which_slot_is_active_is_in_no_template(sample: Template) -> None:
    for service in sample.resources("AWS::ECS::Service"):
        slot = service.properties["ServiceName"].rpartition("-")[2]
        assert service.properties["Tags"] == [{"Key": "Environment", "Value": slot}]


@pytest.mark.parametrize("change", ["priority", "paths"])
def test_a_changed_rule_is_an_update_of_conditions_by_the_same_function(
    vary: Vary, change: str
) -> None:
    """The properties that would need a write of the actions are those that stay."""
    before = vary().sample.only("Custom::ListenerRule")
    after = vary(**CHANGES[change]).sample.only("Custom::ListenerRule")

    differing = {
        key for key in before.properties if before.properties[key] != after.properties[key]
    }
    assert after.logical_id == before.logical_id
    assert differing == {"Priority" if change == "priority" else "Paths"}


def test_shape_and_capacity_travel_as_data(vary: Vary) -> None:
    from greenlane.deployments.workload import Workload
    from infra.nag import as_finding

    changed = vary(
        sample={
            "shape": {"cpu": 1024, "memory": 2048, "environment": {"NEW": "1"}},
            "capacity": {"min_tasks": 5, "max_tasks": 50},
        }
    ).sample
    parameter = changed.only("AWS::SSM::Parameter", Name="/greenlane/workloads/claude-manager")

    workload = Workload.model_validate_json(as_finding(parameter.properties["Value"]))

    assert (workload.shape.cpu, workload.shape.memory) == (1024, 2048)
    assert workload.shape.environment == {"NEW": "1"}
    assert workload.capacity is not None
    assert (workload.capacity.min_tasks, workload.capacity.max_tasks) == (5, 50)
