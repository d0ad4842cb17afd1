import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from pydantic import ValidationError

from greenlane.deployments.client import Greenlane, Started
from greenlane.deployments.connection import DEPLOYMENT_MACHINE, ROLLBACK_MACHINE, TABLE
from greenlane.deployments.model import (
    DeploymentRequest,
    HistoryEvent,
    Plan,
    PlannedStep,
    Record,
)
from greenlane.deployments.phases import Phase
from greenlane.deployments.workload import Workload, parameter_name
from greenlane.errors import (
    DeploymentInFlight,
    InvalidInput,
    Refused,
    SignalRefused,
    UnknownDeployment,
    UnknownService,
)
from greenlane.problems import InvalidDocument

REGION = "eu-west-1"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SERVICE_FILE = "service: {name: claude-manager, deployment: {bake: 3m}}"
CANARY_FILE = Path("tests/data/spec/canary-config.yaml")
MACHINE = {"StartAt": "Stay", "States": {"Stay": {"Type": "Wait", "Seconds": 3600, "End": True}}}


class FixedClock:
    def now(self):
        return NOW


def make_workload(elbv2):
    """Both target groups behind one weighted rule, blue live."""
    ec2 = boto3.client("ec2", region_name=REGION)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")
        for n, zone in enumerate("ab")
    ]
    balancer = elbv2.create_load_balancer(
        Name="claude-manager", Subnets=[subnet["Subnet"]["SubnetId"] for subnet in subnets]
    )["LoadBalancers"][0]
    groups = {
        slot: elbv2.create_target_group(
            Name=f"claude-manager-{slot}", Protocol="HTTP", Port=8000, VpcId=vpc, TargetType="ip"
        )["TargetGroups"][0]["TargetGroupArn"]
        for slot in ("blue", "green")
    }
    listener = elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
    )["Listeners"][0]["ListenerArn"]
    forward = {
        "Type": "forward",
        "ForwardConfig": {
            "TargetGroups": [
                {"TargetGroupArn": groups["blue"], "Weight": 100},
                {"TargetGroupArn": groups["green"], "Weight": 0},
            ]
        },
    }
    rule = elbv2.create_rule(
        ListenerArn=listener,
        Priority=100,
        Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
        Actions=[forward],
    )["Rules"][0]["RuleArn"]
    elbv2.register_targets(
        TargetGroupArn=groups["blue"],
        Targets=[{"Id": "10.0.0.10", "Port": 8000}, {"Id": "10.0.0.11", "Port": 8000}],
    )
    return workload_of(groups, listener, rule)


def workload_of(groups, listener, rule):
    return Workload.model_validate(
        {
            "service": "claude-manager",
            "cluster": "claude-manager",
            "container": "claude-manager",
            "port": 8000,
            "repository": "claude-manager",
            "load_balancer_full_name": "app/claude-manager/1",
            "listener_arn": listener,
            "listener_rule_arn": rule,
            "test_listener_arn": listener,
            "slots": {
                slot: {
                    "service": f"claude-manager-{slot}",
                    "target_group_arn": groups[slot],
                    "alarms": [f"claude-manager-{slot}-error-rate"],
                }
                for slot in groups
            },
        }
    )


def make_services(ecs):
    ecs.create_cluster(clusterName="claude-manager")
    definition = ecs.register_task_definition(
        family="claude-manager",
        containerDefinitions=[
            {"name": "claude-manager", "image": "registry/claude:1.4.1", "memory": 128}
        ],
    )["taskDefinition"]["taskDefinitionArn"]
    for slot, count in (("blue", 2), ("green", 0)):
        ecs.create_service(
            cluster="claude-manager",
            serviceName=f"claude-manager-{slot}",
            taskDefinition=definition,
            desiredCount=count,
        )
    return definition


@pytest.fixture
def aws(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        boto3.client("dynamodb", region_name=REGION).create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        )
        yield


@pytest.fixture
def machines(aws):
    stepfunctions = boto3.client("stepfunctions", region_name=REGION)
    for machine in (DEPLOYMENT_MACHINE, ROLLBACK_MACHINE):
        stepfunctions.create_state_machine(
            name=machine,
            definition=json.dumps(MACHINE),
            roleArn="arn:aws:iam::123456789012:role/any",
        )


