"""What orchestrating one canary costs: time beside the bakes, AWS calls, transitions, dollars.

`make bench` runs a six-step canary on the local cloud, once by Greenlane and once by a loop that
polls every 30 s, with the same weights and bakes. Waiting is compressed by the local cloud and is
told in virtual seconds; function runs and calls are not, and are told as they were.
"""

import json
import logging
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.polling_loop import POLL_SECONDS, PollingLoop
from benchmarks.prices import cost
from greenlane.deployments.model import DeploymentRequest
from greenlane.deployments.plan import CANARY_WEIGHTS
from greenlane.local.cloud import LocalCloud
from greenlane.local.loadgen import LoadGenerator
from greenlane.local.stage import SERVICE, Stage, set_stage

DIRECTORY = Path("build/bench")
TIME_SCALE = 60.0
REQUESTS_PER_SECOND = 150.0
BAKE_SECONDS = 300
METRICS_PER_READ = 14
TRANSITIONS_PER_POLL = 3
TRANSITIONS_PER_SHIFT = 2
TRANSITIONS_AROUND = 5


def main() -> int:
    """Run both, print one table and write `build/bench/orchestration.json`."""
    logging.getLogger("moto").setLevel(logging.CRITICAL)
    console = Console()
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with LocalCloud(DIRECTORY / "cloud", time_scale=TIME_SCALE) as cloud:
        stage = set_stage(cloud)
        # Compressed minutes hold a sixtieth of the requests; evidence is not what is measured.
        stage.greenlane.apply(
            f"service: {{name: {SERVICE}, judge: {{min_requests: 1}}}}", by="bench"
        )
        load = LoadGenerator(stage.url, REQUESTS_PER_SECOND, 60)
        load.start(DIRECTORY / "load.log")
        try:
            ours = by_greenlane(stage)
            loop = by_polling(stage)
        finally:
            load.stop()
    figures = {"greenlane": ours, "polling_loop": loop}
    (DIRECTORY / "orchestration.json").write_text(json.dumps(figures, indent=2) + "\n")
    console.print(table(ours, loop))
    by_state = ", ".join(f"{name} {wait:.0f}" for name, wait in ours["waiting_by_state"].items())
    console.print(
        f"Greenlane's waiting by state, s: {by_state}. The loop neither drains nor lets tests, "
        "alarms and metrics decide.",
        highlight=False,
    )
    console.print(
        "Waiting: virtual seconds beyond the bakes. Running: real seconds of functions or calls. "
        f"Transitions of the loop: as a Wait, Task, Choice machine, {TRANSITIONS_PER_POLL} a poll. "
        "Dollars: list prices, see benchmarks/prices.py.",
        highlight=False,
    )
    return 0


def by_greenlane(stage: Stage) -> dict[str, Any]:
    """One canary by the product."""
    stage.push("b2", "good")
    began = time.time()
    started = stage.greenlane.deploy(
        DeploymentRequest(service=SERVICE, version="b2", strategy="canary", requested_by="bench")
    )
    while (outcome := stage.greenlane.outcome(SERVICE, started.deployment_id)) is None:
        time.sleep(0.05)
    ended = time.time()
    if outcome.name != "succeeded":
        raise RuntimeError(f"the canary ended {outcome.name}: {outcome.reason}")
    events = _history(stage, started.execution_arn)
    running, waits, invocations = _shares_of_time(events, stage.cloud.clock.scale)
    declared = sum(
        step.bake_seconds for step in stage.greenlane.store.plan(started.deployment_id).steps
    )
    waits["Bake"] = max(waits["Bake"] - declared, 0)
    calls = _operations(stage, began, ended, "greenlane-")
    transitions = stage.cloud.transitions(started.execution_arn)
    ticks = 2 * int((ended - began) * stage.cloud.clock.scale / 60)
    return {
        "waiting_seconds": round(sum(waits.values()), 1),
        "waiting_by_state": {name: round(seconds, 1) for name, seconds in waits.items()},
        "running_seconds": round(running, 2),
        "aws_calls": sum(calls.values()),
        "transitions": transitions,
        "dollars": float(
            cost(
                transitions=transitions,
                invocations=invocations + ticks,
                lambda_seconds=running + ticks * 0.05,
                operations=dict(calls),
                metrics_per_read=METRICS_PER_READ,
            )
        ),
        "calls": dict(calls),
    }


