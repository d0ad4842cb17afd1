"""What a person should do next, by rules on how a deployment ended and why. Pure; no I/O."""

import shlex

from greenlane.deployments.model import Plan
from greenlane.incidents.report_changes import changed_paths
from greenlane.incidents.report_model import (
    Cause,
    Changes,
    Logs,
    NextStep,
    ReportOutcome,
    StoppedTasks,
)
from greenlane.incidents.report_timeline import Milestones
from greenlane.incidents.wording import plural

_BY_ALARM: tuple[tuple[str, str], ...] = (
    ("unanswered", "Look for what hangs: requests got no answer at all, so the version's own logs "
     "may say nothing about them. Check its time-outs, its pools and what it waits for."),
    ("error-rate", "Look for errors in the new version's logs."),
    ("p95", "Profile the slow requests: nothing failed, but answers took too long. Compare the "
     "new version's calls to databases and other services with the old one's."),
    ("p99", "Profile the slowest requests: few are slow, but very. Look for cold caches, locks "
     "and large answers."),
    ("unhealthy-hosts", "Look at why tasks failed their health check: memory, start-up time, or "
     "a dependency of the health check itself."),
    ("connection-errors", "Look at why tasks refused connections: crashes, restarts, a wrong "
     "port, or a full backlog."),
)  # fmt: skip

_BY_CHECK = {
    "error_rate": _BY_ALARM[1][1],
    "response_time_p95": _BY_ALARM[2][1],
    "connection_errors": _BY_ALARM[5][1],
    "healthy_targets": _BY_ALARM[4][1],
}

_BY_FAILURE = {
    "UnstableCandidate": "Look at why the tasks did not start or stay healthy: the stopped "
    "reasons of the tasks, the image, its health check, its memory.",
    "ValidationFailed": "Run the failed test against the new version by hand; it never had "
    "traffic.",
    "NoEvidence": "Nothing says that the new version is bad: it had too few requests, or the "
    "metrics were missing. Deploy again at a busier time, with longer bakes or larger steps, or "
    "lower judge.min_requests.",
    "DeadlineExceeded": "Give it more time with deployment.max_duration, or approve and resume "
    "sooner.",
    "ApprovalMissing": "Nothing says that the new version is bad: deploy again when somebody can "
    "approve it.",
    "CapacityShort": "Look at why tasks of a slot were not healthy, and whether the service's "
    "limits of auto scaling are large enough.",
    "WeightsDrifted": "Find out who changed the listener rule while a deployment ran; nothing "
    "says that the new version is bad.",
    "Aborted": "A person ended it; ask them before it is deployed again.",
}


def next_steps(
    plan: Plan,
    outcome: ReportOutcome,
    times: Milestones,
    cause: Cause | None,
    changes: Changes,
    logs: Logs | None,
    stopped: tuple[StoppedTasks, ...] = (),
) -> tuple[NextStep, ...]:
    """The most urgent first."""
    service = shlex.quote(plan.service)
    if outcome == "held":
        return _held(service, cause, times)
    if outcome == "rolled_back":
        seen = [*_by_stopped_tasks(stopped), *_by_messages(logs)]
        return _rolled_back(service, plan, times, cause, changes, seen)
    if outcome == "under_way":
        return (NextStep(text="Follow it to its end.", command=f"greenlane get {service} --watch"),)
    if outcome == "refused":
        return (NextStep(text="Nothing was changed. Mend what the reason says, then deploy."),)
    return (
        NextStep(
            text="Nothing has to be done. Going back stays possible until the next deployment "
            "begins.",
            command=f"greenlane rollback {service} --reason WHY --watch",
        ),
    )