def describe_workload(made):
    boto3.client("ssm", region_name=REGION).put_parameter(
        Name=parameter_name(made.service), Value=made.model_dump_json(), Type="String"
    )
    return made


@pytest.fixture
def workload(aws):
    arn = f"arn:aws:elasticloadbalancing:{REGION}:123456789012"
    groups = {slot: f"{arn}:targetgroup/claude-manager-{slot}/1" for slot in ("blue", "green")}
    return describe_workload(workload_of(groups, f"{arn}:listener/x", f"{arn}:listener-rule/x"))


@pytest.fixture
def live_workload(workload):
    """The same service with a balancer and tasks that can be looked at."""
    boto3.client("ssm", region_name=REGION).delete_parameter(Name=parameter_name("claude-manager"))
    return describe_workload(make_workload(boto3.client("elbv2", region_name=REGION)))


@pytest.fixture
def greenlane(aws):
    return Greenlane.connect(region=REGION, clock=FixedClock())


@pytest.fixture
def applied(greenlane, workload):
    greenlane.apply(SERVICE_FILE, by="jo")
    return greenlane


def request(**values):
    given = {"service": "claude-manager", "version": "1.4.2", "requested_by": "jo"} | values
    return DeploymentRequest.model_validate(given)


def record_in(phase, **values):
    given = {
        "service": "claude-manager",
        "deployment_id": "d-1",
        "epoch": 1,
        "phase": phase,
        "live": "blue",
        "candidate": "green",
        "started_at": NOW,
        "updated_at": NOW,
        "deadline": NOW + timedelta(hours=2),
    }
    return Record.model_validate(given | values)


def executions(greenlane, machine):
    stepfunctions = greenlane.connection.client("stepfunctions")
    arn = greenlane.connection.arn("stateMachine", machine)
    found = stepfunctions.list_executions(stateMachineArn=arn)["executions"]
    return [stepfunctions.describe_execution(executionArn=entry["executionArn"]) for entry in found]


def test_applying_takes_the_workload_from_the_environments_parameter(greenlane, workload):
    applied = greenlane.apply(SERVICE_FILE, by="jo")
    assert (applied.service, applied.version, applied.changed) == ("claude-manager", 1, True)
    stored = greenlane.store.get_config("claude-manager")
    assert stored.config.workload == workload
    assert (stored.applied_by, stored.applied_at) == ("jo", NOW)


def test_applying_the_same_again_keeps_the_version(applied):
    again = applied.apply(SERVICE_FILE, by="kim")
    assert (again.version, again.changed) == (1, False)


def test_a_canary_file_lies_over_the_service_file_and_keeps_it(applied):
    result = applied.apply(CANARY_FILE, by="jo")
    assert (result.service, result.version, result.changed) == ("claude-manager", 2, True)
    assert any("cpu_usage" in warning for warning in result.warnings)
    config = applied.store.get_config("claude-manager").config
    assert config.deployment.strategy == "canary"

    applied.apply("service: {name: claude-manager, container: web}", by="jo")
    config = applied.store.get_config("claude-manager").config
    assert config.container == "web"
    assert config.deployment.strategy == "canary", "the canary file still lies over it"


def test_applying_subscribes_the_addresses_once_and_says_who_must_confirm(applied):
    sns = applied.connection.client("sns")
    topic = sns.create_topic(Name="greenlane-notifications")["TopicArn"]
    first = applied.apply(CANARY_FILE, by="jo")
    applied.apply(CANARY_FILE, by="jo")
    found = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert [entry["Endpoint"] for entry in found] == ["devops@terragon.ai"]
    assert first.changed
    assert topic == applied.connection.topic_arn


def test_a_topic_that_does_not_answer_is_a_warning_only(applied):
    result = applied.apply(CANARY_FILE, by="jo")
    assert result.changed
    assert any("not subscribed, apply again" in warning for warning in result.warnings)


def test_a_looser_canary_file_replaces_the_stricter_one_before(applied):
    for limit in ("0.005", "0.03"):
        applied.apply(f"canary: {{success_criteria: {{error_rate_threshold: {limit}}}}}", by="jo")
    assert str(applied.store.get_config("claude-manager").config.judge.error_rate) == "0.03"


