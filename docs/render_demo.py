"""Renders docs/images/demo.svg from a real run: `python docs/render_demo.py`.

A canary to a good version is pictured in the middle of its way, a bad one after it was taken
back; everything in the picture is what the local cloud did a moment before.
"""

import logging
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402 - the repository's root comes first

from greenlane.cli.views import status_view  # noqa: E402
from greenlane.deployments.declaring.config import StepConfig  # noqa: E402
from greenlane.deployments.looking.status import Status  # noqa: E402
from greenlane.deployments.model import DeploymentRequest  # noqa: E402
from greenlane.local.cloud import LocalCloud  # noqa: E402
from greenlane.local.loadgen import LoadGenerator  # noqa: E402
from greenlane.local.stage import SERVICE, Stage, set_stage  # noqa: E402

PICTURE = ROOT / "docs" / "images" / "demo.svg"
PATIENCE_SECONDS = 120.0
COLUMNS = 112


def main() -> None:
    """Run both deployments and write the picture."""
    logging.getLogger("moto").setLevel(logging.CRITICAL)
    console = Console(record=True, width=COLUMNS, force_terminal=True)
    with LocalCloud(ROOT / "build" / "picture", time_scale=60) as cloud:
        stage = set_stage(cloud)
        load = LoadGenerator(stage.url, 150, 60)
        load.start()
        try:
            good = deploy(stage, "v2", "good")
            picture(console, "greenlane get", until(stage, in_the_middle))
            stage.greenlane.signal(SERVICE, "promote_all", by="docs")
            until(stage, lambda status: ended(status, good))
            bad = deploy(stage, "v3", "errors:0.08", steps=(25, 50, 100))
            picture(
                console,
                "greenlane deploy claude-manager --version v3 --strategy canary --watch",
                until(stage, lambda status: ended(status, bad)),
            )
        finally:
            load.stop()
    PICTURE.parent.mkdir(exist_ok=True)
    svg = console.export_svg(title="Greenlane")
    # The viewer's own monospaced font will do; a picture should not call anybody's server.
    PICTURE.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))


def deploy(stage: Stage, version: str, behaviour: str, steps: tuple[int, ...] | None = None) -> str:
    """Start a canary; its id."""
    stage.push(version, behaviour)
    configs = tuple(StepConfig(weight=weight) for weight in steps) if steps else None
    request = DeploymentRequest(
        service=SERVICE,
        version=version,
        strategy="canary",
        steps=configs,
        requested_by="docs",
    )
    return stage.greenlane.deploy(request).deployment_id


def in_the_middle(status: Status) -> bool:
    """At 25 percent, with a verdict on it."""
    record, judgement = status.record, status.judgement
    if record is None or judgement is None or judgement.step != record.step:
        return False
    return judgement.verdict.verdict == "pass" and {slot.weight for slot in status.slots} == {
        25,
        75,
    }


def ended(status: Status, deployment_id: str) -> bool:
    """The deployment has its outcome, and its slots have settled."""
    record = status.record
    return (
        record is not None and record.deployment_id == deployment_id and status.outcome is not None
    )


def until(stage: Stage, reached: Callable[[Status], bool]) -> Status:
    """Look until a status has it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        status = stage.greenlane.status(SERVICE)
        if reached(status):
            return status
        time.sleep(0.2)
    raise TimeoutError(f"not reached within {PATIENCE_SECONDS} s")


def picture(console: Console, command: str, status: Status) -> None:
    """A command and what it prints."""
    console.print(f"[bold]$ {command}[/bold]", highlight=False)
    console.print(status_view(status))
    console.print()


if __name__ == "__main__":
    main()