def _held(service: str, cause: Cause | None, times: Milestones) -> tuple[NextStep, ...]:
    steps = [
        NextStep(
            text="Look where the traffic is and which slot is healthy, now.",
            command=f"greenlane get {service}",
        ),
        NextStep(
            text="When the old version's slot is healthy again, finish the way back.",
            command=f"greenlane rollback {service} --reason 'held, the old slot is healthy again' "
            "--watch",
        ),
        NextStep(
            text="When neither slot recovers, deploy the cure; red alarms are then no reason to "
            "refuse it.",
            command=f"greenlane deploy {service} --version VERSION --despite-alarms 'the cure'",
        ),
    ]
    if times.trigger is None or cause is None:
        return tuple(steps)
    return (*steps, *_by_cause(cause))


def _rolled_back(
    service: str,
    plan: Plan,
    times: Milestones,
    cause: Cause | None,
    changes: Changes,
    seen: list[NextStep],
) -> tuple[NextStep, ...]:
    where = f"All traffic is on the old version in {plan.live}"
    steps = [NextStep(text=f"{where}: nothing is urgent. Do not deploy the same image again.")]
    steps += seen
    for step in _by_cause(cause) if cause is not None else []:
        # What it says to look for was found already.
        if not (seen and step.text in (_BY_CHECK["error_rate"], _BY_FAILURE["UnstableCandidate"])):
            steps.append(step)
    steps += _by_changes(changes)
    if times.traffic_from is not None and plan.strategy in ("all_at_once", "blue_green"):
        steps.append(
            NextStep(
                text="Deploy the mended version in smaller steps, so that fewer requests meet a "
                "version that turns out bad.",
                command=f"greenlane deploy {service} --version VERSION --strategy canary --watch",
            )
        )
    else:
        steps.append(
            NextStep(
                text="Deploy the mended version.",
                command=f"greenlane deploy {service} --version VERSION --watch",
            )
        )
    return tuple(steps)


def _by_stopped_tasks(stopped: tuple[StoppedTasks, ...]) -> list[NextStep]:
    if not stopped:
        return []
    text = f"Begin with why tasks of the new version stopped by themselves: {stopped[0].reason}"
    return [NextStep(text=text)]


def _by_messages(logs: Logs | None) -> list[NextStep]:
    if logs is None or not logs.new:
        return []
    found = plural(len(logs.new) + logs.more, "kind")
    return [
        NextStep(
            text=f"Look at the error messages that only the new version wrote ({found}, listed "
            f"below), the most frequent first: {logs.new[0].text}"
        )
    ]


def _by_cause(cause: Cause) -> list[NextStep]:
    if cause.kind in ("alarm", "reconciler"):
        for ending, text in _BY_ALARM:
            if cause.name.endswith(ending):
                return [NextStep(text=text)]
        return [NextStep(text=f"Look at what {cause.name or 'the trigger'} watches, and why.")]
    if cause.name == "JudgedBad" and cause.metric in _BY_CHECK:
        return [NextStep(text=_BY_CHECK[cause.metric])]
    if cause.name in _BY_FAILURE:
        return [NextStep(text=_BY_FAILURE[cause.name])]
    if cause.kind == "person":
        return [NextStep(text=f"Ask {cause.name or 'who did it'} what was wrong: {cause.reason}")]
    if cause.kind == "ecs":
        return [NextStep(text=_BY_FAILURE["UnstableCandidate"])]
    if cause.kind == "alertmanager":
        return [NextStep(text=f"Look at what {cause.name} watches.")]
    if cause.kind == "execution":
        return [NextStep(text="Find out why the deployment's execution ended: a person who "
                         "stopped it, or an error in its history in Step Functions.")]  # fmt: skip
    return []


def _by_changes(changes: Changes) -> list[NextStep]:
    """Configuration is changed with the image, and is as often the cause."""
    found = []
    names = {
        part: changed_paths(changes.task_definition, part) for part in ("environment", "secrets")
    }
    if any(names.values()):
        listed = ", ".join([*names["environment"], *names["secrets"]][:8])
        found.append(NextStep(text=f"Compare the variables that changed with the image: {listed}."))
    if changes.config:
        found.append(
            NextStep(
                text="The service's configuration changed too "
                f"({plural(len(changes.config), 'field')}): make sure that it is not the cause."
            )
        )
    return found
