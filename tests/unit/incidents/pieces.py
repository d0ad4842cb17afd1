"""What a canary leaves behind, piece by piece: definitions, history, traffic, log lines."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from greenlane.deployments.model import CheckResult, HistoryEvent, Plan, Verdict
from greenlane.health.metrics import MinuteOfTraffic
from greenlane.incidents.report_model import LogLine, LogsRead
from tests.builders import NEW_IMAGE, NOW, OLD_IMAGE, SERVICE, plan, service_config

ID = "claude-manager-20261123-120000-a1b2"
BEFORE_ID = "claude-manager-20261120-090000-c3d4"
FAMILY = f"arn:aws:ecs:eu-west-1:123456789012:task-definition/{SERVICE}"
ALARM = f"{SERVICE}-green-error-rate"
SECRETS = ("hunter2-old", "hunter2-new", "sk_live_4242", "eyJhbGciOi.eyJzdWIi.c2ln", "s3cr3t-arg")
"""What stands in the evidence and must stand in no report."""


def at(minutes: float, seconds: float = 0) -> datetime:
    return NOW + timedelta(minutes=minutes, seconds=seconds)


def event(when: datetime, kind: str, actor: str, **detail: Any) -> HistoryEvent:
    return HistoryEvent(at=when, kind=kind, actor=actor, detail=detail)


def definition(revision: int, image: str, **container: Any) -> dict[str, Any]:
    """A task definition as `read_task_definition` gives it."""
    values: dict[str, Any] = {
        "name": SERVICE,
        "image": image,
        "environment": [
            {"name": "DATABASE_PASSWORD", "value": SECRETS[0]},
            {"name": "LOG_LEVEL", "value": "info"},
        ],
        "secrets": [
            {
                "name": "API_KEY",
                "valueFrom": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:api-AbCdEf",
            }
        ],
        "portMappings": [{"containerPort": 8000, "protocol": "tcp"}],
        "command": ["serve", "--workers", "4"],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {"awslogs-group": f"/ecs/{SERVICE}", "awslogs-region": "eu-west-1"},
        },
    }
    return {
        "taskDefinitionArn": f"{FAMILY}:{revision}",
        "family": SERVICE,
        "revision": revision,
        "registeredAt": NOW,
        "cpu": "256",
        "memory": "512",
        "tags": [],
        "containerDefinitions": [values | container],
    }


def old_definition() -> dict[str, Any]:
    return definition(11, OLD_IMAGE)


def new_definition() -> dict[str, Any]:
    return definition(
        12,
        NEW_IMAGE,
        environment=[
            {"name": "DATABASE_PASSWORD", "value": SECRETS[1]},
            {"name": "LOG_LEVEL", "value": "info"},
            {"name": "STRIPE_KEY", "value": SECRETS[2]},
        ],
        command=["serve", "--workers", "8", "--token", SECRETS[4]],
        memory=1024,
    )


def planned(**changes: Any) -> Plan:
    config = service_config(
        deployment={"strategy": "canary", "steps": [10, 50, 100]}, judge={"error_rate": "0.02"}
    )
    values: dict[str, Any] = {
        "deployment_id": ID,
        "request": {"service": SERVICE, "version": "1.4.2", "requested_by": "ada"},
        "config": config,
        "config_version": 7,
        "image": NEW_IMAGE,
        "live_task_definition": f"{FAMILY}:11",
    }
    return plan(**(values | changes))


def checks(rate: str, *, verdict: str = "pass", p95: str = "118.0") -> tuple[CheckResult, ...]:
    failed = verdict == "fail"
    reason = "31 of 1240 requests failed, limit 0.02" if failed else ""
    return (
        CheckResult(name="requests", verdict="pass", value=Decimal(1240), limit=Decimal(20)),
        CheckResult(
            name="error_rate",
            verdict="fail" if failed else "pass",
            value=Decimal(rate),
            limit=Decimal("0.02"),
            reason=reason,
        ),
        CheckResult(
            name="response_time_p95", verdict="pass", value=Decimal(p95), limit=Decimal(2000)
        ),
    )


def judged(when: datetime, step: int, weight: int, verdict: Verdict) -> HistoryEvent:
    detail = {"step": step, "weight": weight} | verdict.model_dump(mode="json")
    return event(when, "judged", "judge_step", **detail)


def beginning() -> list[HistoryEvent]:
    """Until the first share of the traffic."""
    return [
        event(
            at(0, 2.1),
            "planned",
            "plan_deployment",
            strategy="canary",
            image=NEW_IMAGE,
            live="blue",
            candidate="green",
            capacity=2,
            steps=[10, 50, 100],
        ),
        event(
            at(0, 8.4),
            "slot starting",
            "prepare_slot",
            slot="green",
            task_definition=f"{FAMILY}:12",
            tasks=2,
        ),
        event(at(1, 40.2), "slot stable", "check_stability", tasks=2),
    ]


def shift(when: datetime, step: int, before: int, weight: int) -> list[HistoryEvent]:
    return [
        event(when, "shift intended", "shift_traffic", step=step, before=before, weight=weight),
        event(
            when + timedelta(milliseconds=640),
            "shifted",
            "shift_traffic",
            step=step,
            weight=weight,
            part="step",
        ),
    ]


def first_steps() -> list[HistoryEvent]:
    """Ten percent for five minutes, then fifty."""
    verdict = Verdict(verdict="pass", checks=checks("0.0040"), requests=502)
    return [
        *beginning(),
        event(at(1, 51.9), "validated", "shift_traffic", result="2 tasks passed 1 test"),
        *shift(at(1, 52.6), 0, 0, 10),
        judged(at(7, 10.0), 0, 10, verdict),
        event(
            at(7, 10.2),
            "decided",
            "judge_step",
            step=0,
            next="shift",
            why="the evidence says pass",
        ),
        *shift(at(7, 11.0), 1, 10, 50),
    ]


def alarm_trigger() -> dict[str, Any]:
    return {
        "kind": "alarm",
        "name": ALARM,
        "reason": "Threshold Crossed: 1 out of the last 1 datapoints [12.53 (23/11/26 12:09:00)] "
        "was greater than the threshold (5.0) (minimum 1 datapoint for OK -> ALARM transition).",
        "at": at(10, 3.0).isoformat(),
    }


def rolled_back(trigger: dict[str, Any]) -> list[HistoryEvent]:
    return [
        event(
            at(10, 4.4),
            "rollback began",
            "take_traffic_back",
            action="settle",
            trigger=trigger,
            weights={"blue": 100},
            epoch=2,
        ),
        event(at(12, 13.0), "bad slot scaled down", "empty_slot", slot="green", good="blue"),
        event(
            at(12, 14.1),
            "rolled back",
            "close_rollback",
            reason=f"alarm {ALARM}: {trigger['reason']}",
            seconds={
                "notice": 1.1,
                "fence": 0.031,
                "traffic": 0.212,
                "settle": 46.2,
                "drain": 81.8,
                "scale down": 0.6,
                "close": 0.4,
            },
        ),
    ]


def minutes(
    numbers: random.Random,
    first: int,
    last: int,
    share: Callable[[int], float],
    errors: Callable[[int], float],
    p95: Callable[[int], float],
) -> tuple[MinuteOfTraffic, ...]:
    """A slot's minutes, of a service with some 1,000 requests a minute."""
    found = []
    for minute in range(first, last):
        requests = round(share(minute) * (1000 + numbers.randint(-90, 90)))
        if not requests:
            continue
        failed = round(requests * errors(minute))
        found.append(
            MinuteOfTraffic(
                at=at(minute),
                requests=requests,
                answered=requests,
                server_errors=failed,
                p95_ms=Decimal(str(round(p95(minute) + numbers.uniform(-12, 12), 1))),
            )
        )
    return tuple(found)


