"""The doctor's checks. Each is pure: facts in, findings out; `CHECKS` has them all by name."""

from collections.abc import Callable, Iterator, Mapping

from greenlane.deployments.model import Slot
from greenlane.doctor.facts import Facts, Finding, Part, Severity

Check = Callable[[Facts], Iterator[Finding]]

SLOTS: tuple[Slot, ...] = ("blue", "green")

_EQUAL = ("launchType", "capacityProviderStrategy", "platformVersion", "networkConfiguration")
_EQUAL_ATTRIBUTES = (
    "deregistration_delay.timeout_seconds",
    "slow_start.duration_seconds",
    "load_balancing.algorithm.type",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
)
_RULE, _SERVICE = "AWS::ElasticLoadBalancingV2::ListenerRule", "AWS::ECS::Service"


def alarms_exist(facts: Facts) -> Iterator[Finding]:
    """An alarm that does not exist never starts the way back."""
    for alarm in facts.alarms:
        if alarm.state == "MISSING":
            yield Finding(
                check="alarms-exist",
                severity="error",
                subject=alarm.name,
                what="there is no such alarm, so nothing would start the way back",
                way_out="create it, or take it out of the workload's alarms",
            )


def alarms_quiet(facts: Facts) -> Iterator[Finding]:
    """An alarm that is red already sends no event when a deployment makes things worse."""
    for alarm in facts.alarms:
        if alarm.state == "ALARM":
            yield Finding(
                check="alarms-quiet",
                severity="error",
                subject=alarm.name,
                what="it is red already; only a change of state is an event",
                way_out="find out why, or deploy the cure with --despite-alarms REASON",
            )


def alarms_without_data(facts: Facts) -> Iterator[Finding]:
    """The balancer's metrics exist only while requests flow, so what a gap means must be said."""
    severities: Mapping[str, tuple[Severity, str]] = {
        "breaching": ("error", "turns red while a slot has no traffic, so no deployment can begin"),
        "ignore": ("warning", "keeps its last state in a gap: red stays red without traffic"),
        "missing": ("warning", "has no state until there is traffic, and none in a gap"),
    }
    for alarm in facts.alarms:
        if alarm.composite or alarm.state == "MISSING" or alarm.treat_missing not in severities:
            continue
        severity, effect = severities[alarm.treat_missing]
        yield Finding(
            check="alarms-without-data",
            severity=severity,
            subject=alarm.name,
            what=f"it treats missing data as {alarm.treat_missing}: it {effect}",
            way_out="set TreatMissingData to notBreaching",
        )


def stickiness(facts: Facts) -> Iterator[Finding]:
    """Clients that are pinned do not follow weights."""
    for slot, group in facts.groups.items():
        if group.attributes.get("stickiness.enabled") == "true":
            yield Finding(
                check="stickiness",
                severity="error",
                subject=f"target group of {slot}",
                what="it pins clients to targets, so its weights would not move them",
                way_out="set stickiness.enabled to false; the rule's own may stay on",
            )
    if facts.stickiness is not None:
        seconds = facts.stickiness.get("DurationSeconds", 0)
        yield Finding(
            check="stickiness",
            severity="note",
            subject="listener rule",
            what=f"it pins clients to a slot for {seconds} s: a step of 10 percent moves only new "
            "clients, and is judged on them alone",
            way_out="bake at least as long as clients stay, or switch it off",
        )


def weights(facts: Facts) -> Iterator[Finding]:
    """A deployment begins with all traffic on one slot."""
    known = {facts.workload.slots[slot].target_group_arn for slot in SLOTS}
    strange = set(facts.weights) - known
    missing = known - set(facts.weights)
    if strange or missing:
        yield Finding(
            check="weights",
            severity="error",
            subject="listener rule",
            what="it must forward to exactly the two slots' target groups; "
            + "; ".join(
                f"{word} {', '.join(sorted(arns))}"
                for word, arns in (("also has", strange), ("lacks", missing))
                if arns
            ),
            way_out="put both target groups in the rule, with weights 100 and 0",
        )
    elif sorted(facts.weights.values())[0] != 0:
        yield Finding(
            check="weights",
            severity="error",
            subject="listener rule",
            what=f"its weights are {sorted(facts.weights.values())}: traffic is split",
            way_out="`greenlane rollback` puts all of it on one slot if Greenlane split it",
        )


