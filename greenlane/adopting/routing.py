"""Which rule carries a service's traffic, and how it comes to name two target groups. Pure.

Greenlane moves traffic by one `ModifyRule`, so a service has one rule. Several are joined into
the first of them where that is exact: it then catches all that they caught, and they stay as they
were behind it, without ever being asked. So undoing is one write as well.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from greenlane.adopting.model import Body, Listener, Refusal, Rule
from greenlane.deployments.reaching.traffic import LiveRule, actions_with

MOST_CONDITION_VALUES = 5
"""Condition values of a rule, see "Quotas for your Application Load Balancers"."""
LOWEST_PRIORITY = 50_000

_CONFIGS = {
    "host-header": "HostHeaderConfig",
    "path-pattern": "PathPatternConfig",
    "http-header": "HttpHeaderConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "query-string": "QueryStringConfig",
    "source-ip": "SourceIpConfig",
}
EVERYTHING: tuple[Body, ...] = ({"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}},)


@dataclass(frozen=True)
class Route:
    """The rule that is to carry all of the traffic.

    `rule` is as it is now; one without a priority is a default action, before which a rule is put
    at `priority`. `conditions` are its new ones where several rules are joined; `behind` are the
    others.
    """

    rule: Rule
    priority: int | None = None
    conditions: tuple[Body, ...] | None = None
    behind: tuple[Rule, ...] = ()


def route_of(listeners: Iterable[Listener], group_arn: str) -> Route | list[Refusal]:
    """The one rule for the traffic of a target group, or why there is none.

    Args:
        listeners: those of its load balancer.
        group_arn: the target group.
    """
    using = [
        (listener, [rule for rule in listener.rules if group_arn in groups_of(rule)])
        for listener in listeners
    ]
    using = [(listener, rules) for listener, rules in using if rules]
    if not using:
        return [
            Refusal(
                field="listeners",
                value="no rule forwards to the service's target group",
                way_out="forward its traffic to it first",
            )
        ]
    if len(using) > 1:
        ports = ", ".join(f"{one.protocol} {one.port}" for one, _ in using)
        return [
            Refusal(
                field="listeners",
                value=f"several listeners forward to the service: {ports}",
                way_out="let one of them carry its traffic and the others redirect to it; "
                "Greenlane moves traffic by one rule",
            )
        ]
    ((listener, rules),) = using
    problems = [_shared(rule) for rule in rules if set(groups_of(rule)) != {group_arn}]
    if problems:
        return problems
    if len(rules) == 1:
        return _alone(listener, rules[0])
    return _joined(listener, rules)


def groups_of(rule: Rule) -> list[str]:
    """The target groups that a rule forwards to, whatever their weights."""
    found = [arn for arn in LiveRule(arn=rule.arn, actions=list(rule.actions)).weights]
    single = [one["TargetGroupArn"] for one in rule.actions if one.get("TargetGroupArn")]
    return list(dict.fromkeys([*found, *single]))


def weighted(rule: Rule, blue: str, green: str) -> tuple[Body, ...]:
    """The rule's complete actions with both groups, all of the traffic on blue."""
    live = LiveRule(arn=rule.arn, actions=list(rule.actions))
    return tuple(actions_with(live, {blue: 100, green: 0}, keep_stickiness=True))


def as_written(actions: Iterable[Body]) -> list[Body]:
    """Actions as `ModifyRule` takes them: a client secret, which AWS never tells, stays in use."""
    written = []
    for action in actions:
        oidc = action.get("AuthenticateOidcConfig")
        if oidc is not None:
            kept = {key: value for key, value in oidc.items() if key != "ClientSecret"}
            action = action | {"AuthenticateOidcConfig": kept | {"UseExistingClientSecret": True}}
        written.append(action)
    return written


def forwarding_as(actions: Iterable[Body], before: Iterable[Body]) -> list[Body]:
    """The actions as they are now, forwarding as before: what else they do may have changed."""
    (forward,) = (action for action in before if action["Type"] == "forward")
    return [
        forward | {key: action[key] for key in ("Order",) if key in action}
        if action["Type"] == "forward"
        else action
        for action in actions
    ]


def as_asked(conditions: Iterable[Body]) -> tuple[Body, ...]:
    """Conditions in the form that may be written; AWS describes each of them twice."""
    return tuple(_normal(condition) for condition in conditions)


def _shared(rule: Rule) -> Refusal:
    return Refusal(
        field=f"rule {_called(rule)}",
        value="it forwards to other target groups too",
        way_out="let it forward to the service's target group alone; two versions of one service "
        "are what Greenlane makes of it",
    )


