"""What the product's template promises."""

import json
from typing import Any

import pytest

from greenlane.people.red_warnings import RedWarning
from infra.nag import as_finding
from tests.infra.conftest import Assembly, Template, Vary

ENVIRONMENT = {
    "DEPLOYMENTS_TABLE",
    "TOPIC_ARN",
    "DEPLOYMENT_MACHINE_ARN",
    "ROLLBACK_MACHINE_ARN",
    "INCIDENTS_BUCKET",
    "FLAGS_TABLE",
    "FLAG_MACHINE_ARN",
    "EXPERIMENTS_TABLE",
    "EXPERIMENT_MACHINE_ARN",
    "POWERTOOLS_SERVICE_NAME",
    "LOG_LEVEL",
}
TIMEOUTS = {
    "shift-traffic": 15,
    "take-traffic-back": 30,
    "validate-slot": 300,
    # Each of its sources may take its time and then be left out.
    "report-incident": 180,
    "plan-deployment": 120,
    "post-alerts": 15,
    "query-prometheus": 15,
    # They call the user's hooks, one after the other.
    "run-pre-traffic": 300,
    "judge-step": 300,
    # Calls that hang must leave time for the one result of a job.
    **dict.fromkeys(("run-pipeline-action", "follow-request", "cancel-requests"), 120),
}
MEMORY = {"take-traffic-back": 1024, "judge-experiment": 1024}
MEMORY |= dict.fromkeys(
    ("run-pipeline-action", "follow-request", "cancel-requests", "answer-dead-job"), 1024
)
TICKS = {"judge-tick", "reconcile", "tick-experiments", "tick-flags"}


def functions(template: Template) -> dict[str, dict[str, Any]]:
    """Function properties by physical name without its prefix."""
    return {
        str(found.properties["FunctionName"]).removeprefix("greenlane-"): dict(found.properties)
        for found in template.resources("AWS::Lambda::Function")
    }


def test_every_function_runs_as_the_house_rules_say(product: Template) -> None:
    for name, function in functions(product).items():
        assert function["Runtime"] == "python3.14", name
        assert function["Architectures"] == ["arm64"], name
        assert function["TracingConfig"] == {"Mode": "Active"}, name
        assert function["Timeout"] == TIMEOUTS.get(name, 60), name
        assert function["MemorySize"] == MEMORY.get(name, 512), name
        assert set(function["Environment"]["Variables"]) == ENVIRONMENT, name
        assert function["Handler"] == f"functions.{name.replace('-', '_')}.handler"


def test_the_machines_that_functions_name_are_the_machines_that_exist(product: Template) -> None:
    machines = {
        found.properties["StateMachineName"]
        for found in product.resources("AWS::StepFunctions::StateMachine")
    }
    variables = functions(product)["reconcile"]["Environment"]["Variables"]

    named = {
        as_finding(variables[key]).rsplit(":", 1)[-1]
        for key in variables
        if key.endswith("_MACHINE_ARN")
    }
    ours = {
        "greenlane-deployment",
        "greenlane-experiment",
        "greenlane-flag-rollout",
        "greenlane-rollback",
    }
    # Nobody of ours starts that one: pipelines and events do.
    assert named == machines - {"greenlane-request"} == ours


def test_only_what_calls_private_addresses_runs_in_a_network_that_is_configuration(
    product: Template,
) -> None:
    placed = {
        name: function["VpcConfig"]
        for name, function in functions(product).items()
        if "VpcConfig" in function
    }

    assert set(placed) == {"validate-slot", "post-alerts", "query-prometheus"}
    for network in placed.values():
        assert network["SubnetIds"] == {"Fn::Split": [",", {"Ref": "ClaudeManagerSubnetIds"}]}
        assert network["SecurityGroupIds"] == [{"Ref": "ClaudeManagerValidationSecurityGroupId"}]


def test_no_stack_imports_anything_from_another(whole: Assembly) -> None:
    for template in whole.templates.values():
        assert "Fn::ImportValue" not in json.dumps(template.body)
        assert "Outputs" not in template.body or not [
            one for one in template.body["Outputs"].values() if "Export" in one
        ]


def test_the_product_knows_the_sample_by_parameters(assembly: Assembly) -> None:
    parameters = assembly.product.body["Parameters"]
    assert {parameter["Type"] for parameter in parameters.values()} == {
        "AWS::SSM::Parameter::Value<String>"
    }


