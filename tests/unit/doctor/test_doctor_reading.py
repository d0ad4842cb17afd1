"""What the doctor reads of an account, part by part."""

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.validate import validate_parameters

from greenlane.cli.exits import ExitCode
from greenlane.deployments.storing.store import StoredConfig
from greenlane.doctor.checks import examine
from greenlane.doctor.reading import Reader
from tests.balancer import Balancer
from tests.builders import GROUPS, NOW, RULE_ARN, SERVICE, service_config
from tests.fakes import Containers, client, error

TEMPLATE = """
Resources:
  Rule: {Type: x, Properties: {Priority: 1, Actions: [!Ref Group, !GetAtt A.B]}}
"""


class Answers:
    """A boto3 client that knows its answers; a class of error is raised."""

    def __init__(self, service: str, **answers: Any) -> None:
        self._model, self._answers = client(service).meta, answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Any:
        answer = self._answers[operation]

        def call(**arguments: Any) -> Any:
            name = self._model.method_to_api_mapping[operation]
            shape = self._model.service_model.operation_model(name).input_shape
            validate_parameters(arguments, shape)
            self.asked.append((operation, arguments))
            found = answer(**arguments) if callable(answer) else answer
            if isinstance(found, Exception):
                raise found
            return found

        return call


class Rules(Balancer):
    def describe_target_groups(self, *, TargetGroupArns: list[str]) -> Any:  # noqa: N803
        check = {"HealthCheckIntervalSeconds": 10, "HealthyThresholdCount": 2, "Port": 8000}
        return {"TargetGroups": [check | {"TargetGroupArn": TargetGroupArns[0]}]}


def not_owned(**_: Any) -> Any:
    return error("ValidationError", "DescribeStackResources")


@pytest.fixture
def clients() -> dict[str, Any]:
    world = SimpleNamespace(targets={"blue": {}, "green": {}})
    alarm = {"StateValue": "OK", "TreatMissingData": "notBreaching"}
    ecs = Containers()
    for service in ecs.services.values():
        service["healthCheckGracePeriodSeconds"] = 60
    first = next(iter(ecs.definitions.values()))["taskDefinition"]
    first["taskRoleArn"] = "arn:aws:iam::123456789012:role/task"
    return {
        "elbv2": Rules(world),
        "ecs": ecs,
        "cloudwatch": Answers(
            "cloudwatch",
            describe_alarms=lambda AlarmNames, **_: {
                "MetricAlarms": [alarm | {"AlarmName": name} for name in AlarmNames]
            },
        ),
        "events": Answers(
            "events",
            list_targets_by_rule={"Targets": [{"Arn": "x", "DeadLetterConfig": {"Arn": "q"}}]},
        ),
        "cloudformation": Answers("cloudformation", describe_stack_resources=not_owned),
        "iam": Answers("iam", simulate_principal_policy={"EvaluationResults": []}),
        "ecr": Answers(
            "ecr",
            describe_repositories={
                "repositories": [{"imageScanningConfiguration": {"scanOnPush": True}}]
            },
        ),
    }


@pytest.fixture
def config() -> dict[str, Any]:
    """What the service declares besides."""
    return {}


@pytest.fixture
def read(clients, config):
    def read():
        stored = StoredConfig(
            service=SERVICE,
            config=service_config(**config),
            version=1,
            source="",
            applied_by="ada",
            applied_at=NOW,
            workload_declared=True,
        )
        connection = SimpleNamespace(
            store=SimpleNamespace(get_config=lambda service: stored),
            client=lambda name: clients[name],
            account="123456789012",
            region="eu-west-1",
        )
        return Reader(connection, SERVICE).read()  # type: ignore[arg-type]

    return read


def test_a_healthy_account_is_read_whole_and_has_no_findings(read):
    facts = read()
    assert facts.unread == {}
    assert len(facts.alarms) == 4
    assert {alarm.slot for alarm in facts.alarms} == {"blue", "green"}
    assert facts.weights == {GROUPS["blue"]: 100, GROUPS["green"]: 0}
    assert [found.check for found in examine(facts)] == []


def test_alarms_of_the_services_own_triggers_are_looked_at_too(read, config):
    config["rollback_triggers"] = ["response_time_p99 > 9000"]
    names = [alarm.name for alarm in read().alarms]
    assert len(names) == 6
    assert sum(name.startswith("greenlane.claude-manager.trigger.") for name in names) == 2


def test_an_absent_alarm_is_missing(read, clients):
    clients["cloudwatch"] = Answers("cloudwatch", describe_alarms={"MetricAlarms": []})
    assert {alarm.state for alarm in read().alarms} == {"MISSING"}


def test_the_stack_that_owns_the_rule_is_found_with_what_its_template_says(read, clients):
    def owner(PhysicalResourceId: str) -> Any:  # noqa: N803
        if PhysicalResourceId != RULE_ARN:
            return error("ValidationError", "DescribeStackResources")
        resource = {
            "StackName": "app",
            "LogicalResourceId": "Rule",
            "PhysicalResourceId": RULE_ARN,
            "ResourceType": "AWS::ElasticLoadBalancingV2::ListenerRule",
        }
        return {"StackResources": [resource]}

    clients["cloudformation"] = Answers(
        "cloudformation",
        describe_stack_resources=owner,
        get_template={"TemplateBody": TEMPLATE},
    )
    owned = read().owners["listener rule"]
    assert (owned.stack, owned.properties["Priority"]) == ("app", 1)


