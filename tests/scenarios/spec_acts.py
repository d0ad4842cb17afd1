"""What the scenario of the spec's files does: apply by the command, and what it looks at."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from greenlane.cli.main import app
from greenlane.cli.session import Session
from greenlane.local.journal import Request
from greenlane.local.server import HttpReply
from greenlane.local.stage import SERVICE
from tests.scenarios.conftest import Scenario

SPEC = Path("tests/data/spec")
FLAGS = SPEC / "feature-flags.yaml"
TESTS = SPEC / "ab-tests.yaml"
REGIONS = SPEC / "multi-region-config.yaml"


def command(client: Any, *line: str) -> str:
    """Run one command line against a cloud, by its `client`; what it printed."""
    session = Session()
    session.__dict__ |= {"client": client, "principal": "a test"}
    done = CliRunner().invoke(app, ["--by", "a test", *line], obj=session)
    assert done.exit_code == 0, done.output
    return done.stdout


def on(scenario: Scenario, *line: str) -> str:
    """Run one command line against the scenario's cloud; what it printed."""
    return command(scenario.stage.greenlane, *line)


def documents(scenario: Scenario, *line: str) -> list[Any]:
    """The JSON documents that a command line printed."""
    printed = on(scenario, "-o", "json", *line)
    return [json.loads(one) for one in printed.splitlines()]


def evidence(scenario: Scenario, version: str, *names: str) -> None:
    """Post that an image passed these, as a pipeline does."""
    repository = scenario.stage.workload.repository
    (image,) = scenario.cloud.client("ecr").describe_images(
        repositoryName=repository, imageIds=[{"imageTag": version}]
    )["imageDetails"]
    for name in names:
        said = ("--status", "pass", "--digest", image["imageDigest"], "--issuer", "a test")
        on(scenario, "evidence", "post", SERVICE, name, *said, "--expires", "7d")


def scanned(request: Request) -> HttpReply | None:
    """A scan without findings: moto knows one HIGH finding of every image that it scans."""
    if request.operation != "DescribeImageScanFindings":
        return None
    found = {
        "imageScanStatus": {"status": "COMPLETE"},
        "imageScanFindings": {"findings": [], "findingSeverityCounts": {}},
    }
    kind = ("Content-Type", "application/x-amz-json-1.1")
    return HttpReply(200, [kind], json.dumps(found).encode())