def drain_before_the_next_step(facts: Facts) -> Iterator[Finding]:
    """Connections live on until the deregistration delay ends, across a bake that is shorter."""
    for slot, group in facts.groups.items():
        delay = int(group.attributes.get("deregistration_delay.timeout_seconds", "300"))
        if delay > facts.shortest_bake_seconds > 0:
            yield Finding(
                check="deregistration-delay",
                severity="warning",
                subject=f"target group of {slot}",
                what=f"its deregistration delay of {delay} s is longer than the shortest bake, "
                f"{facts.shortest_bake_seconds} s: old connections outlive the step",
                way_out="lower deregistration_delay.timeout_seconds, or bake longer",
            )


def health_check_grace(facts: Facts) -> Iterator[Finding]:
    """ECS stops a task that the balancer calls unhealthy once its grace period is over."""
    for slot, service in facts.services.items():
        if slot not in facts.groups:  # not read: nothing is known of its health check
            continue
        check = facts.groups[slot].health_check
        interval = int(check.get("HealthCheckIntervalSeconds", 30))
        needed = interval * int(check.get("HealthyThresholdCount", 5))
        grace = int(service.get("healthCheckGracePeriodSeconds") or 0)
        if grace < needed:
            yield Finding(
                check="health-check-grace",
                severity="warning",
                subject=service.get("serviceName", slot),
                what=f"its grace period is {grace} s, but a task needs {needed} s of health checks "
                f"({interval} s each) to count as healthy: a slow start is stopped",
                way_out=f"set healthCheckGracePeriodSeconds to {needed} plus the time it starts in",
            )


def circuit_breaker(facts: Facts) -> Iterator[Finding]:
    """A breaker that goes back by itself puts the old image on the slot and calls it stable."""
    for slot, service in facts.services.items():
        breaker = service.get("deploymentConfiguration", {}).get("deploymentCircuitBreaker", {})
        if breaker.get("rollback"):
            yield Finding(
                check="circuit-breaker",
                severity="error",
                subject=service.get("serviceName", slot),
                what="ECS's own circuit breaker goes back to the old image by itself, and reports "
                "the service as stable",
                way_out="set deploymentCircuitBreaker.rollback to false; Greenlane goes back",
            )


def dead_letters(facts: Facts) -> Iterator[Finding]:
    """An event that cannot be delivered is dropped without a trace."""
    for one in facts.subscriptions:
        if not one.dead_letter_queue:
            yield Finding(
                check="dead-letter-queue",
                severity="error",
                subject=one.rule,
                what=f"its target {one.target} has no dead-letter queue: an event that it cannot "
                "deliver is lost, and nobody knows",
                way_out="deploy Greenlane's stack again, or give the target a dead-letter queue",
            )
    if not facts.subscriptions and "dead-letter queues" not in facts.unread:
        yield Finding(
            check="dead-letter-queue",
            severity="error",
            subject=f"greenlane-alarm-{facts.workload.service}",
            what="no event rule starts the way back when an alarm of this service turns red",
            way_out="name the service in `services` of cdk.json and deploy Greenlane's stack",
        )


def infrastructure_code(facts: Facts) -> Iterator[Finding]:
    """What a template owns, its next update resets: weights, desired counts."""
    for subject, owner in facts.owners.items():
        if owner.type == _RULE:
            yield Finding(
                check="infrastructure-code",
                severity="error",
                subject=subject,
                what=f"the stack {owner.stack} owns the rule ({owner.logical_id}): an update of "
                "it sets the weights back to the template's",
                way_out="let a custom resource create the rule once, as Greenlane's sample does",
            )
        if owner.type == _SERVICE and "DesiredCount" in owner.properties:
            yield Finding(
                check="infrastructure-code",
                severity="error",
                subject=subject,
                what=f"the stack {owner.stack} sets DesiredCount ({owner.logical_id}): an update "
                "of the service empties or fills a slot",
                way_out="leave DesiredCount out of the template",
            )


