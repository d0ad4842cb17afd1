"""Least privilege: what each role may do, and that nothing reaches further than it says."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from infra.nag import as_finding
from tests.infra.conftest import ROOT, Assembly, Template
from tests.infra.reachable import actions, machines

MODULES = sorted(path.stem for path in (ROOT / "functions").glob("[a-z]*.py"))

# Actions for which AWS knows no resource (or, where noted, none that could be named before the
# thing exists). Everything else names what it touches.
OVER_EVERYTHING = {
    "application-autoscaling:DescribeScalableTargets",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    # Lambda attaches functions to networks with interfaces of its own making.
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
    # CodePipeline knows no resource of a job.
    "codepipeline:PutJobFailureResult",
    "codepipeline:PutJobSuccessResult",
    "ecr:GetAuthorizationToken",
    "inspector2:ListFindings",
    "ecs:DeregisterTaskDefinition",
    "ecs:DescribeTaskDefinition",
    "ecs:ListTaskDefinitions",
    # Limited by a condition on the cluster, the only one that ECS knows for it.
    "ecs:ListTasks",
    "ecs:RegisterTaskDefinition",
    "elasticloadbalancing:DescribeRules",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeTargetHealth",
    # API Gateway refuses a role for its logs, one for all APIs of an account, that may less.
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:DescribeLogStreams",
    "logs:FilterLogEvents",
    "logs:GetLogEvents",
    "logs:PutLogEvents",
    # Step Functions writes to log groups through log delivery, which knows no resource.
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:GetQueryResults",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "ssm:CreateOpsItem",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Role name and statement, of all roles."""
    for role in template.resources("AWS::IAM::Role"):
        for policy in role.properties.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield str(role.properties["RoleName"]), statement


def allowed(assembly: Assembly, role: str) -> dict[str, set[str]]:
    """What a role may do: resources by action."""
    found: dict[str, set[str]] = {}
    for template in assembly.templates.values():
        for name, statement in statements(template):
            if name == role:
                for action in as_list(statement["Action"]):
                    resources = {as_finding(item) for item in as_list(statement["Resource"])}
                    found.setdefault(action, set()).update(resources)
    assert found, f"no role {role}"
    return found


def test_no_role_gets_permissions_from_anywhere_but_its_own_list(whole: Assembly) -> None:
    for template in whole.templates.values():
        assert template.resources("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy") == []
        for role in template.resources("AWS::IAM::Role"):
            assert "ManagedPolicyArns" not in role.properties


def test_only_actions_that_know_no_resource_reach_everything(whole: Assembly) -> None:
    wide = {
        action
        for template in whole.templates.values()
        for _, statement in statements(template)
        if "*" in as_list(statement["Resource"])
        for action in as_list(statement["Action"])
    }

    assert wide == OVER_EVERYTHING


def test_no_statement_allows_a_family_of_actions_or_denies_or_inverts(whole: Assembly) -> None:
    for template in whole.templates.values():
        for role, statement in statements(template):
            assert statement["Effect"] == "Allow", role
            assert not {"NotAction", "NotResource"} & set(statement), role
            assert [action for action in as_list(statement["Action"]) if "*" in action] == [], role


def test_each_function_has_a_role_of_its_own(whole: Assembly) -> None:
    roles = [
        function.properties["Role"]["Fn::GetAtt"][0]
        for template in whole.templates.values()
        for function in template.resources("AWS::Lambda::Function")
    ]

    assert len(set(roles)) == len(roles)


WRITES_RULE = {
    "plan-deployment",
    "shift-traffic",
    "take-traffic-back",
    "hold-traffic",
    "empty-slot",  # puts back what somebody gave the slot that drains
    "reconcile",  # gives the user's own stickiness back
}


def test_only_these_functions_write_the_production_rule_and_no_other_rule(
    assembly: Assembly,
) -> None:
    writes = {"ModifyRule", "CreateRule", "DeleteRule", "ModifyListener"}
    tags = {"AddTags", "RemoveTags"}  # they carry the way back, and move no traffic
    writers, touched = set(), set()
    for role, statement in statements(assembly.product):
        actions = {action.partition(":")[2] for action in as_list(statement["Action"])}
        if actions & (writes | tags):
            touched |= {as_finding(item) for item in as_list(statement["Resource"])}
        if actions & writes:
            writers.add(role.removeprefix("greenlane-").removesuffix("-eu-west-1"))

    assert writers == WRITES_RULE
    assert touched == {"<ClaudeManagerListenerRuleArn>"}


# Every function writes its logs and traces, those in the VPC have network interfaces besides.
BY_RUNNING = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


# Lambda keeps what these failed to do, under the function's own role.
KEPT_IF_FAILED = {
    "normalise_trigger": "sqs:SendMessage",
    "notify_people": "sqs:SendMessage",
    "run_pipeline_action": "lambda:InvokeFunction",
}