def traffic_of(last: int, back: int = 10) -> dict[str, tuple[MinuteOfTraffic, ...]]:
    """Blue alone, then with green at ten percent from minute 2 and at fifty from minute 7."""
    numbers = random.Random(7)

    def green(minute: int) -> float:
        if minute < 2 or minute > back:
            return 0.0
        return 0.1 if minute < 7 else 0.5 if minute < back else 0.04

    def wrong(minute: int) -> float:
        return 0.004 if minute < 7 else 0.02 if minute == 7 else 0.125

    return {
        "blue": minutes(
            numbers, -30, last, lambda m: 1 - green(m), lambda m: 0.002, lambda m: 120.0
        ),
        "green": minutes(numbers, -30, last, green, wrong, lambda m: 118.0 if m < 7 else 260.0),
    }


def log_lines() -> LogsRead:
    new = "blue"  # streams are named after tasks, not after slots
    lines = [
        (
            f"2026-11-23T12:08:{n % 60:02d}Z ERROR order {4000 + n} of user{n}@example.com: "
            f'relation "carts" does not exist'
        )
        for n in range(41)
    ]
    lines += [
        f'{{"level": "error", "message": "payment {n} failed: token={SECRETS[3]}"}}'
        for n in range(7)
    ]
    lines += [f"WARN retry {n}: upstream timeout after 3000 ms" for n in range(5)]
    lines += ["<script>alert(1)</script> fatal | `rm`"]
    return LogsRead(
        groups=(f"/ecs/{SERVICE}",),
        compared_with="what all other tasks wrote since half an hour before the deployment",
        candidate=tuple(
            LogLine(stream=f"{new}/web/{'ab'[number % 2]}1", message=line)
            for number, line in enumerate(lines)
        ),
        reference=(
            LogLine(stream="blue/web/c1", message="WARN retry 9: upstream timeout after 12 ms"),
        ),
    )
