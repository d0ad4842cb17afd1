"""Evidence as it may be found: one canary that an alarm took back, and what differs in others.

`python -m tests.unit.incidents.cases` writes the golden files of all cases anew.
"""

import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from greenlane.deployments.model import Judgement, Verdict
from greenlane.deployments.phases import Phase
from greenlane.incidents.report_compose import compose
from greenlane.incidents.report_model import AlarmFacts, Evidence, Gap, LogsRead
from greenlane.incidents.report_store import RENDERERS
from tests.builders import NEW_IMAGE, NOW, SERVICE, plan, record
from tests.unit.incidents.pieces import (
    ALARM,
    BEFORE_ID,
    FAMILY,
    ID,
    alarm_trigger,
    at,
    beginning,
    checks,
    event,
    first_steps,
    judged,
    log_lines,
    minutes,
    new_definition,
    old_definition,
    planned,
    rolled_back,
    shift,
    traffic_of,
)

GOLDEN = Path("tests/data/incidents")


def by_alarm(**changes: Any) -> Evidence:
    """A canary at fifty percent, taken back by the alarm on its errors."""
    deployment, trigger = planned(), alarm_trigger()
    end = at(12, 14.1)
    values: dict[str, Any] = {
        "as_of": end + timedelta(seconds=4),
        "plan": deployment,
        "record": record(
            deployment_id=ID,
            epoch=2,
            phase=Phase.ROLLED_BACK,
            trigger=trigger,
            task_definition=f"{FAMILY}:12",
            updated_at=end,
            reason=f"alarm {ALARM}: {trigger['reason']}",
        ),
        "history": (*first_steps(), *rolled_back(trigger)),
        "previous": plan(
            deployment_id=BEFORE_ID,
            config_version=6,
            request={"service": SERVICE, "version": "1.4.1", "requested_by": "jo"},
        ),
        "definition_before": old_definition(),
        "definition_after": new_definition(),
        "version_before": "1.4.1",
        "percent": {"blue": 100, "green": 0},
        "alarm": AlarmFacts(
            name=ALARM,
            metric="green error rate (percent)",
            threshold=5.0,
            comparison="above",
            periods=1,
            period_seconds=60,
        ),
        "window_start": at(-30),
        "window_end": at(12),
        "traffic": traffic_of(12),
        "logs": log_lines(),
    }
    return Evidence.model_validate(values | changes)


def by_judge() -> Evidence:
    """The judge's look inside a bake found too many errors; the alarm saw nothing."""
    verdict = Verdict(
        verdict="fail",
        checks=checks("0.0250", verdict="fail"),
        requests=1240,
        reason="error_rate: 31 of 1240 requests failed, limit 0.02",
    )
    trigger = {
        "kind": "failure",
        "name": "JudgedBad",
        "reason": "error_rate: 31 of 1240 requests failed, limit 0.02",
    }
    return by_alarm(
        record=record(
            deployment_id=ID,
            epoch=2,
            phase=Phase.ROLLED_BACK,
            trigger=trigger,
            task_definition=f"{FAMILY}:12",
            reason="failure JudgedBad",
        ),
        history=(*first_steps(), *rolled_back(trigger)),
        look=Judgement(at=at(10, 1), step=1, verdict=verdict),
        alarm=None,
    )


def abandoned() -> Evidence:
    """The tasks never became healthy: no traffic, no harm, no metrics of the new version."""
    trigger = {
        "kind": "failure",
        "name": "UnstableCandidate",
        "reason": "ECS gave up starting tasks of claude-manager:12",
    }
    ended = at(9, 30)
    history = [
        *beginning()[:2],
        event(
            at(8, 20),
            "rollback began",
            "take_traffic_back",
            action="abandon",
            trigger=trigger,
            epoch=2,
        ),
        event(at(9, 29), "bad slot scaled down", "empty_slot", slot="green", good="blue"),
        event(
            ended,
            "rolled back",
            "close_rollback",
            reason="failure",
            seconds={"fence": 0.03, "settle": 68.2, "drain": 0.1, "scale down": 0.5, "close": 0.3},
        ),
    ]
    return by_alarm(
        as_of=ended + timedelta(seconds=3),
        record=record(
            deployment_id=ID,
            epoch=2,
            phase=Phase.ROLLED_BACK,
            trigger=trigger,
            task_definition=f"{FAMILY}:12",
        ),
        history=history,
        alarm=None,
        window_end=at(9),
        traffic={"blue": traffic_of(9, back=0)["blue"], "green": ()},
        logs=None,
        stopped=("Essential container in task exited; web: exit code 1",) * 3,
        gaps=(Gap(what="log messages", why="the container's log driver is splunk, not awslogs"),),
    )