def permissions(facts: Facts) -> Iterator[Finding]:
    """What Greenlane's roles need on this service, and may not do."""
    for denied in facts.denied:
        yield Finding(
            check="permissions",
            severity="error",
            subject=denied.role,
            what=f"it may not {denied.action} on {denied.resource}",
            way_out="name the service's resources in `services` of cdk.json and deploy the stack; "
            "look at permission boundaries and service control policies too",
        )


def image_scan(facts: Facts) -> Iterator[Finding]:
    """A vulnerability scan that never runs can never pass."""
    if facts.scan_on_push is False:
        yield Finding(
            check="image-scan",
            severity="warning",
            subject=facts.config.repository or facts.workload.repository,
            what="images are not scanned when they are pushed",
            way_out="switch scan on push, or enhanced scanning of the registry, on; a gate "
            "`vulnerability_scan` holds without a scan",
        )


def equal_slots(facts: Facts) -> Iterator[Finding]:
    """Two slots that differ in more than the version are no comparison, and no way back."""
    if set(facts.services) == set(SLOTS):
        for key in _EQUAL:
            values = [facts.services[slot].get(key) for slot in SLOTS]
            if values[0] != values[1]:
                yield _unequal(f"the services' {key} differ: {values[0]} and {values[1]}")
    if set(facts.groups) == set(SLOTS):
        one, two = (facts.groups[slot] for slot in SLOTS)
        for key in _EQUAL_ATTRIBUTES:
            if one.attributes.get(key) != two.attributes.get(key):
                yield _unequal(
                    f"the target groups' {key} differ: {one.attributes.get(key)} and "
                    f"{two.attributes.get(key)}"
                )
        changed = sorted(
            key
            for key in {*one.health_check, *two.health_check}
            if one.health_check.get(key) != two.health_check.get(key)
        )
        if changed:
            yield _unequal(f"the target groups' health checks differ in {', '.join(changed)}")


def _unequal(what: str) -> Finding:
    return Finding(
        check="equal-slots",
        severity="warning",
        subject="blue and green",
        what=what,
        way_out="make them equal: only the version should differ",
    )


CHECKS: Mapping[str, Check] = {
    "alarms-exist": alarms_exist,
    "alarms-quiet": alarms_quiet,
    "alarms-without-data": alarms_without_data,
    "weights": weights,
    "stickiness": stickiness,
    "deregistration-delay": drain_before_the_next_step,
    "health-check-grace": health_check_grace,
    "circuit-breaker": circuit_breaker,
    "equal-slots": equal_slots,
    "infrastructure-code": infrastructure_code,
    "dead-letter-queue": dead_letters,
    "permissions": permissions,
    "image-scan": image_scan,
}

NEEDS: Mapping[Part, tuple[str, ...]] = {
    "alarms": ("alarms-exist", "alarms-quiet", "alarms-without-data"),
    "dead-letter queues": ("dead-letter-queue",),
    "permissions": ("permissions",),
    "repository": ("image-scan",),
    "rule": ("weights", "stickiness"),
    "services": ("health-check-grace", "circuit-breaker", "equal-slots"),
    "stacks": ("infrastructure-code",),
    "target groups": (
        "stickiness",
        "deregistration-delay",
        "health-check-grace",
        "equal-slots",
    ),
}
"""The checks that need each part: without it they have looked at nothing, or not at all of it."""

_ORDER: Mapping[Severity, int] = {"error": 0, "warning": 1, "note": 2}


def examine(facts: Facts) -> list[Finding]:
    """Everything that is to be said, errors first; what could not be read is a note."""
    found = [finding for check in CHECKS.values() for finding in check(facts)]
    found += [
        Finding(
            check="not-read",
            severity="note",
            subject=part,
            what=f"{why}; not looked at by {', '.join(NEEDS[part])}",
        )
        for part, why in facts.unread.items()
    ]
    return sorted(found, key=lambda finding: _ORDER[finding.severity])
