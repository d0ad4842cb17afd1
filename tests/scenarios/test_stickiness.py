"""A rule may pin clients and authenticate them: the way back moves them, and keeps the rest."""

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from typing import Any

from greenlane.deployments.reaching import traffic
from tests.scenarios.conftest import Scenario
from tests.scenarios.driving import BRISK, LONG, baking
from tests.scenarios.waiting import eventually

STICKY = {"Enabled": True, "DurationSeconds": 600}
OIDC: dict[str, Any] = {
    "Type": "authenticate-oidc",
    "Order": 1,
    "AuthenticateOidcConfig": {
        "Issuer": "https://id.example.com",
        "AuthorizationEndpoint": "https://id.example.com/authorize",
        "TokenEndpoint": "https://id.example.com/token",
        "UserInfoEndpoint": "https://id.example.com/me",
        "ClientId": "claude-manager",
        "ClientSecret": "only the balancer knows",
        "OnUnauthenticatedRequest": "deny",
    },
}


class Client:
    """One browser: it keeps its cookies."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.jar = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def version(self) -> str:
        """Which version answers; raises on an answer that is an error."""
        with self._opener.open(f"{self.url}/api/v1/status", timeout=10) as answer:
            return str(answer.headers["X-Version"])


def _actions(scenario: Scenario) -> list[dict[str, Any]]:
    rule = scenario.stage.workload.listener_rule_arn
    return traffic.read_rule(scenario.cloud.client("elbv2"), rule).actions


def _public(scenario: Scenario) -> dict[str, Any]:
    """The rule's authentication but for the secret, which AWS never shows."""
    config: dict[str, Any] = _actions(scenario)[0]["AuthenticateOidcConfig"]
    hidden = ("ClientSecret", "UseExistingClientSecret")
    return {key: value for key, value in config.items() if key not in hidden}


@contextmanager
def _users_rule(scenario: Scenario) -> Iterator[None]:
    """The rule as its owner made it: clients log in, and stay where they were sent."""
    elbv2 = scenario.cloud.client("elbv2")
    rule = scenario.stage.workload.listener_rule_arn
    (before,) = _actions(scenario)
    config = before["ForwardConfig"] | {"TargetGroupStickinessConfig": STICKY}
    forward = {"Type": "forward", "Order": 2, "ForwardConfig": config}
    elbv2.modify_rule(RuleArn=rule, Actions=[OIDC, forward])
    try:
        yield
    finally:
        groups = _actions(scenario)[-1]["ForwardConfig"]["TargetGroups"]
        plain = {"TargetGroups": groups, "TargetGroupStickinessConfig": {"Enabled": False}}
        elbv2.modify_rule(
            RuleArn=rule, Actions=[{"Type": "forward", "Order": 1, "ForwardConfig": plain}]
        )


def test_a_client_stuck_to_the_candidate_gets_the_good_version_on_its_next_request(
    scenario: Scenario,
) -> None:
    scenario.configure(deployment=BRISK | {"steps": [50, 100], "bake": LONG})
    good = Client(scenario.stage.url).version()
    balancer = scenario.cloud.parts["elb"]
    with _users_rule(scenario):
        users = _public(scenario)
        deployment_id = scenario.deploy()
        record = baking(scenario, deployment_id, 50)
        assert _public(scenario) == users
        candidate = f"t{scenario.versions}"
        balancer.settle()
        client = _stuck_to(scenario, candidate)

        scenario.raise_alarm(record.candidate)
        back = {record.live: 100, record.candidate: 0}
        eventually(lambda: scenario.percent() == back, "the traffic is back")
        balancer.settle()
        assert client.version() == good
        assert scenario.lost(candidate) == 0

        assert scenario.outcome(deployment_id) == "rolled_back"
        assert _public(scenario) == users
        assert client.version() == good, "the emptied slot's cookie pins nobody"
        eventually(lambda: _stickiness(scenario) == STICKY, "the user's stickiness is back")
        assert client.version() == good
        assert scenario.lost(candidate) == 0


def test_a_good_deployment_loses_no_request_of_a_client_stuck_to_the_old_version(
    scenario: Scenario,
) -> None:
    scenario.configure(deployment=BRISK | {"warm_floor": 0})
    with _users_rule(scenario):
        client = Client(scenario.stage.url)
        client.version()
        deployment_id = scenario.deploy()
        candidate = f"t{scenario.versions}"
        assert scenario.outcome(deployment_id) == "succeeded"
        assert client.version() == candidate
        eventually(lambda: _stickiness(scenario) == STICKY, "the user's stickiness is back")
        assert client.version() == candidate
        assert scenario.lost(candidate) == 0


def _stickiness(scenario: Scenario) -> dict[str, Any]:
    config: dict[str, Any] = _actions(scenario)[-1]["ForwardConfig"]["TargetGroupStickinessConfig"]
    return config


def _stuck_to(scenario: Scenario, version: str) -> Client:
    """A client that the rule keeps sending to this version."""
    for _ in range(50):
        client = Client(scenario.stage.url)
        if client.version() == version:
            assert {client.version() for _ in range(5)} == {version}
            return client
    raise AssertionError(f"no client of 50 came to {version}")
