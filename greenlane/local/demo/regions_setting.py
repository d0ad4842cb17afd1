"""Three Regions with the sample under load, as the scenes of several Regions begin.

The templates are production's, synthesized once for each Region; Greenlane's configuration has
shorter watches. Each Region is a local cloud in a process of its own.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import yaml
from rich.console import Console

from greenlane.deployments.declaring.config import StepConfig
from greenlane.deployments.model import DeploymentRequest
from greenlane.local.demo.regions_result import shortly
from greenlane.local.errors import LocalCloudError
from greenlane.local.loadgen import LoadGenerator
from greenlane.local.regions.world import LocalWorld, RegionStage
from greenlane.local.stage import CONFIGURATION, SERVICE
from greenlane.regions.coordinating.model import Rollout
from greenlane.regions.coordinating.requesting import RegionalRollouts
from greenlane.regions.declaring.document import read_regions
from greenlane.regions.planning.model import Override

FILE = Path("examples/claude_manager/multi-region.yaml")
DIRECTORY = Path("build/demo-regions")

HOME, STANDBY = "us-east-1", "eu-west-1"
HAD = {"eu-north-1": "v1.1", "eu-west-1": "v1", "us-east-1": "v1"}
"""The versions that the Regions have before: not all of them the same."""

VERSION = "v2"
STEPS = (25, 50, 100)
"""At the demo's traffic smaller shares give the alarm too few requests to speak."""

REQUESTS_PER_SECOND = 120.0
"""Of all Regions together; each has its share by the file, since the coordinator looks at that."""

CLIENTS = 20
OFFSETS = {"eu-north-1": 1.5, "us-east-1": -1.0}
"""By how many virtual seconds clocks are fast."""

SHORTER = {
    "baseline": "5m",
    "bake": "2m",
    "final_bake": "2m",
    "watch": "5m",
    "extended_watch": "1h",
}
"""What the demo's configuration has in the place of the example's."""

SYNTH_SECONDS = 180
WARM_SECONDS = 3.0


@dataclass
class Setting:
    """A world with the sample live and under load in each Region."""

    console: Console
    world: LocalWorld
    stages: Mapping[str, RegionStage]
    loads: Mapping[str, LoadGenerator]
    _shown: dict[str, str] = field(default_factory=dict)
    _began: datetime | None = None

    def rollouts(self, region: str) -> RegionalRollouts:
        """The rollouts whose home, or standby, is a Region."""
        return RegionalRollouts(self.world[region].connection)

    def begin(self) -> None:
        """Let the new version begin its way through the Regions."""
        for load in self.loads.values():
            load.phase("rollout")
        begun = self.rollouts(HOME).deploy(
            FILE.read_text(encoding="utf-8"),
            DeploymentRequest(
                service=SERVICE,
                version=VERSION,
                steps=tuple(StepConfig(weight=weight) for weight in STEPS),
                requested_by="the demo",
            ),
            overrides=[Override(what="windows", reason="the demo runs by day", by="the demo")],
            name=str(FILE),
        )
        self._began = self.world[HOME].clock.now()
        waves = [", ".join(one.region for one in wave.regions) for wave in begun.plan.waves]
        self.console.print(f"\n{VERSION} goes {' → '.join(waves)}")

    def tell(self, who: str, record: Rollout) -> None:
        """Print what is new of a rollout, and of each Region by its own records."""
        why = record.cause or record.held_for or (record.blocked and f"waits: {record.blocked}")
        said = record.phase.replace("_", " ")
        self.say(who, f"{said} ({shortly(why)})" if why else said)
        for name, stage in self.stages.items():
            status, state = stage.greenlane.status(SERVICE), record.at(name).state
            here, words = status.record, state.replace("_", " ")
            if here is not None and here.deployment_id == record.rollout_id:
                live = ", ".join(f"{it.slot} {it.weight} %" for it in status.slots if it.weight)
                words += f"; its own deployment: {here.phase.value.replace('_', ' ')}, {live}"
            self.say(name, words)

    def say(self, who: str, words: str) -> None:
        """Print a line, unless it is what was said of it last."""
        if self._shown.get(who) == words or self._began is None:
            return
        self._shown[who] = words
        passed = self.world[HOME].clock.now() - self._began
        minutes, seconds = divmod(int(passed.total_seconds()), 60)
        self.console.print(f"  {minutes:3d}:{seconds:02d}  {who:<10}  {words}", soft_wrap=True)


@contextmanager
def set_up(console: Console, *, time_scale: float, behaviour: str) -> Iterator[Setting]:
    """Start a world, bring the sample up in each Region and send it traffic.

    Args:
        console: where it is shown.
        time_scale: virtual seconds for each real second.
        behaviour: of the new version, which is the same image in each Region.
    """
    began = time.monotonic()
    document = read_regions(FILE.read_text(encoding="utf-8"), str(FILE))
    world = LocalWorld(
        DIRECTORY / "world", tuple(document.regions), time_scale=time_scale, offsets=OFFSETS
    )
    configuration = configure()
    assemblies = world.at_once({name: lambda n=name: synthesize(n) for name in world.regions})
    with ExitStack() as stack:
        stack.enter_context(world)
        stages: dict[str, RegionStage] = world.at_once(
            {
                name: lambda n=name, r=region: r.set_stage(
                    assemblies[n], configuration=configuration, version=HAD[n]
                )
                for name, region in world.regions.items()
            }
        )
        loads = {}
        for name, stage in stages.items():
            rate = REQUESTS_PER_SECOND * float(document.regions[name].traffic_percentage or 0) / 100
            loads[name] = LoadGenerator(stage.url, rate, CLIENTS)
            loads[name].start(DIRECTORY / f"load-{name}.log")
            stack.callback(loads[name].stop)
            world[name].push(stage.workload, VERSION, behaviour)
            console.print(
                f"  {name}: {HAD[name]} is live at {stage.url}, {rate:g} requests/s; "
                f"AWS endpoint {world[name].endpoint_url}",
                soft_wrap=True,
            )
        console.print(
            f"  one real second is {time_scale:g} virtual ones; the coordinator is in {HOME}, "
            f"its standby in {STANDBY} ({time.monotonic() - began:.0f} s to get there)",
            soft_wrap=True,
        )
        time.sleep(WARM_SECONDS)
        yield Setting(console, world, stages, loads)


def synthesize(region: str) -> Path:
    """The templates for one Region, with the coordinator where it belongs.

    Raises:
        LocalCloudError: `app.py` failed.
    """
    settings = json.loads(Path("cdk.json").read_text(encoding="utf-8"))["context"]["greenlane"]
    settings["region"] = region
    settings["sample"]["capacity"] = {"min_tasks": 1, "max_tasks": 4}
    settings["regions"] = {"home": HOME, "standby": STANDBY, "regions": list(HAD)}
    folder = DIRECTORY / "assembly" / region
    environment = {
        **os.environ,
        "CDK_OUTDIR": str(folder),
        "CDK_CONTEXT_JSON": json.dumps({"greenlane": settings}),
    }
    done = subprocess.run(
        [sys.executable, "app.py"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SYNTH_SECONDS,
    )
    if done.returncode != 0:
        raise LocalCloudError(f"app.py failed for {region}: {done.stderr.strip()[-2000:]}")
    return folder


def configure() -> Path:
    """The example's configuration of the service, with shorter watches."""
    document = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    document["service"]["deployment"] |= SHORTER
    path = DIRECTORY / "greenlane.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path