def test_a_service_can_be_adopted_without_our_sample(vary: Vary) -> None:
    adopted = {
        "name": "checkout",
        "cluster": "shop",
        "container": "web",
        "port": 80,
        "repository": "shop/checkout",
        "ecs_services": {"blue": "web-a", "green": "web-b"},
        "task_family": "web",
        "task_roles": ["checkout-task"],
        "alarms": ["web-blue-5xx", "web-green-5xx"],
    }
    assembly = vary(sample=False, services=[adopted])

    assert not (assembly.folder / "GreenlaneWorkload.template.json").exists()
    pattern = rule(assembly.product, "greenlane-alarm-checkout")["EventPattern"]
    assert pattern["detail"]["alarmName"] == ["web-blue-5xx", "web-green-5xx", *kept("checkout")]
    assert {
        parameter["Default"]
        for name, parameter in assembly.product.body["Parameters"].items()
        if name.startswith("Checkout")
    } == {
        f"/greenlane/workloads/checkout/{value}"
        for value in (
            "listener-rule-arn",
            "target-group-arn-blue",
            "target-group-arn-green",
            "subnet-ids",
            "validation-security-group-id",
        )
    }
    reached = json.dumps(assembly.product.body)
    for name in ("service/shop/web-a", "service/shop/web-b", "task-definition/web:*"):
        assert name in reached
    assert "checkout-blue" not in reached
    assert "task-definition/checkout" not in reached


def test_versions_are_kept_and_are_what_machines_and_schedules_call(product: Template) -> None:
    versions = {found.logical_id: found for found in product.resources("AWS::Lambda::Version")}

    assert len(versions) == len(functions(product))
    assert {found.body["DeletionPolicy"] for found in versions.values()} == {"Retain"}
    assert {found.body["UpdateReplacePolicy"] for found in versions.values()} == {"Retain"}
    for machine in product.resources("AWS::StepFunctions::StateMachine"):
        bound = machine.properties["DefinitionSubstitutions"]
        called = {
            value["Ref"] for key, value in bound.items() if key not in MACHINES and "Ref" in value
        }
        assert called <= set(versions)
        assert called
    for rule in product.resources("AWS::Events::Rule"):
        if "ScheduleExpression" in rule.properties:
            assert rule.properties["Targets"][0]["Arn"]["Ref"] in versions


MACHINES = {"DeploymentMachineArn", "RollbackMachineArn", "TopicArn"}


def test_machines_are_standard_traced_logged_and_hide_their_data(product: Template) -> None:
    machines = product.resources("AWS::StepFunctions::StateMachine")

    for machine in machines:
        assert machine.properties["StateMachineType"] == "STANDARD"
        assert machine.properties["TracingConfiguration"] == {"Enabled": True}
        logging = machine.properties["LoggingConfiguration"]
        assert (logging["Level"], logging["IncludeExecutionData"]) == ("ALL", False)
    assert len(machines) == 5


def test_logs_end(assembly: Assembly) -> None:
    running = len(functions(assembly.product)) + len(functions(assembly.api))
    groups = [
        group
        for template in assembly.templates.values()
        for group in template.resources("AWS::Logs::LogGroup")
    ]

    assert {group.properties["RetentionInDays"] for group in groups} == {30}
    # The machines, the rule's function, the tasks, the API's one stage.
    assert len(groups) == running + 5 + 1 + 1 + 1


def test_the_table_can_be_restored_forgets_what_expired_and_survives_the_stack(
    product: Template,
) -> None:
    table = product.only("AWS::DynamoDB::Table", TableName="greenlane-deployments")

    assert table.properties["BillingMode"] == "PAY_PER_REQUEST"
    assert table.properties["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": True
    }
    assert table.properties["TimeToLiveSpecification"] == {
        "AttributeName": "expires_at",
        "Enabled": True,
    }
    assert [key["AttributeName"] for key in table.properties["KeySchema"]] == ["pk", "sk"]
    assert table.body["DeletionPolicy"] == "Retain"
    assert table.properties["DeletionProtectionEnabled"] is True


def rule(template: Template, name: str) -> dict[str, Any]:
    return dict(template.only("AWS::Events::Rule", Name=name).properties)


def kept(service: str) -> list[dict[str, str]]:
    """How a rule names the alarms that `apply` keeps and that start the way back."""
    return [{"prefix": f"greenlane.{service}.{role}."} for role in ("trigger", "critical")]


def test_exactly_the_alarms_of_the_service_start_the_way_back(assembly: Assembly) -> None:
    found = rule(assembly.product, "greenlane-alarm-claude-manager")
    alarms = {
        alarm.properties["AlarmName"]
        for alarm in assembly.sample.resources("AWS::CloudWatch::Alarm")
    }

    *named, trigger, critical = found["EventPattern"]["detail"]["alarmName"]
    assert set(named) == alarms
    assert [trigger, critical] == kept("claude-manager")
    assert found["EventPattern"]["detail"]["state"] == {"value": ["ALARM"]}
    assert found["EventPattern"]["source"] == ["aws.cloudwatch"]
    (target,) = found["Targets"]
    document = fill(
        target["InputTransformer"],
        {
            "$.detail.alarmName": "claude-manager-green-p95",
            "$.detail.state.reason": "Threshold Crossed",
            "$.detail.state.timestamp": "2026-01-01T00:00:00.000+0000",
            "$.id": "1",
            "$.detail.configuration": {"metrics": []},
        },
    )
    assert document == {
        "trigger": {
            "kind": "alarm",
            "name": "claude-manager-green-p95",
            "reason": "Threshold Crossed",
            "at": "2026-01-01T00:00:00.000+0000",
            "event_id": "1",
        },
        "service": "claude-manager",
        "listener_rule_arn": "<ClaudeManagerListenerRuleArn>",
        "target_groups": {
            "blue": "<ClaudeManagerTargetGroupArnBlue>",
            "green": "<ClaudeManagerTargetGroupArnGreen>",
        },
        "configuration": {"metrics": []},
    }


