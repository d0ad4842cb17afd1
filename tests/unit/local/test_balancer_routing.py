from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.local.balancer_routing import Choice, Request, Router, encode_cookie

NOW = 1_800_000_000.0
LISTENER, RULE = "listener", "rule"


def table(weights: dict[str, int], **more: Any) -> dict[str, Any]:
    action = {
        "Type": "forward",
        "ForwardConfig": {
            "TargetGroups": [
                {"TargetGroupArn": group, "Weight": weight} for group, weight in weights.items()
            ],
            "TargetGroupStickinessConfig": more.get("stickiness", {"Enabled": False}),
        },
    }
    rule = {"RuleArn": RULE, "Conditions": more.get("conditions", []), "Actions": [action]}
    default = {
        "RuleArn": LISTENER,
        "Conditions": [],
        "Actions": [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
    }
    return {
        "listeners": {LISTENER: {"rules": [rule, default]}},
        "target_groups": {group: {"targets": [[f"ip-{group}", 8000]]} for group in weights},
    }


def ask(router: Router, path: str = "/", method: str = "GET", **headers: str) -> Choice:
    path, _, query = path.partition("?")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return router.choose(LISTENER, Request(method, path, query, named), NOW)


@given(
    weight=st.integers(0, 999),
    other=st.integers(0, 999),
    count=st.integers(100, 3000),
    seed=st.integers(0, 99),
)
def test_the_share_of_a_group_is_within_3_standard_errors_of_its_weight(
    weight: int, other: int, count: int, seed: int
) -> None:
    if weight + other == 0:
        return
    router = Router(seed, table({"blue": weight, "green": other}))
    found = Counter(ask(router).group for _ in range(count))

    share = weight / (weight + other)
    three_errors = 3 * (share * (1 - share) * count) ** 0.5
    # A share so small that no request was due may still get its first one.
    assert abs(found["blue"] - share * count) <= max(three_errors, 1)


def test_the_same_seed_makes_the_same_choices_and_another_seed_others() -> None:
    choices = [
        [ask(router).group for _ in range(20)]
        for router in (Router(seed, table({"a": 50, "b": 50})) for seed in (1, 1, 2))
    ]

    assert choices[0] == choices[1] != choices[2]


def test_weights_that_are_all_0_reach_no_target() -> None:
    assert ask(Router(1, table({"blue": 0, "green": 0}))).target is None


def test_only_healthy_targets_are_used_until_none_is_left() -> None:
    routes = table({"blue": 1})
    routes["target_groups"]["blue"]["targets"] = [["a", 1], ["b", 1], ["c", 1]]
    router = Router(1, routes, {"blue": [("b", 1)]})

    assert {ask(router).target for _ in range(6)} == {("b", 1)}
    router.healthy = {"blue": []}
    assert {ask(router).target for _ in range(6)} == {("a", 1), ("b", 1), ("c", 1)}


STICKY = {"Enabled": True, "DurationSeconds": 60}


def test_a_stuck_client_stays_and_gets_no_new_cookie() -> None:
    router = Router(1, table({"blue": 100, "green": 0}, stickiness=STICKY))
    cookie = f"a=b; AWSALBTG={encode_cookie('green', int(NOW) + 1)}"

    choice = ask(router, cookie=cookie)
    assert (choice.group, choice.cookie) == ("green", None)


@pytest.mark.parametrize(
    "value",
    [
        encode_cookie("green", int(NOW)),
        encode_cookie("elsewhere", int(NOW) + 60),
        "garbage",
        "Z2FyYmFnZQ==",
    ],
)
def test_a_cookie_that_is_over_foreign_or_broken_is_replaced(value: str) -> None:
    router = Router(1, table({"blue": 100, "green": 0}, stickiness=STICKY))

    choice = ask(router, cookie=f"AWSALBTG={value}")
    assert choice.group == "blue"
    assert choice.cookie == encode_cookie("blue", int(NOW) + 60)


def test_a_cookie_means_nothing_once_stickiness_is_off() -> None:
    router = Router(1, table({"blue": 100, "green": 0}))

    assert ask(router, cookie=f"AWSALBTG={encode_cookie('green', int(NOW) + 9)}").group == "blue"


@pytest.mark.parametrize(
    ("condition", "matching", "other"),
    [
        ({"Field": "path-pattern", "Values": ["/img/*"]}, {"path": "/img/a"}, {"path": "/imgs"}),
        ({"Field": "path-pattern", "Values": ["/?"]}, {"path": "/a"}, {"path": "/ab"}),
        ({"Field": "path-pattern", "Values": ["/a.b"]}, {"path": "/a.b"}, {"path": "/axb"}),
        (
            {"Field": "host-header", "HostHeaderConfig": {"Values": ["*.Example.com"]}},
            {"host": "a.example.COM:8080"},
            {"host": "example.com"},
        ),
        (
            {
                "Field": "http-header",
                "HttpHeaderConfig": {"HttpHeaderName": "X-Slot", "Values": ["gr*"]},
            },
            {"x_slot": "Green"},
            {"x_slot": "blue"},
        ),
        (
            {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["POST"]}},
            {"method": "POST"},
            {"method": "GET"},
        ),
        (
            {
                "Field": "query-string",
                "QueryStringConfig": {"Values": [{"Key": "v", "Value": "2*"}]},
            },
            {"path": "/?a=1&v=21"},
            {"path": "/?v=1"},
        ),
    ],
)
def test_a_condition_holds_as_in_aws(
    condition: dict[str, Any], matching: dict[str, str], other: dict[str, str]
) -> None:
    router = Router(1, table({"blue": 1}, conditions=[condition]))

    assert ask(router, **matching).rule == RULE
    assert ask(router, **other).rule == LISTENER
