"""What the HTTP API tells of services and deployments, and that it is what the command prints."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from greenlane.cli.main import app
from greenlane.cli.session import Session
from greenlane.deployments.connection import DEPLOYMENT_MACHINE
from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.http import looking
from greenlane.deployments.model import (
    DeploymentSummary,
    HistoryEvent,
    Judgement,
    Verdict,
)
from greenlane.deployments.phases import Phase
from greenlane.deployments.storing.store import DynamoStore
from greenlane.http import fitting, listing
from greenlane.http.listing import EventsQuery, NewestQuery
from tests import builders
from tests.aws_account import NOW, make_services, record_in
from tests.builders import SERVICE
from tests.deployment_doors import Door, problem_in
from tests.table import Table
from tests.unit.deployments.test_replaying import Minutes

SERVICES, ONE = "/services", "/services/{service}"
LISTED, DEPLOYMENT = "/services/{service}/deployments", "/deployments/{id}"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def door(applied, machines) -> Door:
    return Door(applied)


@pytest.fixture
def printed(door, monkeypatch):
    """What a command prints with `--output json` about the same account."""
    monkeypatch.setattr(Session, "client", property(lambda _: door.greenlane))

    def run(*words: str) -> Any:
        done = CliRunner().invoke(app, ["--output", "json", *words])
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    return run


def planned(door: Door, **more: Any) -> None:
    config = door.greenlane.store.get_config(SERVICE).config
    door.greenlane.store.put_plan(builders.plan(deployment_id="d-1", config=config, **more))


def judged(minutes: int, verdict: str = "pass") -> HistoryEvent:
    detail = {"step": minutes, "weight": 10, "verdict": verdict, "requests": 500}
    return HistoryEvent(at=NOW + minutes * MINUTE, kind="judged", actor="judge-step", detail=detail)


def summary(number: int, **more: Any) -> DeploymentSummary:
    given = {
        "deployment_id": f"d-{number}",
        "service": SERVICE,
        "phase": Phase.WATCHING,
        "strategy": "canary",
        "started_at": NOW + number * MINUTE,
    }
    return DeploymentSummary.model_validate(given | more)


# Services


def test_services_are_listed_with_where_they_stand_by_reads_of_the_table_alone(door):
    door.greenlane.store.acquire(record_in(Phase.SHIFTING, step=1, weight=25))
    door.greenlane.store.put_config(
        ServiceConfig(name="shop"), source="x", by="jo", at=NOW, workload_declared=True
    )
    for name in ("elbv2", "ecs", "stepfunctions", "cloudwatch"):
        door.greenlane.connection._clients[name] = None  # whoever calls it fails
    status, found = door("GET", SERVICES)

    assert status == 200
    manager, shop = found["services"]
    assert (manager["service"], manager["phase"]) == (SERVICE, "shifting")
    assert (manager["step"], manager["weight"], manager["outcome"]) == (1, 25, None)
    assert shop == {name: None for name in shop} | {"service": "shop"}
    assert found["next"] is None


def test_services_come_in_pages_by_name(door):
    names = [SERVICE, *(f"service-{n}" for n in range(4))]
    for name in names[1:]:
        door.greenlane.store.put_config(
            ServiceConfig(name=name), source="x", by="jo", at=NOW, workload_declared=True
        )
    found: list[str] = []
    query = {"limit": "2"}
    while True:
        _, page = door("GET", SERVICES, query=query)
        found += [one["service"] for one in page["services"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert found == names


def test_a_service_is_told_as_the_command_prints_it(live_workload, door, printed):
    make_services(door.greenlane.connection.client("ecs"))
    status, found = door("GET", ONE, service=SERVICE)
    assert status == 200
    assert [slot["role"] for slot in found["slots"]] == ["live", "standby"]
    assert found == printed("get", SERVICE)


def test_a_service_whose_rule_is_gone_is_a_conflict_that_names_it(live_workload, door):
    make_services(door.greenlane.connection.client("ecs"))
    rule = live_workload.listener_rule_arn
    door.greenlane.connection.client("elbv2").delete_rule(RuleArn=rule)
    told = problem_in(door("GET", ONE, service=SERVICE), 409)
    assert rule in told["detail"]
    assert "greenlane apply" in told["detail"]


@pytest.mark.parametrize(("service", "status"), [("claude-manger", 404), ("UPPER", 400)])
def test_a_service_that_there_is_not_is_told_with_the_way_out(door, service, status):
    for path in (ONE, LISTED):
        told = problem_in(door("GET", path, service=service), status)
        assert told["problems"][0]["field"] == "service"
        assert told["problems"][0]["value"] == repr(service)


def test_unknown_parameters_are_refused(door):
    told = problem_in(door("GET", SERVICES, query={"limt": "3"}), 400)
    assert "did you mean limit?" in told["detail"]
    problem_in(door("GET", LISTED, query={"limit": "101"}, service=SERVICE), 400)
    problem_in(door("GET", LISTED, query={"before": "d-1"}, service=SERVICE), 400)


# Deployments


def test_deployments_are_told_as_the_command_prints_them(door, printed):
    for number in range(3):
        door.greenlane.store.put_summary(summary(number))
    status, found = door("GET", LISTED, service=SERVICE)
    assert status == 200
    assert [one["deployment_id"] for one in found["deployments"]] == ["d-2", "d-1", "d-0"]
    assert found["deployments"] == printed("history", SERVICE)
    assert found["next"] is None


class InMemory:
    """One service whose list and history are read a page at a time."""

    def __init__(self) -> None:
        self.store = DynamoStore(Table("t"), "t")
        self.store.put_config(
            ServiceConfig(name=SERVICE), source="x", by="jo", at=NOW, workload_declared=True
        )


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    count=st.integers(0, 7), limit=st.integers(1, 4), characters=st.sampled_from([1, 700, 10**7])
)
def test_deployments_and_history_come_in_pages_without_a_gap(
    count: int, limit: int, characters: int
) -> None:
    store = InMemory().store
    for number in range(count):
        # Two of them begin in the same instant, as events may happen in the same.
        store.put_summary(summary(number, started_at=NOW + (number // 2) * MINUTE))
        store.append("d-1", judged(number // 2))
    deployments: list[str] = []
    history: list[Any] = []
    before, after = None, None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "MOST_CHARACTERS", characters)
        patch.setattr(listing, "MOST_CHARACTERS", characters)
        while True:
            page = looking.deployments(store, SERVICE, NewestQuery(limit=limit, before=before))
            deployments += [one.deployment_id for one in page.deployments]
            before = page.next
            if before is None:
                break
        while count:
            told = looking.history(store, "d-1", EventsQuery(limit=limit, after=after))
            history += told.events
            after = told.next
            if after is None:
                break

    assert deployments == [f"d-{number}" for number in reversed(range(count))]
    assert history == store.history("d-1")


def test_one_deployment_is_told_while_it_runs_and_afterwards(door):
    planned(door)
    record = door.greenlane.store.acquire(record_in(Phase.SHIFTING))
    door.greenlane.store.append("d-1", judged(1))
    look = Judgement(at=NOW + 2 * MINUTE, step=0, verdict=Verdict(verdict="hold"))
    door.greenlane.store.put_look("d-1", look)
    status, found = door("GET", DEPLOYMENT, id="d-1")

    assert status == 200
    assert (found["service"], found["outcome"]) == (SERVICE, None)
    assert found["record"]["phase"] == "shifting"
    assert found["plan"]["deployment_id"] == "d-1"
    assert found["judgement"]["verdict"]["verdict"] == "hold"
    door.greenlane.store.update(record, {"phase": Phase.ROLLED_BACK, "reason": "errors"})
    outcome = door("GET", DEPLOYMENT, id="d-1")[1]["outcome"]
    assert (outcome["name"], outcome["reason"]) == ("rolled_back", "errors")


def test_a_deployment_that_is_still_being_planned_is_known_by_its_execution(door):
    _, started = door("POST", "/deployments", {"service": SERVICE, "version": "1"}, key="k")
    status, found = door("GET", DEPLOYMENT, id=started["deployment_id"])
    assert (status, found["service"], found["plan"]) == (200, SERVICE, None)
    assert found["outcome"] is None


def test_a_refused_deployment_says_why(door):
    _, started = door("POST", "/deployments", {"service": SERVICE, "version": "1"}, key="k")
    states = door.greenlane.connection.client("stepfunctions")
    cause = json.dumps({"errorMessage": "there is no such image"})
    states.stop_execution(executionArn=started["execution_arn"], error="Refused", cause=cause)
    arn = door.greenlane.connection.arn("execution", f"{DEPLOYMENT_MACHINE}:{SERVICE}-k")
    assert arn == started["execution_arn"]
    outcome = door("GET", DEPLOYMENT, id=f"{SERVICE}-k")[1]["outcome"]
    assert outcome["name"] in ("refused", "failed")
    assert outcome["reason"]


@pytest.mark.parametrize("rest", ["", "/history", "/verdicts", "/report"])
def test_what_is_asked_of_an_unknown_deployment_is_404(door, rest):
    told = problem_in(door("GET", DEPLOYMENT + rest, id="d-9"), 404)
    assert told["title"] == "UnknownDeployment"
    problem_in(door("GET", DEPLOYMENT + rest, id="-9"), 400)


def test_a_history_is_told_as_the_command_prints_it(door, printed):
    for number in range(3):
        door.greenlane.store.append("d-1", judged(number))
    status, found = door("GET", f"{DEPLOYMENT}/history", id="d-1")
    assert status == 200
    assert found["events"] == printed("history", SERVICE, "-d", "d-1")


# The judge


def test_verdicts_are_told_in_pages_with_the_latest_look(door):
    store = door.greenlane.store
    for number in range(5):
        store.append("d-1", judged(number, "fail" if number == 4 else "pass"))
        store.append("d-1", HistoryEvent(at=NOW + number * MINUTE, kind="shifted", actor="x"))
    found: list[Any] = []
    query = {"limit": "2"}
    while True:
        status, page = door("GET", f"{DEPLOYMENT}/verdicts", query=query, id="d-1")
        assert status == 200
        found += page["verdicts"]
        if page["next"] is None:
            break
        query["after"] = str(page["next"])
    assert [one["step"] for one in found] == [0, 1, 2, 3, 4]
    assert found[-1]["verdict"]["verdict"] == "fail"
    assert page["latest"] is None


@pytest.fixture
def past(door):
    """d-1 shifted to 10 % an hour ago and was promoted; its new version failed a quarter."""
    begun = NOW - 40 * MINUTE
    door.greenlane.store.put_plan(builders.plan(deployment_id="d-1", started_at=begun))
    for kind, minutes, detail in (
        ("shifted", 0, {"weight": 10}),
        ("shifted", 10, {"weight": 100}),
        ("promoted", 20, {}),
    ):
        at = begun + minutes * MINUTE
        door.greenlane.store.append(
            "d-1", HistoryEvent(at=at, kind=kind, actor="test", detail=detail)
        )
    door.greenlane.store.put_summary(summary(1))
    watch = Minutes(bad_from=begun + 4 * MINUTE)
    door.greenlane.connection._clients["cloudwatch"] = watch
    return watch


def test_a_deployment_is_judged_again_as_the_command_does(door, past, printed):
    status, found = door("POST", f"{DEPLOYMENT}/judgement", id="d-1")
    assert (status, found["passed"]) == (200, False)
    assert found["failed"]["verdict"]["verdict"] == "fail"
    assert found == printed("judge", SERVICE, "-d", "d-1")


def test_other_criteria_may_be_asked_of_it(door, past):
    criteria = "success_criteria: {performance: {response_time_p99: 900}}"
    found = door("POST", f"{DEPLOYMENT}/judgement", {"criteria": criteria}, id="d-1")
    own = door("POST", f"{DEPLOYMENT}/judgement", id="d-1")
    assert found[0] == own[0] == 200
    named = [
        {one["name"] for one in each[1]["failed"]["verdict"]["checks"]} for each in (found, own)
    ]
    assert "response_time_p99" in named[0] - named[1]
    told = problem_in(
        door("POST", f"{DEPLOYMENT}/judgement", {"criteria": "success_criterea: {}"}, id="d-1"), 400
    )
    assert "success_criteria" in told["detail"]


def test_a_deployment_that_had_no_traffic_cannot_be_judged(door):
    planned(door)
    told = problem_in(door("POST", f"{DEPLOYMENT}/judgement", id="d-1"), 400)
    assert "never had any traffic" in told["detail"]
    problem_in(door("POST", f"{DEPLOYMENT}/judgement", id="d-9"), 404)


def test_a_deployment_of_days_is_not_judged_while_somebody_waits(door, past):
    begun = NOW - timedelta(days=2)
    door.greenlane.store.put_plan(builders.plan(deployment_id="d-2", started_at=begun))
    event = HistoryEvent(at=begun, kind="shifted", actor="test", detail={"weight": 10})
    door.greenlane.store.append("d-2", event)
    told = problem_in(door("POST", f"{DEPLOYMENT}/judgement", id="d-2"), 409)
    assert "greenlane judge claude-manager --deployment d-2" in told["detail"]
    assert "8h at most" in told["detail"]


def test_foresight_is_told_as_the_command_prints_it(door, past, printed):
    make_services(door.greenlane.connection.client("ecs"))
    status, found = door("POST", f"{ONE}/foresight", {"strategy": "canary"}, service=SERVICE)
    assert status == 200
    assert found["steps"]
    assert float(found["cost"]["total"]) >= float(found["cost"]["orchestration"]) > 0
    assert found == printed("plan", SERVICE, "--strategy", "canary")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"days": 64}, "days"),
        ({"sees": 1}, "sees"),
        ({"steps": [20, 10]}, "steps"),
        ({"x": 1}, "x"),
    ],
)
def test_what_is_wrong_with_a_wish_to_foresee_is_named(door, wrong, field):
    told = problem_in(door("POST", f"{ONE}/foresight", wrong, service=SERVICE), 400)
    assert field in told["problems"][0]["field"]


# Evidence


def test_evidence_is_told_as_the_command_prints_it_and_in_pages(door, printed, monkeypatch):
    clock = builders.SettableClock()
    monkeypatch.setattr(door.greenlane.evidence, "_clock", clock)
    for number in range(5):
        door.greenlane.evidence.post(
            SERVICE,
            "tests",
            status="pass",
            digest="sha256:" + str(number % 2) * 64,
            issuer="ci",
            expires="7d",
            by="jo",
        )
        if number % 2:  # the first two and the next two are of one instant
            clock.advance(minutes=1)
    whole = printed("evidence", "list", SERVICE)
    assert len(whole) == 5
    query = {"service": SERVICE, "limit": "1"}
    found: list[Any] = []
    while True:
        status, page = door("GET", "/evidence", query=query)
        assert status == 200
        found += page["evidence"]
        if page["next"] is None:
            break
        query["before"] = page["next"]
    assert found == whole
    _, of_one = door("GET", "/evidence", query={"service": SERVICE, "digest": "sha256:" + "1" * 64})
    assert len(of_one["evidence"]) == 2


def test_evidence_wants_a_service_that_there_is(door):
    problem_in(door("GET", "/evidence"), 400)
    problem_in(door("GET", "/evidence", query={"service": "shop"}), 404)
