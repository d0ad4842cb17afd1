"""The demo: a real service replaced under real load, by what runs in AWS.

The templates and the configuration are production's; the local cloud's one time scale compresses
them. Every figure is read from outside: at the balancer, at the clients, at the AWS endpoint.
"""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from greenlane.errors import InvalidInput
from greenlane.local.cloud import LocalCloud
from greenlane.local.demo import experiment, flags, migration, show
from greenlane.local.demo.measure import Result
from greenlane.local.demo.playing import play
from greenlane.local.demo.scenes import CORE, SCENES, Scene
from greenlane.local.loadgen import LoadGenerator
from greenlane.local.stage import ASSEMBLY, set_stage

TIME_SCALE = 60.0
REQUESTS_PER_SECOND = 150.0
CLIENTS = 60
DIRECTORY = Path("build/demo")
BEHIND: Mapping[str, Any] = {one.NAME: one for one in (flags, experiment, migration)}
"""Scenes of what the first version has behind it, by name; they come before the others."""

Besides = flags.FlagResult | experiment.ExperimentResult | migration.MigrationResult


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
    others = [name for name in besides if name != migration.NAME]
    results, told = _on_one_cloud(console, scenes, others) if scenes or others else ([], [])
    if migration.NAME in besides:
        # A cloud of its own: after the contract no version of the other scenes may come back.
        told += _on_one_cloud(console, [], [migration.NAME])[1]
    return _report(console, results, told, as_json=as_json, seconds=time.monotonic() - began)


def _on_one_cloud(
    console: Console, scenes: Sequence[Scene], besides: Sequence[str]
) -> tuple[list[Result], list[Besides]]:
    """Play scenes one after the other; what is behind the first version comes first."""
    began = time.monotonic()
    with ExitStack() as stack:
        people = stack.enter_context(migration.database()) if migration.NAME in besides else None
        assembly = ASSEMBLY if people is None else people.synthesize(DIRECTORY / "assembly")
        cloud = stack.enter_context(LocalCloud(DIRECTORY / "cloud", time_scale=TIME_SCALE))
        behaviours = [BEHIND[name].BEHAVIOUR for name in besides]
        stage = set_stage(cloud, assembly=assembly, behaviour=",".join(behaviours) or "good")
        console.print(
            f"AWS endpoint {cloud.endpoint_url}, the service at {stage.url}, v1 is live "
            f"({time.monotonic() - began:.0f} s).",
            highlight=False,
        )
        visitors = max((BEHIND[name].VISITORS for name in besides), default=0)
        load = LoadGenerator(stage.url, REQUESTS_PER_SECOND, CLIENTS, visitors=visitors)
        load.start(DIRECTORY / "load.log")
        told: list[Besides] = []
        try:
            if flags.NAME in besides:
                told.append(flags.play(console, stage, load))
            if experiment.NAME in besides:
                told.append(experiment.play(console, stage, load))
            if people is not None:
                told.append(migration.play(console, stage, load, people))
            return [play(console, stage, load, scene) for scene in scenes], told
        finally:
            load.stop()


def _chosen(names: Sequence[str], *, all_scenes: bool) -> tuple[Sequence[Scene], Sequence[str]]:
    """The deployments to play, and which scenes are played besides."""
    if all_scenes:
        return list(SCENES.values()), list(BEHIND)
    for name in names:
        if name not in (*SCENES, *BEHIND):
            raise InvalidInput("--scene", name, f"choose from {', '.join((*SCENES, *BEHIND))}")
    chosen = [SCENES[name] for name in names if name in SCENES]
    return (chosen if names else CORE), [name for name in BEHIND if name in names]


def _report(
    console: Console,
    results: Sequence[Result],
    besides: Sequence[Besides],
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
