"""Turns moto's load balancers into the routing table that the balancer process obeys."""

from typing import Any

from moto.elbv2.models import ELBv2Backend, FakeListener, FakeTargetGroup

from greenlane.local.balancer_routing import forward_groups

DEFAULT_IDLE_TIMEOUT_SECONDS = 60


def routing_table(backend: ELBv2Backend) -> dict[str, Any]:
    """All listeners with their rules in order, and all target groups, as JSON."""
    listeners = {}
    idle = DEFAULT_IDLE_TIMEOUT_SECONDS
    users: dict[str, list[str]] = {}
    for balancer in list(backend.load_balancers.values()):
        idle = int(balancer.attrs.get("idle_timeout.timeout_seconds") or idle)
        for listener in list(balancer.listeners.values()):
            rules = _rules(listener)
            listeners[listener.arn] = {
                "load_balancer": balancer.arn,
                "port": int(listener.port),
                "rules": rules,
            }
            for arn in _groups_of(rules):
                if balancer.arn not in users.setdefault(arn, []):
                    users[arn].append(balancer.arn)
    groups = {
        group.arn: _group(group, users.get(group.arn, []))
        for group in list(backend.target_groups.values())
    }
    return {"listeners": listeners, "target_groups": groups, "idle_timeout_seconds": idle}


def is_used(backend: ELBv2Backend, group_arn: str) -> bool:
    """Whether a rule or a default action forwards to a target group; asked many times a second."""
    for balancer in list(backend.load_balancers.values()):
        for listener in list(balancer.listeners.values()):
            rules = [rule.actions for rule in list(listener._non_default_rules.values())]
            for actions in (*rules, listener.default_actions):
                last = _actions([action.data for action in actions])[-1]
                if last["Type"] == "forward" and group_arn in forward_groups(last)[0]:
                    return True
    return False


def percentages(table: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The weights of every forwarding rule in percent, by rule ARN and target group name."""
    shares: dict[str, dict[str, float]] = {}
    for listener in table["listeners"].values():
        for rule in listener["rules"]:
            if rule["Actions"][-1]["Type"] == "forward":
                groups, _ = forward_groups(rule["Actions"][-1])
                total = sum(groups.values()) or 1
                shares[rule["RuleArn"]] = {
                    table["target_groups"][arn]["name"]: 100 * weight / total
                    for arn, weight in groups.items()
                    if arn in table["target_groups"]
                }
    return shares


def _rules(listener: FakeListener) -> list[dict[str, Any]]:
    """A listener's rules by priority, the default rule last."""
    ordinary = sorted(listener._non_default_rules.values(), key=lambda rule: int(rule.priority))
    rules = [
        {
            "RuleArn": rule.arn,
            "Conditions": rule.conditions,
            "Actions": _actions([action.data for action in rule.actions]),
        }
        for rule in ordinary
    ]
    default = [action.data for action in listener.default_actions]
    return [*rules, {"RuleArn": listener.arn, "Conditions": [], "Actions": _actions(default)}]


def _actions(actions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(actions, key=lambda action: int(action.get("Order") or 1))


def _groups_of(rules: list[dict[str, Any]]) -> set[str]:
    return {
        arn
        for rule in rules
        if rule["Actions"][-1]["Type"] == "forward"
        for arn in forward_groups(rule["Actions"][-1])[0]
    }


def _group(group: FakeTargetGroup, balancers: list[str]) -> dict[str, Any]:
    return {
        "name": group.name,
        "load_balancers": balancers,
        "in_use": bool(balancers),
        "targets": [[target["Id"], int(target["Port"])] for target in list(group.targets.values())],
        "deregistration_delay_seconds": float(
            str(group.attributes["deregistration_delay.timeout_seconds"])
        ),
        "health": {
            "path": group.health_check_path or "/",
            "port": group.health_check_port or "traffic-port",
            "interval_seconds": float(group.health_check_interval_seconds),
            "timeout_seconds": float(group.health_check_timeout_seconds),
            "healthy": int(group.healthy_threshold_count),
            "unhealthy": int(group.unhealthy_threshold_count),
            "matcher": str((group.matcher or {}).get("HttpCode") or "200"),
        },
    }
