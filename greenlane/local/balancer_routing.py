"""Where a request goes: rules, weights, stickiness and target choice, without any I/O.

The routing table is JSON that the main process derives from moto's load balancers. Its entries
keep AWS's own names (`Conditions`, `Actions`, `ForwardConfig`), so this module reads like the
Elastic Load Balancing documentation.
"""

import base64
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

COOKIE = "AWSALBTG"
_GOLDEN = 0.6180339887498949


@dataclass
class Request:
    """What a routing decision may look at; header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Choice:
    """What to do with a request: answer it here, or forward it to a target.

    `target` is None when the group has no target to offer (the balancer answers 503).
    `cookie` is a value for the stickiness cookie to set, `cookie_seconds` its virtual lifetime.
    """

    rule: str
    action: Mapping[str, Any]
    group: str | None = None
    target: tuple[str, int] | None = None
    cookie: str | None = None
    cookie_seconds: int = 0


@dataclass
class Router:
    """Chooses by the active table; remembers what must go on smoothly when the table changes.

    Weighted choices follow a low-discrepancy sequence for each rule, begun at a seeded point: as
    unpredictable to one client as AWS's, but after n requests a share is off by about log(n)/n
    instead of 1/sqrt(n).
    """

    seed: int
    table: Mapping[str, Any] = field(default_factory=dict)
    healthy: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    _points: dict[str, float] = field(default_factory=dict)
    _turns: dict[str, int] = field(default_factory=dict)

    def choose(self, listener: str, request: Request, virtual_now: float) -> Choice:
        """Decide one request at a listener (its ARN), at a virtual Unix time in seconds."""
        for rule in self.table["listeners"][listener]["rules"]:
            if all(_holds(condition, request) for condition in rule["Conditions"]):
                action = rule["Actions"][-1]
                if action["Type"] != "forward":
                    return Choice(rule["RuleArn"], action)
                return self._forward(rule["RuleArn"], action, request, virtual_now)
        raise LookupError(f"{listener} has no default rule")

    def _forward(
        self, rule: str, action: Mapping[str, Any], request: Request, virtual_now: float
    ) -> Choice:
        groups, stickiness = forward_groups(action)
        group = None
        cookie = None
        if stickiness.get("Enabled"):
            group = _stuck_to(request.headers.get("cookie", ""), groups, virtual_now)
        if group is None:
            group = self._weighted(rule, groups)
            if stickiness.get("Enabled"):
                ends = int(virtual_now) + int(stickiness["DurationSeconds"])
                cookie = encode_cookie(group, ends)
        seconds = int(stickiness["DurationSeconds"]) if cookie else 0
        return Choice(rule, action, group, self._target(group), cookie, seconds)

    def _weighted(self, rule: str, groups: Mapping[str, int]) -> str:
        if len(groups) == 1:
            return next(iter(groups))
        point = self._points.get(rule)
        if point is None:
            point = random.Random(f"{self.seed}:{rule}").random()
        point = (point + _GOLDEN) % 1.0
        self._points[rule] = point
        left = point * sum(groups.values())
        chosen = None
        for group, weight in groups.items():
            if weight > 0:
                chosen = group
                if left < weight:
                    break
                left -= weight
        # All weights 0: AWS says nothing of it; the caller answers 503 for want of a target.
        return chosen if chosen is not None else ""

    def _target(self, group: str) -> tuple[str, int] | None:
        """The next target in turn: healthy ones, or all of them when none is healthy."""
        entry = self.table["target_groups"].get(group)
        if entry is None:
            return None
        targets = self.healthy.get(group) or entry["targets"]
        if not targets:
            return None
        turn = self._turns.get(group, 0)
        self._turns[group] = turn + 1
        ip, port = targets[turn % len(targets)]
        return ip, port


def forward_groups(action: Mapping[str, Any]) -> tuple[dict[str, int], Mapping[str, Any]]:
    """The target groups of a forward action with their weights, and its stickiness."""
    config = action.get("ForwardConfig") or {}
    entries = config.get("TargetGroups") or [{"TargetGroupArn": action.get("TargetGroupArn")}]
    groups = {entry["TargetGroupArn"]: int(entry.get("Weight", 1)) for entry in entries}
    return groups, config.get("TargetGroupStickinessConfig") or {}


def encode_cookie(group: str, ends: int) -> str:
    """The stickiness cookie's value: the group's ARN and the virtual second at which it ends."""
    return base64.urlsafe_b64encode(f"{ends}:{group}".encode()).decode()


def _stuck_to(cookies: str, groups: Mapping[str, int], virtual_now: float) -> str | None:
    """The group a client is stuck to, weight 0 included; None if none, foreign or over."""
    for part in cookies.split(";"):
        name, _, value = part.strip().partition("=")
        if name != COOKIE:
            continue
        try:
            ends, _, group = base64.urlsafe_b64decode(value).decode().partition(":")
            if group in groups and int(ends) > virtual_now:
                return group
        except ValueError:
            return None
    return None


def _holds(condition: Mapping[str, Any], request: Request) -> bool:
    """Whether one condition of a rule holds; any of its values may match."""
    name = condition["Field"]
    if name == "path-pattern":
        values = _values(condition, "PathPatternConfig")
        return any(_matches(value, request.path) for value in values)
    if name == "host-header":
        host = request.headers.get("host", "").partition(":")[0].lower()
        values = _values(condition, "HostHeaderConfig")
        return any(_matches(value.lower(), host) for value in values)
    if name == "http-header":
        config = condition["HttpHeaderConfig"]
        header = request.headers.get(config["HttpHeaderName"].lower())
        # AWS compares header values without regard to case.
        return header is not None and any(
            _matches(value.lower(), header.lower()) for value in config["Values"]
        )
    if name == "http-request-method":
        return request.method in condition["HttpRequestMethodConfig"]["Values"]
    if name == "query-string":
        pairs = [pair.partition("=")[::2] for pair in request.query.split("&")]
        return any(
            _matches(value["Value"], given) and ("Key" not in value or value["Key"] == key)
            for value in condition["QueryStringConfig"]["Values"]
            for key, given in pairs
        )
    raise ValueError(f"the local balancer does not know the condition {name!r}")


def _values(condition: Mapping[str, Any], config: str) -> list[str]:
    return list((condition.get(config) or {}).get("Values") or condition.get("Values") or [])


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(letter) or re.escape(letter) for letter in pattern))


def _matches(pattern: str, text: str) -> bool:
    """AWS's wildcards: `*` is any run of characters, `?` exactly one; the whole text counts."""
    if pattern == "*" or (pattern == "/*" and text[:1] == "/"):
        return True
    return _pattern(pattern).fullmatch(text) is not None
