from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.deployments.reaching.traffic import (
    LiveRule,
    actions_with,
    read_rule,
    recipe_for,
    slot_health,
    split,
    with_stickiness,
)
from greenlane.errors import Refused
from tests.builders import GROUPS, RULE_ARN, plan, workload

BLUE, GREEN = GROUPS["blue"], GROUPS["green"]
STICKY = {"Enabled": True, "DurationSeconds": 3600}


def forward(blue=100, green=0, **config):
    groups = [{"TargetGroupArn": BLUE, "Weight": blue}, {"TargetGroupArn": GREEN, "Weight": green}]
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": groups, **config}}


def rule(*actions):
    return LiveRule(arn=RULE_ARN, actions=list(actions))


def test_only_the_weights_change_and_the_input_stays_as_it_was():
    before = rule(forward(TargetGroupStickinessConfig=STICKY))
    kept = deepcopy(before.actions)
    (after,) = actions_with(before, {BLUE: 90, GREEN: 10}, keep_stickiness=True)
    assert before.actions == kept
    assert LiveRule(arn=RULE_ARN, actions=[after]).weights == {BLUE: 90, GREEN: 10}
    assert after["ForwardConfig"]["TargetGroupStickinessConfig"] == STICKY


def test_authentication_before_the_forward_is_kept_in_its_order():
    cognito = {
        "Type": "authenticate-cognito",
        "Order": 1,
        "AuthenticateCognitoConfig": {"UserPoolArn": "arn", "UserPoolClientId": "id"},
    }
    found = actions_with(
        rule(cognito, forward() | {"Order": 2}), {BLUE: 0, GREEN: 100}, keep_stickiness=True
    )
    assert found[0] == cognito
    assert (found[1]["Type"], found[1]["Order"]) == ("forward", 2)


def test_a_stored_oidc_secret_stays_in_use():
    oidc = {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": {"ClientId": "id"}}
    found, _ = actions_with(rule(oidc, forward()), {BLUE: 100, GREEN: 0}, keep_stickiness=True)
    assert found["AuthenticateOidcConfig"] == {"ClientId": "id", "UseExistingClientSecret": True}


def test_going_back_drops_the_rules_stickiness_and_remembers_it():
    recipe = recipe_for(rule(forward(TargetGroupStickinessConfig=STICKY)), workload(), "blue", 2)
    (back,) = recipe.actions
    assert back["ForwardConfig"]["TargetGroupStickinessConfig"] == {"Enabled": False}
    assert recipe.stickiness == STICKY
    written = LiveRule(arn=RULE_ARN, actions=[back])
    assert (written.stickiness, written.weights) == (None, {BLUE: 100, GREEN: 0})
    (restored,) = with_stickiness(written, STICKY)
    again = LiveRule(arn=RULE_ARN, actions=[restored])
    assert (again.stickiness, again.weights) == (STICKY, {BLUE: 100, GREEN: 0})
    assert (recipe.good_target_group, recipe.bad_target_group) == (BLUE, GREEN)


@pytest.mark.parametrize("weights", [{}, {BLUE: 0, GREEN: 0}])
def test_weights_that_carry_nothing_are_never_written(weights):
    with pytest.raises(ValueError, match="more than 0"):
        actions_with(rule(forward()), weights, keep_stickiness=True)


@given(weight=st.integers(0, 100))
def test_a_split_sums_to_100_and_reads_back_as_percent(weight):
    weights = split(plan(), weight)
    assert sum(weights.values()) == 100
    written = rule(*actions_with(rule(forward()), weights, keep_stickiness=True))
    assert written.percent(workload()) == {"blue": 100 - weight, "green": weight}


@pytest.mark.parametrize(
    ("blue", "green", "percent"),
    [
        (1, 0, {"blue": 100, "green": 0}),
        (999, 0, {"blue": 100, "green": 0}),
        (1, 1, {"blue": 50, "green": 50}),
        (3, 1, {"blue": 75, "green": 25}),
        (2, 1, None),
        (0, 0, None),
    ],
)
def test_percent_is_whole_or_unknown(blue, green, percent):
    assert rule(forward(blue, green)).percent(workload()) == percent


def test_a_rule_that_does_not_name_exactly_both_slots_has_no_percent():
    third = forward()
    third["ForwardConfig"]["TargetGroups"].append({"TargetGroupArn": "other", "Weight": 0})
    one = {
        "Type": "forward",
        "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": BLUE, "Weight": 100}]},
    }
    fixed = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}
    for actions in ([third], [one], [fixed], []):
        assert rule(*actions).percent(workload()) is None


class Balancer:
    def __init__(self, **answers):
        self.answers = answers

    def __getattr__(self, operation):
        return lambda **_: self.answers[operation]


def test_a_default_rule_is_refused():
    default = {"Rules": [{"IsDefault": True, "Actions": [forward()]}]}
    with pytest.raises(Refused, match="default rule"):
        read_rule(Balancer(describe_rules=default), RULE_ARN)


def test_draining_targets_do_not_count_as_any():
    states = ["healthy", "initial", "draining", "unhealthy", "unhealthy.draining", "unused"]
    entries = [
        {"Target": {"Id": f"10.0.0.{n}", "Port": 8000}, "TargetHealth": {"State": state}}
        for n, state in enumerate(states)
    ]
    answer = {"TargetHealthDescriptions": entries}
    found = slot_health(Balancer(describe_target_health=answer), BLUE)
    assert found.healthy == ("10.0.0.0:8000",)
    assert found.others == ("10.0.0.1:8000", "10.0.0.3:8000", "10.0.0.5:8000")
    assert found.total == 4