def test_a_canary_file_alone_makes_a_service_of_a_described_workload(greenlane, workload):
    result = greenlane.apply(CANARY_FILE, service="claude-manager", by="jo")
    assert (result.service, result.version) == ("claude-manager", 1)


def test_a_canary_file_for_an_unknown_service_changes_nothing(applied):
    with pytest.raises(UnknownService, match="known: claude-manager"):
        applied.apply(CANARY_FILE, service="claude-manger", by="jo")
    assert applied.services() == ["claude-manager"]


def test_a_canary_file_needs_a_name_when_there_is_none_to_guess(greenlane):
    with pytest.raises(InvalidInput, match="--service NAME"):
        greenlane.apply(CANARY_FILE, by="jo")


def test_a_canary_file_needs_a_name_when_there_are_several(applied, workload):
    describe_workload(workload.model_copy(update={"service": "shop"}))
    applied.apply("service: {name: shop}", by="jo")
    with pytest.raises(InvalidInput, match="claude-manager, shop"):
        applied.apply(CANARY_FILE, by="jo")


def test_a_name_that_contradicts_the_file_is_refused(applied):
    with pytest.raises(InvalidInput, match="the file declares claude-manager"):
        applied.apply(SERVICE_FILE, service="shop", by="jo")


def test_a_service_without_a_workload_says_where_it_comes_from(greenlane):
    with pytest.raises(InvalidInput, match="/greenlane/workloads/claude-manager"):
        greenlane.apply(SERVICE_FILE, by="jo")
    assert greenlane.services() == []


def test_a_broken_workload_parameter_names_the_parameter_and_the_field(aws, greenlane):
    boto3.client("ssm", region_name=REGION).put_parameter(
        Name=parameter_name("claude-manager"), Value='{"service": "x"}', Type="String"
    )
    with pytest.raises(InvalidInput, match=r"/greenlane/workloads/claude-manager\.cluster"):
        greenlane.apply(SERVICE_FILE, by="jo")


def test_a_wrong_file_changes_nothing(applied):
    with pytest.raises(InvalidDocument):
        applied.apply("service: {name: claude-manager, deployment: {bake: -1}}", by="jo")
    assert applied.store.get_config("claude-manager").version == 1


def test_a_missing_file_is_bad_input(greenlane, tmp_path):
    with pytest.raises(InvalidInput, match="No such file"):
        greenlane.apply(tmp_path / "none.yaml", by="jo")


def test_a_deployment_starts_one_execution_of_its_own_name(applied, machines):
    started = applied.deploy(request())
    assert started.deployment_id.startswith("claude-manager-20261123-120000-")
    (execution,) = executions(applied, DEPLOYMENT_MACHINE)
    assert execution["executionArn"] == started.execution_arn
    assert execution["name"] == started.deployment_id
    body = json.loads(execution["input"])
    assert body["deployment"] == {
        "deployment_id": started.deployment_id,
        "service": "claude-manager",
    }
    assert DeploymentRequest.model_validate(body["request"]).version == "1.4.2"


def test_the_same_request_with_the_same_id_starts_once(applied, machines):
    first = applied.deploy(request(deployment_id="release-7"))
    again = applied.deploy(request(deployment_id="release-7"))
    assert again.execution_arn == first.execution_arn
    assert len(executions(applied, DEPLOYMENT_MACHINE)) == 1


def test_another_request_with_the_same_id_is_refused(applied, machines):
    applied.deploy(request(deployment_id="release-7"))
    with pytest.raises(InvalidInput, match="choose another"):
        applied.deploy(request(deployment_id="release-7", version="1.4.3"))


def test_a_second_deployment_is_refused_and_starts_nothing(applied, machines):
    applied.store.acquire(record_in(Phase.SHIFTING))
    with pytest.raises(DeploymentInFlight, match="d-1"):
        applied.deploy(request())
    assert executions(applied, DEPLOYMENT_MACHINE) == []


def test_a_deployment_of_an_unknown_service_names_the_known_ones(applied, machines):
    with pytest.raises(UnknownService, match="known: claude-manager"):
        applied.deploy(request(service="claude-manger"))