def test_a_warning_is_told_and_starts_nothing(product: Template) -> None:
    found = rule(product, "greenlane-warning-claude-manager")

    detail = found["EventPattern"]["detail"]
    assert detail["alarmName"] == [{"prefix": "greenlane.claude-manager.warning."}]
    assert detail["state"] == {"value": ["ALARM"]}
    (target,) = found["Targets"]
    assert "TellWarning" in json.dumps(target["Arn"])
    document = fill(
        target["InputTransformer"],
        {
            "$.detail.alarmName": "greenlane.claude-manager.warning.green.1",
            "$.detail.state.reason": "Threshold Crossed",
            "$.detail.state.timestamp": "2026-01-01T00:00:00.000+0000",
            "$.detail.configuration": {"description": "cpu_usage > 85: warning"},
        },
    )
    event = RedWarning.model_validate(document)
    assert (event.service, event.slot) == ("claude-manager", "green")
    assert event.configuration.expression == "cpu_usage > 85"


def test_an_execution_that_ended_badly_starts_the_way_back(product: Template) -> None:
    found = rule(product, "greenlane-deployment-ended-badly")
    detail = found["EventPattern"]["detail"]

    assert detail["status"] == ["FAILED", "TIMED_OUT", "ABORTED"]
    (machine,) = detail["stateMachineArn"]
    assert as_finding(machine).endswith(":stateMachine:greenlane-deployment")
    document = fill(
        found["Targets"][0]["InputTransformer"],
        {"$.detail.status": "ABORTED", "$.time": "T", "$.id": "2", "$.detail.name": "d-1"},
    )
    assert document == {
        "trigger": {
            "kind": "execution",
            "name": "ABORTED",
            "reason": "the deployment's execution ended",
            "at": "T",
            "event_id": "2",
        },
        "deployment_id": "d-1",
    }


def fill(transformer: dict[str, Any], values: dict[str, Any]) -> Any:
    """What EventBridge makes of an input transformer: strings are quoted where they stand bare."""
    text = as_finding(transformer["InputTemplate"])
    for name, path in transformer["InputPathsMap"].items():
        text = text.replace(f"<{name}>", json.dumps(values[path]))
    return json.loads(text)


@pytest.mark.parametrize("tick", sorted(TICKS))
def test_ticks_run_each_minute_and_are_replaced_by_the_next_not_repeated(
    product: Template, tick: str
) -> None:
    found = rule(product, f"greenlane-every-minute-{tick}")
    (target,) = found["Targets"]
    version = target["Arn"]["Ref"]

    assert found["ScheduleExpression"] == "rate(1 minute)"
    (asynchronous,) = [
        config.properties
        for config in product.resources("AWS::Lambda::EventInvokeConfig")
        if version in json.dumps(config.properties["Qualifier"])
    ]
    assert (asynchronous["MaximumRetryAttempts"], asynchronous["MaximumEventAgeInSeconds"]) == (
        0,
        60,
    )


def test_every_target_is_retried_for_ten_minutes_and_then_kept(product: Template) -> None:
    queue = product.only("AWS::SQS::Queue", QueueName="greenlane-undelivered-events").logical_id
    targets = [
        target
        for found in product.resources("AWS::Events::Rule")
        for target in found.properties["Targets"]
    ]

    assert len(targets) == 11
    for target in targets:
        assert target["RetryPolicy"] == {
            "MaximumEventAgeInSeconds": 600,
            "MaximumRetryAttempts": 10,
        }
        assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": [queue, "Arn"]}}


def test_notifications_are_encrypted_on_the_way_and_need_no_key(product: Template) -> None:
    """With SNS's own key CloudWatch could not publish: nobody would hear of our own trouble."""
    topic = product.only("AWS::SNS::Topic", TopicName="greenlane-notifications")
    (policy,) = [
        found
        for found in product.resources("AWS::SNS::TopicPolicy")
        if found.properties["Topics"] == [{"Ref": topic.logical_id}]
    ]

    assert "KmsMasterKeyId" not in topic.properties
    assert policy.properties["PolicyDocument"]["Statement"][0]["Condition"] == {
        "Bool": {"aws:SecureTransport": "false"}
    }
