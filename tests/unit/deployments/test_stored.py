"""What another version of Greenlane wrote is read; what a person writes is checked."""

import copy
import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.model import Deployment, DeploymentRequest, Plan
from greenlane.deployments.reaching.workloads import read_workload
from greenlane.deployments.stepping.admission import PlanningEvent
from greenlane.deployments.storing.items import body_item
from greenlane.deployments.workload import Workload
from greenlane.errors import InvalidInput
from tests.builders import SERVICE, deployment, plan, request, service_config, workload

SECRET = {"Authorization": "sesame"}
TEST = {"name": "up", "headers": SECRET}
FALLING = [{"weight": 50}, {"weight": 10}]
UNKNOWN = {"of_a_later_version": {"a": [1]}}

Change = tuple[tuple[str, ...], dict[str, Any]]

# Where in a plan, and what is there that a person may not write today.
PLANNED: dict[str, Change] = {
    "an unknown key of the configuration": (("config",), UNKNOWN),
    "an unknown key of the judge": (("config", "judge"), UNKNOWN),
    "an unknown key of the request": (("request",), UNKNOWN),
    "an unknown key of the workload": (("workload",), UNKNOWN),
    "an unknown key of a slot": (("workload", "slots", "green"), UNKNOWN),
    "an unknown key of the shape": (("config", "workload", "shape"), UNKNOWN),
    "a header with a secret": (("config",), {"validation": [TEST]}),
    "a header with a secret, asked for": (("request",), {"validation": [TEST]}),
    "steps that fall": (("config", "deployment"), {"steps": FALLING}),
    "steps that fall, asked for": (("request",), {"steps": FALLING}),
    "a watch longer than the extended": (("config", "deployment"), {"watch": "7d"}),
    "two things to deploy": (("request",), {"version": "1.4.2"}),
}


def changed(document, change: Change):
    """A document's JSON with further keys in one of its parts."""
    path, more = change
    body = copy.deepcopy(json.loads(document.model_dump_json()))
    part = body
    for key in path:
        part = part[key]
    part.update(more)
    return body


def put(world, document, pk, sk, body, **extra):
    item = body_item(pk, sk, document, **extra) | {"body": {"S": json.dumps(body)}}
    world.store.client.put_item(TableName=world.store.table, Item=item)


@pytest.mark.parametrize("change", PLANNED.values(), ids=PLANNED)
def test_a_stored_plan_is_read_whatever_a_person_may_write_today(world, change):
    put(world, plan(), "DEPLOYMENT#d-1", "PLAN", changed(plan(), change))
    found = world.store.plan("d-1")
    assert found.target_group("green") == plan().target_group("green")
    assert (found.service, found.steps) == (SERVICE, plan().steps)


@pytest.mark.parametrize("change", PLANNED.values(), ids=PLANNED)
def test_the_same_is_still_refused_where_a_person_writes_it(change):
    (part, *path), more = change
    edges: dict[str, tuple[type[BaseModel], BaseModel]] = {
        "config": (ServiceConfig, service_config()),
        "request": (DeploymentRequest, request()),
        "workload": (Workload, workload()),
    }
    model, document = edges[part]
    with pytest.raises(ValidationError):
        model.model_validate(changed(document, (tuple(path), more)))


def test_what_a_stored_plan_says_is_kept_but_for_what_nobody_here_knows(world):
    put(world, plan(), "DEPLOYMENT#d-1", "PLAN", changed(plan(), (("config",), UNKNOWN)))
    assert world.store.plan("d-1") == plan()
    body = changed(plan(), (("config",), {"validation": [TEST]}))
    put(world, plan(), "DEPLOYMENT#d-1", "PLAN", body)
    (test,) = world.store.plan("d-1").config.validation
    assert test.headers == SECRET


STORED = {
    "an unknown key": (("config",), UNKNOWN),
    "an unknown key of the workload": (("config", "workload"), UNKNOWN),
    "a header with a secret": (("config",), {"validation": [TEST]}),
    "steps that fall": (("config", "deployment"), {"steps": FALLING}),
}


@pytest.mark.parametrize("change", STORED.values(), ids=STORED)
def test_a_stored_configuration_is_read_and_can_be_replaced(world, change):
    stored = world.store.get_config(SERVICE)
    put(world, stored, "SERVICES", SERVICE, changed(stored, change), version={"N": "1"})
    assert world.store.get_config(SERVICE).config.deployment.strategy == "canary"
    world.configure(deployment={"strategy": "all_at_once"})
    assert world.store.get_config(SERVICE).version == 2


@pytest.mark.parametrize("more", [UNKNOWN, {"headers": SECRET}], ids=["unknown key", "secret"])
def test_a_state_document_carries_the_tests_of_a_configuration_from_before(more):
    probe = {"targets": ["http://10.0.0.1:8000"], "tests": [{"name": "up", **more}]}
    body = json.loads(deployment().model_dump_json()) | {"probe": probe}
    (test,) = Deployment.model_validate(body).probe.tests
    assert test.name == "up"


@pytest.mark.parametrize("more", [UNKNOWN, {"validation": [TEST]}], ids=["unknown key", "secret"])
def test_what_planning_is_asked_for_is_checked(more):
    asked = changed(request(), ((), more))
    handle = {"deployment_id": "d-1", "service": SERVICE}
    with pytest.raises(ValidationError):
        PlanningEvent.model_validate({"deployment": handle, "request": asked, "execution": "arn"})


def test_a_workload_that_its_environment_describes_is_checked(world):
    body = workload().model_dump(mode="json") | UNKNOWN
    world.runtime.ssm.put_parameter(
        Name=f"/greenlane/workloads/{SERVICE}", Value=json.dumps(body), Type="String"
    )
    with pytest.raises(InvalidInput, match="of_a_later_version"):
        read_workload(world.runtime.ssm, SERVICE)


def test_a_workload_without_both_slots_is_no_workload_even_when_stored():
    body = json.loads(plan().model_dump_json())
    del body["workload"]["slots"]["blue"]
    with pytest.raises(ValidationError, match="blue"):
        Plan.model_validate(body)