def held() -> Evidence:
    """The old slot was sick when the alarm rang: traffic stayed where it was."""
    trigger = alarm_trigger()
    ended = at(10, 6)
    reason = "the good slot blue has targets, and none is healthy"
    history = [
        *first_steps(),
        event(
            at(10, 4),
            "rollback began",
            "take_traffic_back",
            action="held",
            trigger=trigger,
            epoch=2,
        ),
        event(ended, "held", "close_rollback", reason=reason, seconds={"notice": 1.0}),
    ]
    return by_alarm(
        as_of=ended + timedelta(seconds=5),
        record=record(
            deployment_id=ID,
            epoch=2,
            phase=Phase.HELD,
            trigger=trigger,
            task_definition=f"{FAMILY}:12",
            reason=reason,
        ),
        history=history,
        percent={"blue": 50, "green": 50},
        window_end=at(10),
        traffic=traffic_of(10),
    )


def succeeded() -> Evidence:
    """All steps passed; asked for by a person afterwards."""
    numbers = random.Random(11)
    good = [
        *first_steps(),
        judged(at(12, 20), 1, 50, Verdict(verdict="pass", checks=checks("0.0021"), requests=2480)),
        *shift(at(12, 21), 2, 50, 100),
        event(at(17, 40), "promoted", "promote", slot="green", image=NEW_IMAGE),
        event(at(48, 2), "old slot scaled down", "finish_deployment", slot="blue", tasks=1),
        event(at(48, 1), "succeeded", "finish_deployment", image=NEW_IMAGE, phase="watching"),
    ]

    def green(minute: int) -> float:
        return 0.0 if minute < 2 else 0.1 if minute < 7 else 0.5 if minute < 12 else 1.0

    return by_alarm(
        as_of=at(70),
        record=None,
        summary={
            "deployment_id": ID,
            "service": SERVICE,
            "phase": "retired",
            "strategy": "canary",
            "task_definition": f"{FAMILY}:12",
            "started_at": NOW,
            "ended_at": at(48, 1),
        },
        history=good,
        percent=None,
        alarm=None,
        window_end=at(63),
        traffic={
            "blue": minutes(
                numbers, -30, 63, lambda m: 1 - green(m), lambda m: 0.002, lambda m: 120
            ),
            "green": minutes(numbers, -30, 63, green, lambda m: 0.001, lambda m: 96),
        },
        logs=LogsRead(groups=(f"/ecs/{SERVICE}",), compared_with="what all other tasks wrote"),
    )


def nothing_readable() -> Evidence:
    """Only the table answered."""
    names = ("the old task definition", "the new task definition", "metrics", "log messages")
    return by_alarm(
        previous=None,
        definition_before=None,
        definition_after=None,
        version_before=None,
        percent=None,
        alarm=None,
        traffic=None,
        logs=None,
        gaps=tuple(Gap(what=name, why="ClientError: AccessDenied") for name in names),
    )


CASES: dict[str, Callable[[], Evidence]] = {
    "by_alarm": by_alarm,
    "by_judge": by_judge,
    "abandoned": abandoned,
    "held": held,
    "succeeded": succeeded,
    "nothing_readable": nothing_readable,
}


def write_golden() -> None:
    """Write every case in every format; look at the difference before you keep it."""
    for name, evidence in CASES.items():
        folder = GOLDEN / name
        folder.mkdir(parents=True, exist_ok=True)
        report = compose(evidence())
        for format, render in RENDERERS.items():
            (folder / f"report.{format}").write_text(render(report))


if __name__ == "__main__":
    write_golden()
