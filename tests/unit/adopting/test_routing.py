"""One rule carries a service's traffic; several are joined only where that is exact."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.adopting.model import Listener, Rule
from greenlane.adopting.routing import (
    EVERYTHING,
    MOST_CONDITION_VALUES,
    Route,
    as_asked,
    as_written,
    forwarding_as,
    groups_of,
    route_of,
    weighted,
)
from tests.made_by_hand import host, path

ARN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012"
OURS, GREEN = f"{ARN}:targetgroup/shop/1", f"{ARN}:targetgroup/shop-green/2"
THEIRS = f"{ARN}:targetgroup/other/3"
VALUES = {
    "host-header": ("a.example", "b.example", "c.example"),
    "path-pattern": ("/one", "/two", "/three"),
    "http-request-method": ("GET", "POST"),
}
CONFIGS = {
    "host-header": "HostHeaderConfig",
    "path-pattern": "PathPatternConfig",
    "http-request-method": "HttpRequestMethodConfig",
}


def forward(group: str = OURS) -> dict[str, Any]:
    return {"Type": "forward", "TargetGroupArn": group}


def rule(priority: int | None, *conditions: dict[str, Any], actions: Any = None) -> Rule:
    return Rule(
        arn=f"rule-{priority}",
        listener_arn="listener",
        priority=priority,
        conditions=conditions,
        actions=tuple(actions or [forward()]),
    )


def listener(*rules: Rule, port: int = 80) -> Listener:
    return Listener(arn=f"listener-{port}", port=port, protocol="HTTP", rules=rules)


SHARED = {
    "Type": "forward",
    "ForwardConfig": {
        "TargetGroups": [
            {"TargetGroupArn": OURS, "Weight": 1},
            {"TargetGroupArn": THEIRS, "Weight": 1},
        ]
    },
}
NOTHING = rule(None, actions=[{"Type": "fixed-response", "FixedResponseConfig": {}}])


def route(*rules: Rule) -> Route:
    found = route_of([listener(*rules)], OURS)
    assert isinstance(found, Route), found
    return found


def refused(*listeners: Listener) -> str:
    found = route_of(listeners, OURS)
    assert isinstance(found, list)
    return str(found[0])


def conditions() -> st.SearchStrategy[tuple[dict[str, Any], ...]]:
    def some(field: str) -> st.SearchStrategy[dict[str, Any] | None]:
        chosen = st.lists(st.sampled_from(VALUES[field]), min_size=1, max_size=2, unique=True)
        made = chosen.map(lambda values: {"Field": field, CONFIGS[field]: {"Values": values}})
        return st.none() | made

    parts = st.tuples(*(some(field) for field in VALUES))
    return parts.map(lambda found: tuple(one for one in found if one is not None)).filter(len)


def catches(found: tuple[dict[str, Any], ...], request: dict[str, str]) -> bool:
    return found == EVERYTHING or all(
        request[one["Field"]] in one[CONFIGS[one["Field"]]]["Values"] for one in found
    )


def answers(rules: list[Rule], request: dict[str, str]) -> str:
    first = next(one for one in rules if catches(one.conditions, request))
    return groups_of(first)[0] if groups_of(first) else "nobody"


@given(
    st.lists(st.tuples(conditions(), st.sampled_from([OURS, OURS, OURS, THEIRS])), max_size=4),
    st.sampled_from([OURS, THEIRS]),
)
def test_whatever_is_joined_every_request_goes_where_it_went(given_rules, last) -> None:
    rules = [
        rule(number, *found, actions=[forward(group)])
        for number, (found, group) in enumerate(given_rules, start=1)
    ]
    rules.append(rule(None, actions=[forward(last)]))
    found = route_of([listener(*rules)], OURS)
    if isinstance(found, list):
        return
    if found.priority is not None:
        after = [*rules[:-1], rule(found.priority, *EVERYTHING), rules[-1]]
    else:
        joined = found.rule.conditions if found.conditions is None else found.conditions
        changed = found.rule.model_copy(update={"conditions": joined})
        after = [changed if one is found.rule else one for one in rules]
        values_in_all = sum(len(one[CONFIGS[one["Field"]]]["Values"]) for one in joined)
        assert found.conditions is None or values_in_all <= MOST_CONDITION_VALUES
    for values in product(*VALUES.values()):
        request = dict(zip(VALUES, values, strict=True))
        assert answers(after, request) == answers(rules, request)


def test_a_rule_of_its_own_is_taken_as_it_is() -> None:
    mine = rule(7, path("/shop/*"))
    assert route(rule(3, path("/x"), actions=[forward(THEIRS)]), mine, NOTHING) == Route(mine)


def test_rules_that_differ_in_one_condition_become_the_first_of_them() -> None:
    one, two = rule(7, host("a"), path("/x")), rule(9, host("a"), path("/y"))
    found = route(one, two, NOTHING)
    assert found.rule is one
    assert found.conditions == (host("a"), path("/x", "/y"))
    assert found.behind == (two,)


def test_a_default_action_behind_a_rule_takes_the_rule_along() -> None:
    found = route(rule(7, path("/x")), rule(None))
    assert (found.rule.priority, found.conditions) == (7, EVERYTHING)


def test_a_default_action_alone_gets_a_rule_before_it_at_the_lowest_priority() -> None:
    found = route(rule(7, path("/x"), actions=[forward(THEIRS)]), rule(None))
    assert (found.rule.priority, found.priority) == (None, 50_000)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([rule(1, host("a"), path("/x")), rule(2, host("b"), path("/y"))], "no one rule catches"),
        ([rule(1, host("a")), rule(2, path("/y"))], "no one rule catches"),
        (
            [rule(1, path("/1", "/2", "/3")), rule(2, path("/4", "/5", "/6"))],
            f"{MOST_CONDITION_VALUES} values",
        ),
        (
            [
                rule(1, path("/x")),
                rule(2, path("/y"), actions=[forward(THEIRS)]),
                rule(3, path("/z")),
            ],
            "rule 2 of somebody else's",
        ),
        (
            [
                rule(1, path("/x")),
                rule(2, path("/y"), actions=[{"Type": "authenticate-cognito"}, forward()]),
            ],
            "authenticate",
        ),
        ([rule(1, path("/x"), actions=[SHARED])], "other target groups too"),
        ([rule(7, path("/x"), actions=[forward(THEIRS)])], "no rule forwards"),
        (
            [rule(50_000, path("/x"), actions=[forward(THEIRS)]), rule(None)],
            "lowest priority there is",
        ),
        ([rule(None, actions=[{"Type": "authenticate-oidc"}, forward()])], "client secret"),
    ],
)
def test_what_cannot_be_joined_is_refused_with_a_way_out(rules, said) -> None:
    rest = [] if rules[-1].priority is None else [NOTHING]
    assert said in refused(listener(*rules, *rest))


def test_two_listeners_with_the_traffic_are_refused_by_their_ports() -> None:
    said = refused(listener(rule(None), port=80), listener(rule(None), port=8443))
    assert "HTTP 80, HTTP 8443" in said


def test_both_groups_are_named_and_everything_else_of_the_rule_is_kept() -> None:
    login = {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": {"Issuer": "i"}}
    sticky = {"Enabled": True, "DurationSeconds": 60}
    there = {
        "Type": "forward",
        "Order": 2,
        "TargetGroupArn": OURS,
        "ForwardConfig": {
            "TargetGroups": [{"TargetGroupArn": OURS, "Weight": 1}],
            "TargetGroupStickinessConfig": sticky,
        },
    }
    first, second = weighted(rule(1, actions=[login, there]), OURS, GREEN)
    assert first["AuthenticateOidcConfig"] == {"Issuer": "i", "UseExistingClientSecret": True}
    assert second == {
        "Type": "forward",
        "Order": 2,
        "ForwardConfig": {
            "TargetGroups": [
                {"TargetGroupArn": OURS, "Weight": 100},
                {"TargetGroupArn": GREEN, "Weight": 0},
            ],
            "TargetGroupStickinessConfig": sticky,
        },
    }


def test_a_login_that_somebody_added_meanwhile_outlives_the_way_back() -> None:
    login = {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": {"Issuer": "i"}}
    (mine,) = weighted(rule(1), OURS, GREEN)
    back = as_written(forwarding_as([login, mine | {"Order": 2}], [forward()]))
    assert back == [
        login | {"AuthenticateOidcConfig": {"Issuer": "i", "UseExistingClientSecret": True}},
        forward() | {"Order": 2},
    ]


def test_conditions_are_written_in_one_form_only() -> None:
    described = {"Field": "path-pattern", "Values": ["/x"], "PathPatternConfig": {"Values": ["/x"]}}
    assert as_asked([described, {"Field": "host-header", "Values": ["a"]}]) == (
        path("/x"),
        host("a"),
    )
