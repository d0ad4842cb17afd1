"""How long it takes from a red alarm to the write that puts the traffic back, with cold functions.

`make bench-rollback` deploys a version on the local cloud, lets an alarm of it ring while both
versions have traffic, and times what follows: the event, the start of the state machine, a new
process for the function, its calls. The function's warm processes are ended before each alarm.

A local process is not a cold start on Lambda: it is forked from one that has imported what comes
from the dependency layer. What a new interpreter needs for the function's imports is measured by
itself. Download of the code and start of the sandbox, which AWS adds, are in neither.
"""

import json
import logging
import statistics
import subprocess
import sys
import time
from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from greenlane.deployments.model import DeploymentRequest, Record
from greenlane.deployments.phases import Phase
from greenlane.local.cloud import LocalCloud
from greenlane.local.context import ApiCall
from greenlane.local.loadgen import LoadGenerator
from greenlane.local.stage import SERVICE, Stage, set_stage

DIRECTORY = Path("build/bench-rollback")
FUNCTION = "greenlane-take-traffic-back"
MODULE = "functions.take_traffic_back"
TIME_SCALE = 30.0
REQUESTS_PER_SECOND = 30.0
PATIENCE_SECONDS = 60.0
TARGET_SECONDS = 2.0
LEAST_ROUNDS = 20
DEPLOYMENT = {
    "strategy": "canary",
    "steps": [50, 100],
    "bake": "1h",
    "propagation": "10s",
    "drain_deadline": "15s",
}


@dataclass(frozen=True)
class Measured:
    """One rollback: real seconds from the alarm to each point, and the calls on the way."""

    started: float
    first_call: float
    written: float
    calls: tuple[str, ...]


def main() -> int:
    """Measure, print a table and write `build/bench-rollback/alarm_to_traffic.json`."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=24, help="how many rollbacks")
    rounds = max(parser.parse_args().rounds, LEAST_ROUNDS)
    logging.getLogger("moto").setLevel(logging.CRITICAL)
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    imports = import_seconds()
    with LocalCloud(DIRECTORY / "cloud", time_scale=TIME_SCALE) as cloud:
        stage = set_stage(cloud)
        body = {"name": SERVICE, "deployment": DEPLOYMENT, "judge": {"min_requests": 1}}
        stage.greenlane.apply(yaml.safe_dump({"service": body}), by="bench")
        load = LoadGenerator(stage.url, REQUESTS_PER_SECOND, 10)
        load.start(DIRECTORY / "load.log")
        try:
            found = [one_rollback(stage, f"r{number}") for number in range(rounds)]
        finally:
            load.stop()
    figures = summed_up(found, imports)
    (DIRECTORY / "alarm_to_traffic.json").write_text(json.dumps(figures, indent=2) + "\n")
    console = Console()
    console.print(table(figures))
    console.print(f"Calls before the write: {', '.join(figures['calls'])}.", highlight=False)
    in_time = figures["seconds"]["written"]["p95"] <= TARGET_SECONDS
    if not in_time:
        console.print(f"p95 is above the target of {TARGET_SECONDS:.0f} s.", highlight=False)
    return 0 if in_time else 1


def one_rollback(stage: Stage, version: str) -> Measured:
    """Deploy a version until it bakes, end the function's processes, let its alarm ring."""
    stage.push(version, "good")
    asked = DeploymentRequest(service=SERVICE, version=version, requested_by="bench")
    deployment_id = stage.greenlane.deploy(asked).deployment_id
    record = _until(
        stage, lambda r: r.deployment_id == deployment_id and r.weight == 50 and r.bake_token
    )
    stage.cloud.parts["functions"].end_idle(FUNCTION)
    began = time.time()
    alarm = f"{SERVICE}-{record.candidate}-error-rate"
    cloudwatch = stage.cloud.client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="bench")
    ended = _until(stage, lambda r: r.phase is Phase.ROLLED_BACK)
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="bench")
    _until(stage, lambda r: not r.scaling_rests)
    return measured(list(stage.cloud.context.calls), began, _started(stage, ended))


def measured(calls: list[ApiCall], began: float, started: float) -> Measured:
    """What the journal says of the first rollback after an instant.

    Args:
        calls: of the AWS API, as the local endpoint got them.
        began: real Unix time; the alarm was set right after it.
        started: real Unix time at which the state machine began.
    """
    mine = sorted((c for c in calls if c.at >= began and c.caller == FUNCTION), key=lambda c: c.at)
    (alarm, *_) = [c.at for c in calls if c.at >= began and c.operation == "SetAlarmState"]
    number = next(n for n, call in enumerate(mine) if call.operation == "ModifyRule")
    return Measured(
        started=started - alarm,
        first_call=mine[0].at - alarm,
        written=mine[number].at + mine[number].seconds - alarm,
        calls=tuple(f"{call.service}:{call.operation}" for call in mine[:number]),
    )


def _started(stage: Stage, record: Record) -> float:
    """When the elected execution began; its start is told in virtual time."""
    stepfunctions = stage.cloud.client("stepfunctions")
    arn = record.rollback_execution or ""
    virtual = stepfunctions.describe_execution(executionArn=arn)["startDate"]
    clock = stage.cloud.clock
    return time.time() - clock.real_seconds((clock.now() - virtual).total_seconds())


def _until(stage: Stage, reached: Any) -> Record:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        record = stage.greenlane.store.record(SERVICE)
        if record is not None and reached(record):
            return record
        time.sleep(0.02)
    raise RuntimeError(f"not reached within {PATIENCE_SECONDS:.0f} s")


def import_seconds(times: int = 9) -> float:
    """What a new interpreter needs for the function's imports, the median of some."""

    def took(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - began

    found = [took(f"import {MODULE}") - took("pass") for _ in range(times + 1)]
    return statistics.median(found[1:])  # the first one compiles


def summed_up(found: list[Measured], imports: float) -> dict[str, Any]:
    """p50 and p95 of all, and the calls, which must be the same in each."""
    paths = {one.calls for one in found}
    if len(paths) != 1:
        raise RuntimeError(f"not all rollbacks made the same calls: {paths}")
    names = ("started", "first_call", "written")
    seconds = {name: _shares([getattr(one, name) for one in found]) for name in names}
    return {
        "rollbacks": len(found),
        "seconds": seconds,
        "import_seconds": round(imports, 3),
        "calls": list(paths.pop()),
    }


def _shares(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": round(cuts[49], 3), "p95": round(cuts[94], 3), "max": round(max(values), 3)}


def table(figures: dict[str, Any]) -> Table:
    """The figures for people."""
    title = f"{figures['rollbacks']} rollbacks, the function started cold; seconds since the alarm"
    found = Table(title=title, title_justify="left")
    found.add_column("")
    for name in ("p50", "p95", "max"):
        found.add_column(name, justify="right")
    rows = (
        ("the state machine began", "started"),
        ("the function's first call", "first_call"),
        ("the traffic is back (ModifyRule answered)", "written"),
    )
    for text, key in rows:
        found.add_row(text, *(f"{value:.2f}" for value in figures["seconds"][key].values()))
    found.add_row("calls before ModifyRule", str(len(figures["calls"])), "", "")
    imports = f"{figures['import_seconds']:.2f}"
    found.add_row("imports in a new interpreter (not in the above)", imports, "", "")
    return found


if __name__ == "__main__":
    raise SystemExit(main())