def by_polling(stage: Stage) -> dict[str, Any]:
    """The same plan by a loop."""
    stage.push("b3", "good")
    loop = PollingLoop(stage)
    began = time.time()
    loop.run("b3", CANARY_WEIGHTS, BAKE_SECONDS)
    ended = time.time()
    calls = _operations(stage, began, ended, loop.caller)
    transitions = (
        loop.polls * TRANSITIONS_PER_POLL + loop.shifts * TRANSITIONS_PER_SHIFT + TRANSITIONS_AROUND
    )
    bakes = len(CANARY_WEIGHTS) * BAKE_SECONDS
    return {
        "waiting_seconds": round(loop.slept_seconds - bakes, 1),
        "running_seconds": round(loop.calling_seconds, 2),
        "aws_calls": sum(calls.values()),
        "transitions": transitions,
        "dollars": float(
            cost(
                transitions=transitions,
                invocations=loop.polls + loop.shifts,
                lambda_seconds=loop.calling_seconds,
                operations=dict(calls),
                metrics_per_read=METRICS_PER_READ,
            )
        ),
        "calls": dict(calls),
    }


def _operations(stage: Stage, began: float, ended: float, caller: str) -> Counter[str]:
    return Counter(
        call.operation
        for call in stage.cloud.context.calls
        if began <= call.at <= ended and call.caller.startswith(caller)
    )


def _history(stage: Stage, execution: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    paginator = stage.cloud.client("stepfunctions").get_paginator("get_execution_history")
    for page in paginator.paginate(executionArn=execution):
        events += page["events"]
    return events


def _shares_of_time(
    events: list[dict[str, Any]], scale: float
) -> tuple[float, dict[str, float], int]:
    """Real seconds in functions, virtual ones of waiting by state, and runs.

    Waiting is what passes between the attempts of a task, and in the callback of `Bake`. The local
    interpreter dates its events by the virtual clock; a function's own run is not compressed, so
    its span is divided by the scale again.
    """
    running, invocations, state = 0.0, 0, ""
    waits: dict[str, float] = defaultdict(float)
    began = ended = 0.0
    for event in events:
        kind, at = event["type"], event["timestamp"].timestamp()
        if kind == "TaskStateEntered":
            state, ended = event["stateEnteredEventDetails"]["name"], 0.0
        elif kind in ("LambdaFunctionScheduled", "TaskScheduled"):
            invocations += 1
            waits[state] += at - ended if ended else 0.0
            began, ended = at, 0.0
        elif kind in ("LambdaFunctionSucceeded", "LambdaFunctionFailed"):
            running += (at - began) / scale
            ended = at if kind == "LambdaFunctionFailed" else 0.0
        elif kind in ("TaskTimedOut", "TaskSucceeded"):
            waits[state] += at - began
    return running, {name: seconds for name, seconds in waits.items() if seconds >= 1}, invocations


def table(ours: dict[str, Any], loop: dict[str, Any]) -> Table:
    """Both side by side."""
    found = Table(title=f"A six-step canary, {BAKE_SECONDS} s each step", title_justify="left")
    found.add_column("")
    found.add_column("Greenlane", justify="right")
    found.add_column(f"poll every {POLL_SECONDS} s", justify="right")
    rows = (
        ("waiting beyond the bakes, s", "waiting_seconds", "{:.0f}"),
        ("running, s", "running_seconds", "{:.1f}"),
        ("AWS calls", "aws_calls", "{}"),
        ("state transitions", "transitions", "{}"),
        ("cost, $", "dollars", "{:.4f}"),
    )
    for title, key, form in rows:
        found.add_row(title, form.format(ours[key]), form.format(loop[key]))
    return found


if __name__ == "__main__":
    raise SystemExit(main())