def test_steps_that_fall_start_nothing(applied, machines):
    with pytest.raises(ValidationError, match="5 follows 10"):
        applied.deploy(request(steps=[10, 5, 100]))
    assert executions(applied, DEPLOYMENT_MACHINE) == []


def test_bakes_that_outlast_the_deadline_start_nothing(applied, machines):
    with pytest.raises(InvalidInput, match="the bakes alone take"):
        applied.deploy(request(steps=[50, 100], bake="10h"))


@pytest.mark.parametrize("phase", [Phase.SHIFTING, Phase.WATCHING, Phase.RETIRED, Phase.HELD])
def test_a_rollback_by_hand_names_the_person_and_the_reason(applied, machines, phase):
    applied.store.acquire(record_in(phase))
    started = applied.rollback("claude-manager", reason="angry users", by="jo")
    (execution,) = executions(applied, ROLLBACK_MACHINE)
    body = json.loads(execution["input"])
    assert started.execution_arn == execution["executionArn"]
    assert (body["service"], body["deployment_id"]) == ("claude-manager", "d-1")
    assert body["trigger"]["kind"] == "person"
    assert (body["trigger"]["name"], body["trigger"]["reason"]) == ("jo", "angry users")


@pytest.mark.parametrize("phase", [Phase.ROLLED_BACK, Phase.REFUSED])
def test_there_is_nothing_to_take_back_after_the_end(applied, machines, phase):
    applied.store.acquire(record_in(phase))
    with pytest.raises(Refused, match="nothing to take back"):
        applied.rollback("claude-manager", reason="x", by="jo")


def test_a_rollback_that_runs_is_not_started_again(applied, machines):
    applied.store.acquire(record_in(Phase.ROLLING_BACK, rollback_execution="arn:running"))
    started = applied.rollback("claude-manager", reason="x", by="jo")
    assert started.already
    assert executions(applied, ROLLBACK_MACHINE) == []


def test_a_rollback_of_what_was_never_deployed_is_refused(applied, machines):
    with pytest.raises(Refused, match="never deployed"):
        applied.rollback("claude-manager", reason="x", by="jo")


def test_a_rollback_of_another_deployment_is_refused(applied, machines):
    applied.store.acquire(record_in(Phase.SHIFTING))
    with pytest.raises(UnknownDeployment):
        applied.rollback("claude-manager", reason="x", by="jo", deployment_id="d-0")


def test_signals_to_unknown_services_and_finished_deployments_do_nothing(applied):
    with pytest.raises(UnknownService):
        applied.signal("shop", "pause", by="jo")
    applied.store.acquire(record_in(Phase.WATCHING))
    with pytest.raises(SignalRefused):
        applied.signal("claude-manager", "pause", by="jo")


def test_a_pause_is_written_for_the_step_under_way(applied):
    applied.store.acquire(record_in(Phase.SHIFTING, step=2))
    sent = applied.signal("claude-manager", "pause", by="jo")
    assert sent.step == 2
    assert applied.store.record("claude-manager").signal.by == "jo"


def test_the_status_of_a_service_that_was_never_deployed(live_workload, applied):
    make_services(applied.connection.client("ecs"))
    status = applied.status("claude-manager")
    assert status.record is None
    blue, green = status.slots
    assert (blue.slot, blue.role, blue.weight, blue.healthy) == ("blue", "live", 100, 2)
    assert (green.slot, green.role, green.weight, green.total) == ("green", "standby", 0, 0)
    assert blue.version == "1.4.1"