@pytest.mark.parametrize(
    ("body", "why"),
    [("Resources: [", "line 1: "), ("a: b: c", "line 1: mapping values"), ("a: &x *y", "line 1")],
)
def test_a_template_that_is_no_yaml_is_a_note(read, clients, body, why):
    def owner(PhysicalResourceId: str) -> Any:  # noqa: N803
        resource = {
            "StackName": "app",
            "LogicalResourceId": "Rule",
            "PhysicalResourceId": PhysicalResourceId,
            "ResourceType": "AWS::ElasticLoadBalancingV2::ListenerRule",
        }
        return {"StackResources": [resource]}

    clients["cloudformation"] = Answers(
        "cloudformation", describe_stack_resources=owner, get_template={"TemplateBody": body}
    )
    (found,) = examine(read())
    assert (found.check, found.severity, found.subject) == ("not-read", "note", "stacks")
    assert found.what.startswith(f"the template of app is no YAML: {why}")
    assert found.what.endswith("not looked at by infrastructure-code")


def test_what_a_role_may_not_do_is_asked_of_iam_page_by_page(read, clients):
    pages = iter(
        [
            {
                "EvaluationResults": [
                    {
                        "EvalActionName": "elasticloadbalancing:ModifyRule",
                        "EvalResourceName": RULE_ARN,
                        "EvalDecision": "implicitDeny",
                    }
                ],
                "Marker": "more",
            }
        ]
    )
    allowed = {
        "EvaluationResults": [
            {"EvalActionName": "a", "EvalResourceName": "b", "EvalDecision": "allowed"}
        ]
    }
    clients["iam"] = Answers("iam", simulate_principal_policy=lambda **_: next(pages, allowed))
    facts = read()
    (denied,) = facts.denied
    assert denied.role == "greenlane-shift-traffic-eu-west-1"
    asked = clients["iam"].asked
    assert asked[1][1]["Marker"] == "more"
    passed = [call for _, call in asked if call["ActionNames"] == ["iam:PassRole"]]
    assert passed[0]["ResourceArns"] == ["arn:aws:iam::123456789012:role/task"]


def test_a_registry_that_scans_by_a_rule_of_its_own_counts(read, clients):
    rule = {
        "scanFrequency": "CONTINUOUS_SCAN",
        "repositoryFilters": [{"filter": "claude-*", "filterType": "WILDCARD"}],
    }
    clients["ecr"] = Answers(
        "ecr",
        describe_repositories={"repositories": [{}]},
        get_registry_scanning_configuration={"scanningConfiguration": {"rules": [rule]}},
    )
    assert read().scan_on_push is True
    rule["scanFrequency"] = "MANUAL"
    assert read().scan_on_push is False


def test_an_event_rule_that_does_not_exist_is_a_finding_not_an_error(read, clients):
    clients["events"] = Answers(
        "events", list_targets_by_rule=lambda **_: error("ResourceNotFoundException")
    )
    (finding,) = examine(read())
    assert (finding.check, finding.severity) == ("dead-letter-queue", "error")


@pytest.mark.parametrize(
    "service", ["cloudwatch", "events", "cloudformation", "iam", "ecr", "elbv2", "ecs"]
)
def test_whatever_does_not_answer_is_said_and_the_rest_is_looked_at(read, clients, service):
    class Down:
        def __getattr__(self, operation: str) -> Any:
            def call(**_: Any) -> Any:
                raise error("AccessDeniedException", operation)

            return call

    clients[service] = Down()
    found = examine(read())
    assert found
    assert {finding.severity for finding in found} == {"note"}
    assert len({finding.subject for finding in found}) == len(found), "one note for each part"
    assert all("AccessDenied" in finding.what for finding in found)


@pytest.mark.parametrize(("missing", "said"), [(1, "1 error, 0 warnings"), (2, "2 errors")])
def test_doctor_counts_as_people_do(monkeypatch, missing, said):
    from typer.testing import CliRunner

    from greenlane.cli.main import app
    from greenlane.cli.session import Session
    from tests.unit.doctor.test_doctor_checks import alarm, facts

    given = facts(alarms=alarm(state="MISSING") * missing)
    monkeypatch.setattr(
        "greenlane.doctor.reading.Reader",
        lambda connection, service: SimpleNamespace(read=lambda: given),
    )
    session = Session()
    session.__dict__["client"] = SimpleNamespace(connection=None)
    assert f"13 checks, {said}" in CliRunner().invoke(app, ["doctor", SERVICE], obj=session).stdout


def test_doctor_prints_what_is_wrong_and_ends_with_1(monkeypatch, clients, read):
    from typer.testing import CliRunner

    from greenlane.cli.main import app
    from greenlane.cli.session import Session

    clients["cloudwatch"] = Answers("cloudwatch", describe_alarms={"MetricAlarms": []})
    facts = read()
    monkeypatch.setattr(
        "greenlane.doctor.reading.Reader",
        lambda connection, service: SimpleNamespace(read=lambda: facts),
    )
    monkeypatch.setenv("COLUMNS", "200")
    session = Session()
    session.__dict__["client"] = SimpleNamespace(connection=None)
    result = CliRunner().invoke(app, ["doctor", SERVICE], obj=session)
    assert result.exit_code == ExitCode.FAILED
    assert "error   alarms-exist: claude-manager-blue-error-rate: there is no such" in result.stdout
    assert "13 checks, 4 errors, 0 warnings" in result.stdout
