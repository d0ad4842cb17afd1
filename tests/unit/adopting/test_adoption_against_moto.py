"""A service made by hand is adopted and un-adopted, whatever interrupts either."""

from collections.abc import Callable
from typing import Any

import pytest
from moto import mock_aws

from greenlane.adopting.finding import find
from greenlane.adopting.planning import plan_adoption
from greenlane.adopting.steps import take_steps
from greenlane.adopting.undoing import undo_adoption
from greenlane.deployments.workload import Workload, parameter_name
from greenlane.errors import InvalidInput, Refused
from tests.effort import part
from tests.made_by_hand import (
    CLUSTER,
    COGNITO,
    SERVICE,
    Fault,
    Hand,
    Killed,
    asked,
    forward_to,
    host,
    path,
    without_ids,
)


@pytest.fixture(autouse=True)
def account(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield


def behind_a_rule() -> Hand:
    hand = Hand()
    listener = hand.listen_securely()
    hand.rule(
        listener, 5, path("/admin/*"), actions=[COGNITO | {"Order": 1}, hand.forward | {"Order": 2}]
    )
    hand.serve()
    hand.scale()
    return hand


def behind_the_default_action() -> Hand:
    hand = Hand()
    other = hand.make_group("other")
    listener = hand.listen(hand.forward)
    hand.rule(listener, 5, host("other.example"), actions=[forward_to(other)])
    hand.serve()
    return hand


def behind_several_rules() -> Hand:
    hand = Hand()
    listener = hand.listen()
    hand.rule(
        listener,
        3,
        path("/static/*"),
        actions=[
            {
                "Type": "redirect",
                "RedirectConfig": {"StatusCode": "HTTP_301", "Host": "cdn.example"},
            }
        ],
    )
    hand.rule(listener, 10, host("shop.example"), path("/cart/*", "/pay/*"))
    hand.rule(listener, 20, host("shop.example"), path("/browse/*"))
    hand.serve()
    hand.scale()
    return hand


MADE = [behind_a_rule, behind_the_default_action, behind_several_rules]
INTERRUPTED = MADE[1:]  # a rule is added; a rule is changed, with auto scaling


def adopt(hand: Hand, fault: Fault | None = None, **values: Any) -> list[bool]:
    connection, changed = hand.connect(fault), []
    plan = plan_adoption(find(connection, asked(**values)))
    take_steps(connection, plan, lambda step, did: changed.append(did))
    return changed


def unadopt(hand: Hand, fault: Fault | None = None) -> list[bool]:
    return [did for _, did in undo_adoption(hand.connect(fault), "shop")]


def workload(hand: Hand) -> Workload:
    answer = hand.client("ssm").get_parameter(Name=parameter_name("shop"))
    return Workload.model_validate_json(answer["Parameter"]["Value"])


@pytest.mark.parametrize("make", MADE)
def test_the_service_becomes_a_slot_under_its_own_name_with_all_of_the_traffic(make) -> None:
    hand = make()
    before = hand.standing()
    assert all(adopt(hand))
    made = workload(hand)
    assert (made.cluster, made.slots["blue"].service) == (CLUSTER, SERVICE)
    assert made.slots["blue"].target_group_arn == hand.group
    (rule,) = hand.elbv2.describe_rules(RuleArns=[made.listener_rule_arn])["Rules"]
    weights = {
        one["TargetGroupArn"]: one["Weight"]
        for one in rule["Actions"][-1]["ForwardConfig"]["TargetGroups"]
    }
    assert weights == {hand.group: 100, made.slots["green"].target_group_arn: 0}
    after = hand.standing()
    assert [one for one in after["services"] if one["serviceName"] == SERVICE][0][
        "taskDefinition"
    ] == before["services"][0]["taskDefinition"]
    twin = next(one for one in after["services"] if one["serviceName"] == "shop-green")
    assert twin["desiredCount"] == 0
    of_twin = [one for one in after["policies"] if one["ResourceId"].endswith("/shop-green")]
    assert len(of_twin) == len(before["policies"])
    assert ("shop-targets-green" in str(of_twin)) == bool(of_twin)
    names = {one["AlarmName"] for one in after["alarms"]}
    assert {*made.slots["blue"].alarms, *made.slots["green"].alarms} <= names


@pytest.mark.parametrize("make", MADE)
def test_un_adopting_leaves_everything_as_found(make) -> None:
    hand = make()
    before = hand.standing()
    adopt(hand)
    assert hand.standing() != before
    unadopt(hand)
    assert hand.standing() == before


@pytest.mark.parametrize("make", MADE)
def test_adopting_twice_changes_nothing_the_second_time(make) -> None:
    hand = make()
    adopt(hand)
    once = hand.standing()
    fault = Fault()
    assert not any(adopt(hand, fault))
    assert fault.writes == ["authorize_security_group_ingress"]  # as it was
    assert hand.standing() == once


def kills(hand: Hand, act: Callable[[Hand, Fault], Any]) -> list[Fault]:
    """A kill before each write of what is done, and after the last; it is done once to count.

    Only reads are between two writes, so a kill after one is a kill before the next.
    """
    counted = Fault()
    act(hand, counted)
    writes = len(counted.writes)
    return [*(Fault(n) for n in range(writes)), Fault(writes - 1, after=True)]


@pytest.mark.parametrize("make", INTERRUPTED)
def test_an_adoption_killed_at_any_write_is_finished_by_the_same_command(make) -> None:
    hand = make()
    before = hand.standing()
    faults = kills(hand, adopt)
    whole = without_ids(hand.standing())
    unadopt(hand)
    for fault in part(faults, 6, 0):
        with pytest.raises(Killed):
            adopt(hand, fault)
        adopt(hand)
        assert without_ids(hand.standing()) == whole, fault
        unadopt(hand)
        assert hand.standing() == before, fault
    assert len(faults) > 20


@pytest.mark.parametrize("make", INTERRUPTED)
def test_what_a_killed_adoption_has_done_is_taken_back(make) -> None:
    hand = make()
    before = hand.standing()
    faults = kills(hand, adopt)
    unadopt(hand)
    for fault in part(faults, 6, 2):
        with pytest.raises(Killed):
            adopt(hand, fault)
        if fault.at == 0:  # nothing was written, not even the record
            with pytest.raises(InvalidInput):
                unadopt(hand)
        else:
            unadopt(hand)
        assert hand.standing() == before, fault


@pytest.mark.parametrize("make", INTERRUPTED)
def test_a_killed_un_adoption_is_finished_by_the_same_command(make) -> None:
    hand = make()
    before = hand.standing()
    adopt(hand)
    faults = kills(hand, unadopt)
    for fault in part(faults, 6, 4):
        adopt(hand)
        with pytest.raises(Killed):
            unadopt(hand, fault)
        if fault.after:  # all was done, and nobody heard of it
            with pytest.raises(InvalidInput):
                unadopt(hand)
        else:
            unadopt(hand)
        assert hand.standing() == before, fault


def test_auto_scaling_that_a_deployment_left_resting_is_put_back() -> None:
    hand = behind_a_rule()
    adopt(hand)
    target = {
        "ServiceNamespace": "ecs",
        "ResourceId": f"service/{CLUSTER}/{SERVICE}",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    suspended = {"DynamicScalingInSuspended": True, "ScheduledScalingSuspended": True}
    autoscaling = hand.client("application-autoscaling")
    autoscaling.register_scalable_target(**target, MinCapacity=5, SuspendedState=suspended)
    unadopt(hand)
    (found,) = autoscaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert (found["MinCapacity"], found["MaxCapacity"]) == (2, 6)
    assert not any(found["SuspendedState"].values())


def test_what_a_deployment_left_on_rule_and_service_is_taken_off() -> None:
    hand = behind_a_rule()
    before = hand.standing()
    adopt(hand)
    tag = {"Key": "greenlane:deployment", "Value": "d-1"}
    hand.elbv2.add_tags(ResourceArns=[workload(hand).listener_rule_arn], Tags=[tag])
    arn = next(one["serviceArn"] for one in hand.standing()["services"])
    role = {"key": "Deployment", "value": "active"}
    hand.client("ecs").tag_resource(resourceArn=arn, tags=[role])
    unadopt(hand)
    assert hand.standing() == before


def test_what_somebody_changed_on_the_rule_meanwhile_stays() -> None:
    hand = behind_a_rule()
    adopt(hand)
    arn = workload(hand).listener_rule_arn
    hand.elbv2.modify_rule(RuleArn=arn, Conditions=[path("/elsewhere/*")])
    unadopt(hand)
    (rule,) = hand.elbv2.describe_rules(RuleArns=[arn])["Rules"]
    assert rule["Conditions"][0]["PathPatternConfig"]["Values"] == ["/elsewhere/*"]
    assert [action["Type"] for action in rule["Actions"]] == ["authenticate-cognito", "forward"]


def test_two_that_adopt_at_once_with_other_options_do_not_mix() -> None:
    hand = behind_a_rule()
    connection = hand.connect()
    late = plan_adoption(find(connection, asked(twin="late")))
    adopt(hand)
    adopted = hand.standing()
    with pytest.raises(Refused, match="somebody else adopts"):
        take_steps(connection, late, lambda step, did: None)
    assert hand.standing() == adopted


def test_a_rule_that_somebody_changes_while_it_is_planned_is_not_overwritten() -> None:
    hand = behind_a_rule()
    connection = hand.connect()
    plan = plan_adoption(find(connection, asked()))
    arn = plan.before.rule.arn
    hand.elbv2.modify_rule(RuleArn=arn, Actions=[hand.forward])
    with pytest.raises(Refused, match="somebody changed the rule"):
        take_steps(connection, plan, lambda step, did: None)
    (rule,) = hand.elbv2.describe_rules(RuleArns=[arn])["Rules"]
    assert [action["Type"] for action in rule["Actions"]] == ["forward"]


@pytest.mark.parametrize("order", [("shop", "books"), ("books", "shop")])
def test_two_services_on_one_balancer_do_not_touch_each_other(order) -> None:
    hand = Hand()
    listener = hand.listen()
    hand.rule(listener, 5, path("/shop/*"))
    books = hand.make_group("books")
    hand.rule(listener, 9, path("/books/*"), actions=[forward_to(books)])
    hand.serve()
    hand.serve(
        serviceName="books",
        loadBalancers=[{"targetGroupArn": books, "containerName": "web", "containerPort": 8080}],
    )
    before = hand.standing()
    adopt(hand)
    one = hand.standing()
    adopt(hand, name="books", ecs_service="books")
    for number, name in enumerate(order):
        list(undo_adoption(hand.connect(), name))
        if (number, name) == (0, "books"):
            assert hand.standing() == one
    assert hand.standing() == before


def test_alarms_that_are_named_are_used_and_outlive_the_adoption() -> None:
    hand = behind_a_rule()
    hand.client("cloudwatch").put_metric_alarm(
        AlarmName="mine",
        Namespace="AWS/ApplicationELB",
        MetricName="HTTPCode_Target_5XX_Count",
        Dimensions=[{"Name": "TargetGroup", "Value": hand.group.rpartition(":")[2]}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=5,
        ComparisonOperator="GreaterThanThreshold",
    )
    before = hand.standing()
    adopt(hand, alarms={"blue": ("mine",)})
    assert workload(hand).slots["blue"].alarms == ("mine",)
    names = {one["AlarmName"] for one in hand.standing()["alarms"]}
    assert {name for name in names if name.startswith("shop-")} == set(
        workload(hand).slots["green"].alarms
    )
    unadopt(hand)
    assert hand.standing() == before


def test_an_alarm_that_is_named_and_not_there_is_refused() -> None:
    hand = behind_a_rule()
    with pytest.raises(Refused, match="no alarm gone"):
        adopt(hand, alarms={"green": ("gone",)})


def test_without_security_groups_of_its_own_the_default_one_lets_validation_in() -> None:
    hand = Hand()
    hand.rule(hand.listen(), 5)
    network = {"awsvpcConfiguration": {"subnets": hand.subnets, "securityGroups": []}}
    hand.serve(networkConfiguration=network)
    before = hand.standing()
    adopt(hand)
    (default,) = [
        one
        for one in hand.standing()["security groups"]
        if one["GroupName"] == "default" and one["VpcId"] == hand.vpc
    ]
    ways = [pair for way in default["IpPermissions"] for pair in way["UserIdGroupPairs"]]
    assert "greenlane:adopted=shop" in [pair.get("Description") for pair in ways]
    unadopt(hand)
    assert hand.standing() == before


def test_a_stack_that_owns_the_service_is_warned_of() -> None:
    hand = Hand()
    hand.rule(hand.listen(), 5)
    hand.serve(tags=[{"key": "aws:cloudformation:stack-name", "value": "web"}])
    connection = hand.connect()
    plan = plan_adoption(find(connection, asked()))
    assert plan.warnings[0].startswith("the service shop belongs to the stack web")