def test_the_status_of_a_deployment_under_way(live_workload, applied):
    definition = make_services(applied.connection.client("ecs"))
    stored = applied.store.get_config("claude-manager")
    applied.store.put_plan(
        Plan(
            deployment_id="d-1",
            request=request(),
            config=stored.config,
            config_version=1,
            workload=live_workload,
            strategy="canary",
            steps=tuple(
                PlannedStep(weight=weight, bake_seconds=300, kind=kind)
                for weight, kind in ((10, "step"), (100, "step"), (100, "watch"))
            ),
            live="blue",
            candidate="green",
            live_task_definition=definition,
            full_capacity=2,
            started_at=NOW,
            deadline=NOW + timedelta(hours=2),
        )
    )
    applied.store.acquire(
        record_in(Phase.SHIFTING, step=1, bake_until=NOW + timedelta(seconds=130))
    )
    checks = [{"name": "error_rate", "verdict": "pass", "value": "0.002", "limit": "0.01"}]
    detail = {"step": 0, "weight": 10, "verdict": "pass", "requests": 500, "checks": checks}
    applied.store.append(
        "d-1", HistoryEvent(at=NOW, kind="judged", actor="judge-step", detail=detail)
    )
    status = applied.status("claude-manager")
    assert (status.step, status.steps, status.bake_left_seconds) == (2, 2, 130)
    assert [slot.role for slot in status.slots] == ["live", "candidate"]
    assert status.judgement.step == 0
    assert status.judgement.verdict.requests == 500
    assert "pause" in status.signals
    assert status.outcome is None


@pytest.mark.parametrize(
    ("phase", "name"),
    [
        (Phase.WATCHING, "succeeded"),
        (Phase.RETIRED, "succeeded"),
        (Phase.ROLLED_BACK, "rolled_back"),
        (Phase.HELD, "held"),
        (Phase.REFUSED, "refused"),
    ],
)
def test_a_phase_that_ends_a_deployment_is_its_outcome(applied, phase, name):
    applied.store.acquire(record_in(phase, reason="because"))
    outcome = applied.outcome("claude-manager", "d-1")
    assert (outcome.name, outcome.reason) == (name, "because")


def test_an_execution_that_waits_for_its_plan_has_no_outcome(applied, machines):
    started = applied.deploy(request())
    assert applied.outcome("claude-manager", started.deployment_id) is None


def test_an_execution_stopped_before_its_plan_failed(applied, machines):
    started = applied.deploy(request())
    applied.connection.client("stepfunctions").stop_execution(executionArn=started.execution_arn)
    assert applied.outcome("claude-manager", started.deployment_id).name == "failed"


@pytest.mark.parametrize(
    ("error", "name", "reason"),
    [
        ("Refused", "refused", "red alarms"),
        ("DeploymentInFlight", "refused", "red alarms"),
        ("Lambda.Unknown", "failed", "Lambda.Unknown: red alarms"),
    ],
)
def test_an_execution_that_failed_in_planning_tells_why(applied, monkeypatch, error, name, reason):
    failed = {
        "status": "FAILED",
        "error": error,
        "cause": json.dumps({"errorType": error, "errorMessage": "red alarms"}),
    }
    stepfunctions = applied.connection.client("stepfunctions")
    monkeypatch.setattr(stepfunctions, "describe_execution", lambda executionArn: failed)
    outcome = applied.outcome("claude-manager", "d-5")
    assert (outcome.name, outcome.reason) == (name, reason)


def test_the_outcome_of_a_deployment_that_never_was_is_bad_input(applied, machines):
    with pytest.raises(UnknownDeployment):
        applied.outcome("claude-manager", "d-9")
    with pytest.raises(UnknownDeployment):
        applied.history("d-9")


def test_waiting_looks_until_the_deployment_has_ended(applied):
    record = applied.store.acquire(record_in(Phase.SHIFTING))
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 2:
            applied.store.update(record, {"phase": Phase.ROLLED_BACK, "reason": "errors"})

    outcome = applied.wait("claude-manager", "d-1", poll_seconds=3, sleep=sleep)
    assert outcome.name == "rolled_back"
    assert slept == [3, 3]


def test_a_success_is_not_the_outcome_of_a_rollback_that_began_after_it(applied, machines):
    applied.store.acquire(record_in(Phase.WATCHING))
    started = applied.rollback("claude-manager", reason="x", by="jo")
    assert applied.rollback_outcome(started) is None
    applied.connection.client("stepfunctions").stop_execution(executionArn=started.execution_arn)
    assert applied.rollback_outcome(started).name == "failed"


def test_a_rollback_that_ended_is_rolled_back(applied):
    applied.store.acquire(record_in(Phase.ROLLED_BACK))
    started = Started(service="claude-manager", deployment_id="d-1", execution_arn="arn:any")
    assert applied.rollback_outcome(started).name == "rolled_back"
