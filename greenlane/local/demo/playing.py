"""One deployment of the demo, from its request to its outcome, under load."""

import time

from rich.console import Console

from greenlane.deployments.model import DeploymentRequest
from greenlane.deployments.phases import Phase
from greenlane.deployments.shipped_with import ReleaseMigrations
from greenlane.local.demo import show
from greenlane.local.demo.measure import Result, measure
from greenlane.local.demo.scenes import Scene
from greenlane.local.loadgen import LoadGenerator
from greenlane.local.stage import Stage

SCENE_TIMEOUT_SECONDS = 240.0
ACROSS_SCENES_SECONDS = 1.0


def play(
    console: Console,
    stage: Stage,
    load: LoadGenerator,
    scene: Scene,
    migrations: ReleaseMigrations | None = None,
) -> Result:
    """Deploy, watch and measure.

    Args:
        console: where it is shown.
        stage: with the service.
        load: whose requests are counted under the scene's name.
        scene: what is deployed.
        migrations: of a database, which go with it.
    """
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
            migrations=migrations,
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