def _alone(listener: Listener, rule: Rule) -> Route | list[Refusal]:
    if rule.priority is not None:
        return Route(rule)
    if any(action["Type"] == "authenticate-oidc" for action in rule.actions):
        return [
            Refusal(
                field=f"default action of {listener.protocol} {listener.port}",
                value="it authenticates by OIDC, and AWS tells nobody its client secret",
                way_out="create a rule with the path /* and the same actions, then adopt again",
            )
        ]
    last = max((one.priority for one in listener.rules if one.priority is not None), default=0)
    if last >= LOWEST_PRIORITY:
        return [
            Refusal(
                field=f"listener {listener.protocol} {listener.port}",
                value=f"a rule has the lowest priority there is, {LOWEST_PRIORITY}",
                way_out="give it a higher one, so that there is room behind it",
            )
        ]
    return Route(rule, priority=LOWEST_PRIORITY)


def _joined(listener: Listener, rules: list[Rule]) -> Route | list[Refusal]:
    first, last = (listener.rules.index(rule) for rule in (rules[0], rules[-1]))
    between = [rule for rule in listener.rules[first : last + 1] if rule not in rules]
    names = ", ".join(_called(rule) for rule in rules)
    where = f"rules {names}"
    if between:
        return [
            Refusal(
                field=where,
                value=f"rule {_called(between[0])} of somebody else's is among them",
                way_out="move it before or behind them, so that they can be joined into one",
            )
        ]
    if any(_beside_target(rule) != _beside_target(rules[0]) for rule in rules):
        return [
            Refusal(
                field=where,
                value="they authenticate, or pin clients, in different ways",
                way_out="make their actions equal, so that they can be joined into one",
            )
        ]
    conditions = _all_of([as_asked(rule.conditions) for rule in rules])
    if conditions is None:
        return [
            Refusal(
                field=where,
                value="no one rule catches exactly what they catch together",
                way_out="they may differ in the values of one condition, with "
                f"{MOST_CONDITION_VALUES} values in all; write them as one such rule",
            )
        ]
    return Route(rules[0], conditions=conditions or EVERYTHING, behind=tuple(rules[1:]))


def _beside_target(rule: Rule) -> list[Any]:
    """What a rule does besides forwarding to the service."""
    kept: list[Any] = [one for one in rule.actions if one["Type"] != "forward"]
    stickiness = LiveRule(arn=rule.arn, actions=list(rule.actions)).stickiness
    return [*kept, stickiness, *rule.transforms]


def _all_of(rules: list[tuple[Body, ...]]) -> tuple[Body, ...] | None:
    """Conditions that hold exactly where those of any of the rules do; () is always, None nothing.

    One rule with fewer conditions holds wherever one with more of the same does; two that differ
    in the values of one condition are one with the values of both.
    """
    joined = rules[0]
    for more in rules[1:]:
        one = {_key(condition): condition for condition in joined}
        two = {_key(condition): condition for condition in more}
        if all(key in two and _same(one[key], two[key]) for key in one):
            continue
        if all(key in one and _same(one[key], two[key]) for key in two):
            joined = more
            continue
        differing = [key for key in one if key not in two or not _same(one[key], two[key])]
        if one.keys() != two.keys() or len(differing) != 1:
            return None
        if one[differing[0]]["Field"] not in _CONFIGS:
            return None
        one[differing[0]] = _with_values_of(one[differing[0]], two[differing[0]])
        joined = tuple(one.values())
    values = sum(len(_values(condition)) for condition in joined)
    return joined if values <= MOST_CONDITION_VALUES else None


def _key(condition: Body) -> str:
    """What a condition looks at: its field, and all but the values, such as a header's name."""
    config = condition.get(_CONFIGS.get(condition["Field"], ""), condition)
    return repr({"Field": condition["Field"]} | {k: v for k, v in config.items() if k != "Values"})


def _values(condition: Body) -> list[Any]:
    config = condition.get(_CONFIGS.get(condition["Field"], ""), condition)
    return list(config.get("Values", ()))


def _same(one: Body, two: Body) -> bool:
    return sorted(map(repr, _values(one))) == sorted(map(repr, _values(two)))


def _with_values_of(one: Body, two: Body) -> Body:
    name = _CONFIGS[one["Field"]]
    values = [*_values(one), *(value for value in _values(two) if value not in _values(one))]
    return one | {name: one[name] | {"Values": values}}


def _normal(condition: Body) -> Body:
    name = _CONFIGS.get(condition["Field"])
    if name is None:
        return condition
    config = condition.get(name) or {"Values": list(condition.get("Values", ()))}
    return {"Field": condition["Field"], name: config}


def _called(rule: Rule) -> str:
    return "default" if rule.priority is None else str(rule.priority)
