"""The demo: a real service replaced under real load, by what runs in AWS.

The templates and the configuration are production's; the local cloud's one time scale compresses
them. Every figure is read from outside: at the balancer, at the clients, at the AWS endpoint.
"""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from greenlane.deployments.model import DeploymentRequest
from greenlane.deployments.phases import Phase
from greenlane.errors import InvalidInput
from greenlane.local.cloud import LocalCloud
from greenlane.local.demo import experiment, flags, show
from greenlane.local.demo.measure import Result, measure
from greenlane.local.demo.scenes import CORE, SCENES, Scene
from greenlane.local.loadgen import LoadGenerator
from greenlane.local.stage import Stage, set_stage

TIME_SCALE = 60.0
REQUESTS_PER_SECOND = 150.0
CLIENTS = 60
SCENE_TIMEOUT_SECONDS = 240.0
DIRECTORY = Path("build/demo")
ACROSS_SCENES_SECONDS = 1.0
BEHIND: Mapping[str, Any] = {one.NAME: one for one in (flags, experiment)}
"""Scenes that deploy nothing, by name; both are of what one version has behind it."""


def run(names: Sequence[str], *, all_scenes: bool = False, as_json: bool = False) -> int:
    """Play scenes and print what happened; 0 only if every promise held.

    Args:
        names: which scenes, by name; none means the three core ones.
        all_scenes: every scene there is.
        as_json: print the summary as JSON on stdout, and nothing else.

    Raises:
        InvalidInput: there is no scene of that name.
    """
    scenes, besides = _chosen(names, all_scenes=all_scenes)
    console = Console(stderr=as_json)
    began = time.monotonic()
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    console.print(
        f"A local cloud, one real second is {TIME_SCALE:g} virtual seconds; "
        f"{REQUESTS_PER_SECOND:g} requests/s from {CLIENTS} clients.",
        highlight=False,
    )
    # The interpreter reports every caught error of a workflow; the history tells it better.
    logging.getLogger("moto").setLevel(logging.CRITICAL)
    with LocalCloud(DIRECTORY / "cloud", time_scale=TIME_SCALE) as cloud:
        behaviours = [BEHIND[name].BEHAVIOUR for name in besides]
        stage = set_stage(cloud, behaviour=",".join(behaviours) or "good")
        console.print(
            f"AWS endpoint {cloud.endpoint_url}, the service at {stage.url}, v1 is live "
            f"({time.monotonic() - began:.0f} s).",
            highlight=False,
        )
        people = max((BEHIND[name].VISITORS for name in besides), default=0)
        load = LoadGenerator(stage.url, REQUESTS_PER_SECOND, CLIENTS, visitors=people)
        load.start(DIRECTORY / "load.log")
        try:
            # Before any deployment: the first version is the one that has something behind flags
            # and in tests.
            flagged = flags.play(console, stage, load) if flags.NAME in besides else None
            tested = experiment.play(console, stage, load) if experiment.NAME in besides else None
            results = [_play(console, stage, load, scene) for scene in scenes]
        finally:
            load.stop()
    seconds = time.monotonic() - began
    besides_played = [one for one in (flagged, tested) if one is not None]
    return _report(console, results, besides_played, as_json=as_json, seconds=seconds)


def _chosen(names: Sequence[str], *, all_scenes: bool) -> tuple[Sequence[Scene], Sequence[str]]:
    """The deployments to play, and which scenes are played besides."""
    if all_scenes:
        return list(SCENES.values()), list(BEHIND)
    for name in names:
        if name not in (*SCENES, *BEHIND):
            raise InvalidInput("--scene", name, f"choose from {', '.join((*SCENES, *BEHIND))}")
    chosen = [SCENES[name] for name in names if name in SCENES]
    return (chosen if names else CORE), [name for name in BEHIND if name in names]


def _play(console: Console, stage: Stage, load: LoadGenerator, scene: Scene) -> Result:
    """One deployment from its request to its outcome."""
    console.print(f"\n[bold]{scene.title}[/bold]")
    service = stage.workload.service
    stage.push(scene.version, scene.behaviour)
    journal = stage.cloud.parts["elb"].journal
    tables_before = max((table.sequence for table in journal.tables), default=0)
    load.phase(scene.name)
    began = time.time()
    started = stage.greenlane.deploy(
        DeploymentRequest(
            service=service,
            version=scene.version,
            strategy=scene.strategy,
            steps=scene.step_configs,
            requested_by="the demo",
        )
    )

    def done() -> bool:
        outcome = stage.greenlane.outcome(service, started.deployment_id)
        return outcome is not None and _quiet(stage)

    show.watch(
        console,
        stage,
        scene,
        done=done,
        traffic=load.snapshot,
        timeout_seconds=SCENE_TIMEOUT_SECONDS,
    )
    ended = time.time()
    load.phase("between")
    time.sleep(ACROSS_SCENES_SECONDS)
    return measure(
        stage,
        scene,
        deployment_id=started.deployment_id,
        began=began,
        ended=ended,
        traffic=load.snapshot(),
        tables_before=tables_before,
    )


def _quiet(stage: Stage) -> bool:
    """The execution that reached the outcome has ended too, not only written it."""
    record = stage.greenlane.store.record(stage.workload.service)
    if record is None:
        return True
    execution = record.execution
    if record.phase in (Phase.ROLLED_BACK, Phase.HELD):
        execution = record.rollback_execution
    if execution is None:
        return True
    stepfunctions = stage.cloud.client("stepfunctions")
    return bool(stepfunctions.describe_execution(executionArn=execution)["status"] != "RUNNING")


def _report(
    console: Console,
    results: Sequence[Result],
    besides: Sequence[flags.FlagResult | experiment.ExperimentResult],
    *,
    as_json: bool,
    seconds: float,
) -> int:
    kept = not any(result.broken for result in (*results, *besides))
    told_besides = {one.as_json()["scene"]: one.as_json() for one in besides}
    summary = {
        "promises_kept": kept,
        "seconds": round(seconds, 1),
        "time_scale": TIME_SCALE,
        "requests_per_second": REQUESTS_PER_SECOND,
        "deployments": [result.as_json() for result in results],
        **{name: told_besides.get(name) for name in BEHIND},
    }
    text = json.dumps(summary, indent=2)
    (DIRECTORY / "summary.json").write_text(text + "\n", encoding="utf-8")
    console.print()
    if results:
        console.print(show.summary_table(list(results)))
    told = [line for result in results for line in show.details(result)]
    for line in [*(line for one in besides for line in one.lines()), *told]:
        console.print(line, highlight=False)
    verdict = "every promise held" if kept else "a promise was broken"
    console.print(
        f"\n{verdict}, {seconds:.0f} s in all; see {DIRECTORY / 'summary.json'}", highlight=False
    )
    if as_json:
        print(text)
    return 0 if kept else 1