# `greenlane.health.alarm_keeping` names its calls by text.
NAMED_BY_TEXT = {
    "tick_flags": {
        "cloudwatch:DeleteAlarms",
        "cloudwatch:PutCompositeAlarm",
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:TagResource",
    }
}

# The recorder finds tests by their names (`find`); the class that it is given can list them too.
# What makes a report without waiting for log messages keeps none, and can do both.
# Who starts a plan that is kept keeps none.
MENTIONED_ONLY = {
    "record_experiments": {"dynamodb:Query"},
    "manage_deployments": {"logs:GetQueryResults", "logs:StartQuery", "s3:PutObject"},
    "manage_migrations": {"dynamodb:Scan", "s3:PutObject"},
} | dict.fromkeys(
    # Of tables in PostgreSQL and of words of SQL.
    ("check_migration", "run_migration", "undo_migration", "verify_restore"),
    {"dynamodb:Scan"},
)


@pytest.mark.parametrize("module", MODULES)
def test_a_function_may_do_what_its_code_does_and_nothing_else(
    whole: Assembly, module: str
) -> None:
    """A difference is mended in infra/catalog*.py, or in infra/stacks.py for the listener rule."""
    may = set(allowed(whole, f"greenlane-{module.replace('_', '-')}-eu-west-1")) - BY_RUNNING
    mentioned = MENTIONED_ONLY.get(module, set())
    assert mentioned <= actions(module), "what is not mentioned needs no exception"
    does = actions(module) - mentioned | NAMED_BY_TEXT.get(module, set())

    # The database itself asks for the right to sign in; no call of AWS does.
    may = {action for action in may if not action.startswith(("ec2:", "rds-db:"))}
    if module in KEPT_IF_FAILED:
        may.remove(KEPT_IF_FAILED[module])
    assert {"missing": does - may, "unused": may - does} == {"missing": set(), "unused": set()}


SEEN = {
    # The coordinator writes into its record where it stands.
    "manage_rollouts": ("states:DescribeStateMachine", "states:SendTaskSuccess"),
    "manage_deployments": ("states:DescribeExecution",),
    "manage_migrations": ("states:DescribeExecution",),
    "hear_webhooks": (),
}


@pytest.mark.parametrize("module", SEEN)
def test_what_answers_requests_reaches_the_machines_that_its_code_names(
    whole: Assembly, module: str
) -> None:
    # What starts the way back is told its machine by the environment.
    starts = {"greenlane-rollback"} if module == "hear_webhooks" else machines(module)
    may = allowed(whole, f"greenlane-{module.replace('_', '-')}-eu-west-1")
    for action in ("states:StartExecution", *SEEN[module]):
        named = [re.findall(r":(?:stateMachine|execution):([^:]+)", arn) for arn in may[action]]
        assert {name for (name,) in named} == starts, action
    for name in starts:
        whole.product.only("AWS::StepFunctions::StateMachine", StateMachineName=name)


def test_running_executions_may_call_the_versions_they_began_with(whole: Assembly) -> None:
    """After an upgrade a machine's role must still reach the versions published before."""
    for machine in ("deployment", "rollback", "migration", "restore", "regions", "request"):
        may = allowed(whole, f"greenlane-{machine}-machine-eu-west-1")
        assert may["lambda:InvokeFunction"]
        assert all(arn.endswith(":*") for arn in may["lambda:InvokeFunction"])


def test_only_task_roles_are_passed_and_only_to_tasks(assembly: Assembly) -> None:
    passing = [
        statement
        for template in assembly.templates.values()
        for _, statement in statements(template)
        if "iam:PassRole" in as_list(statement["Action"])
    ]

    assert len(passing) == 3, "to prepare a slot, to run a task, to put a revision back"
    for statement in passing:
        assert statement["Condition"] == {
            "StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
        }
        assert {as_finding(item).rsplit("/", 1)[-1] for item in statement["Resource"]} == {
            "claude-manager-task",
            "claude-manager-execution",
        }


def test_the_rule_of_alarms_may_start_the_way_back_and_nothing_else(assembly: Assembly) -> None:
    may = allowed(assembly, "greenlane-start-rollback-eu-west-1")

    assert set(may) == {"states:StartExecution"}


def test_a_wildcard_without_an_argument_does_not_synthesize() -> None:
    from aws_cdk import App, Stack

    from infra.roles import Allow, UnarguedWildcard, least_privilege_role

    with pytest.raises(UnarguedWildcard, match="say why"):
        least_privilege_role(
            Stack(App(), "Stack"),
            "Role",
            name="role",
            principal="lambda.amazonaws.com",
            allows=[Allow("Everything", ["s3:GetObject"], ["*"])],
        )
