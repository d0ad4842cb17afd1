"""`tests.balancer` answers as moto's balancer does, and refuses what AWS refuses and moto takes."""

import json

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.balancer import Balancer
from tests.builders import GROUPS, RULE_ARN, SERVICE
from tests.fakes import client

BLUE, GREEN = GROUPS["blue"], GROUPS["green"]
STICKY = {"Enabled": True, "DurationSeconds": 60}


@pytest.fixture
def elbv2():
    """moto's, with the rule that a `Balancer` begins with; what each calls its parts."""
    with mock_aws():
        found = client("ec2").describe_subnets()["Subnets"][:2]
        elbv2 = client("elbv2")
        balancer = elbv2.create_load_balancer(
            Name=SERVICE, Subnets=[subnet["SubnetId"] for subnet in found]
        )["LoadBalancers"][0]["LoadBalancerArn"]
        made = {"Protocol": "HTTP", "Port": 8000, "VpcId": found[0]["VpcId"], "TargetType": "ip"}
        names = {}
        for slot, arn in GROUPS.items():
            group = elbv2.create_target_group(Name=f"{SERVICE}-{slot}", **made)
            names[arn] = group["TargetGroups"][0]["TargetGroupArn"]
        fixed = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
        listener = elbv2.create_listener(
            LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[fixed]
        )["Listeners"][0]["ListenerArn"]
        rule = elbv2.create_rule(
            ListenerArn=listener,
            Priority=100,
            Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
            Actions=translated(forward([BLUE, 100], [GREEN, 0]), names),
        )["Rules"][0]["RuleArn"]
        yield elbv2, names | {RULE_ARN: rule}


def translated(thing, names):
    text = json.dumps(thing)
    for ours, theirs in names.items():
        text = text.replace(ours, theirs)
    return json.loads(text)


def told(call, **arguments):
    try:
        answer = call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.operation_name
    known = {"stickiness.enabled", "stickiness.type", "deregistration_delay.timeout_seconds"}
    found = {name: answer[name] for name in ("Rules", "TagDescriptions") if name in answer}
    pairs = {pair["Key"]: pair["Value"] for pair in answer.get("Attributes", ())}
    return found, {key: pairs[key] for key in pairs.keys() & known}


def forward(*groups, **config):
    named = [dict(zip(("TargetGroupArn", "Weight"), group, strict=False)) for group in groups]
    return [{"Type": "forward", "ForwardConfig": {"TargetGroups": named, **config}}]


def test_calls_answer_as_motos_do(elbv2):
    moto, names = elbv2
    balancer = Balancer(None)
    rule, tagged = {"RuleArn": RULE_ARN}, {"ResourceArns": [RULE_ARN]}
    pairs = [{"Key": "greenlane:a", "Value": RULE_ARN}, {"Key": "b", "Value": ""}]
    pinned = [{"Key": "stickiness.enabled", "Value": "true"}]
    back = {theirs: ours for ours, theirs in names.items()}
    for operation, arguments in [
        ("describe_rules", {"RuleArns": [RULE_ARN]}),
        ("describe_rules", {"RuleArns": [f"{RULE_ARN}0"]}),
        ("modify_rule", rule | {"Actions": forward([BLUE, 90], [GREEN, 10])}),
        ("modify_rule", rule | {"Actions": forward([GREEN])}),
        ("modify_rule", rule | {"Actions": forward([BLUE, 1], [f"{GREEN}0", 1])}),
        ("modify_rule", {"RuleArn": f"{RULE_ARN}0", "Actions": forward([BLUE, 1])}),
        ("describe_rules", {"RuleArns": [RULE_ARN]}),
        ("modify_rule", rule | {"Actions": forward([GREEN], TargetGroupStickinessConfig=STICKY)}),
        ("describe_tags", tagged),
        ("add_tags", tagged | {"Tags": pairs}),
        ("add_tags", tagged | {"Tags": [{"Key": "b", "Value": "2"}]}),
        ("add_tags", {"ResourceArns": [f"{RULE_ARN}0"], "Tags": pairs}),
        ("describe_tags", tagged),
        ("remove_tags", tagged | {"TagKeys": ["b", "c"]}),
        ("describe_tags", tagged),
        ("describe_target_group_attributes", {"TargetGroupArn": BLUE}),
        ("describe_target_group_attributes", {"TargetGroupArn": f"{BLUE}0"}),
        ("modify_target_group_attributes", {"TargetGroupArn": GREEN, "Attributes": pinned}),
        ("describe_target_group_attributes", {"TargetGroupArn": GREEN}),
        ("describe_target_group_attributes", {"TargetGroupArn": BLUE}),
    ]:
        ours = told(getattr(balancer, operation), **arguments)
        theirs = told(getattr(moto, operation), **translated(arguments, names))
        assert json.loads(json.dumps(ours)) == translated(theirs, back), (operation, arguments)


@pytest.mark.parametrize(
    "actions",
    [
        [],
        forward([BLUE, 1000]),
        forward([BLUE, -1]),
        forward([BLUE, 1], [BLUE, 1]),
        forward(),
        forward([BLUE, 1], TargetGroupStickinessConfig={"Enabled": True}),
        forward([BLUE, 1], TargetGroupStickinessConfig=STICKY | {"DurationSeconds": 604_801}),
        [{"Type": "fixed-response"}],
        forward([BLUE, 1]) * 2,
    ],
)
def test_actions_that_aws_refuses_change_nothing(actions):
    balancer = Balancer(None)
    before = balancer.describe_rules(RuleArns=[RULE_ARN])
    with pytest.raises(ClientError):
        balancer.modify_rule(RuleArn=RULE_ARN, Actions=actions)
    assert balancer.describe_rules(RuleArns=[RULE_ARN]) == before


@pytest.mark.parametrize(
    "tags",
    [
        [{"Key": "k" * 129, "Value": ""}],
        [{"Key": "k", "Value": "v" * 257}],
        [{"Key": "k", "Value": "{json}"}],
        [{"Key": f"k{n}", "Value": ""} for n in range(51)],
    ],
)
def test_tags_that_aws_refuses_change_nothing(tags):
    balancer = Balancer(None)
    with pytest.raises(ClientError):
        balancer.add_tags(ResourceArns=[RULE_ARN], Tags=tags)
    assert balancer.describe_tags(ResourceArns=[RULE_ARN])["TagDescriptions"][0]["Tags"] == []


def test_nobody_else_holds_the_rules_actions():
    balancer = Balancer(None)
    mine = forward([BLUE, 1])
    for actions in (
        mine,
        balancer.modify_rule(RuleArn=RULE_ARN, Actions=mine)["Rules"][0]["Actions"],
    ):
        actions[0]["ForwardConfig"]["TargetGroups"].clear()
    (rule,) = balancer.describe_rules(RuleArns=[RULE_ARN])["Rules"]
    assert rule["Actions"][0]["ForwardConfig"]["TargetGroups"] == [
        {"TargetGroupArn": BLUE, "Weight": 1}
    ]
