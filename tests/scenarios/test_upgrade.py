"""Greenlane itself is upgraded while it deploys: the deployment goes on, on what it began with."""

import json
import re
from pathlib import Path

import pytest

from greenlane.local.stage import ASSEMBLY, SERVICE
from tests.copied_assembly import copy_assembly
from tests.scenarios import acts
from tests.scenarios.conftest import Scenario
from tests.scenarios.driving import LONG

pytestmark = pytest.mark.own_cloud
PRODUCT = "Greenlane"
# What CDK appends to a version's logical id: the hash of its function.
HASH_OF_A_VERSION = re.compile(r"(CurrentVersion[0-9A-F]{8})[0-9a-f]{32}\b")
NEW_HASH = "0123456789abcdef" * 2


def newer_assembly(directory: Path) -> Path:
    """The synthesized product as after a change of its functions' code: one comment more."""
    text = (ASSEMBLY / f"{PRODUCT}.template.json").read_text()
    (old,) = {
        resource["Properties"]["Code"]["S3Key"].removesuffix(".zip")
        for resource in json.loads(text)["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
    }
    new = old[::-1]
    assembly = copy_assembly(ASSEMBLY, directory / "cdk.out", own=frozenset({f"asset.{old}"}))
    (assembly / f"asset.{old}").rename(assembly / f"asset.{new}")
    with (assembly / f"asset.{new}" / "greenlane" / "entrypoint.py").open("a") as code:
        code.write("# A newer version.\n")
    assets = assembly / f"{PRODUCT}.assets.json"
    assets.write_text(assets.read_text().replace(old, new))
    template = assembly / f"{PRODUCT}.template.json"
    template.write_text(HASH_OF_A_VERSION.sub(rf"\g<1>{NEW_HASH}", text.replace(old, new)))
    return assembly


def versions_used(scenario: Scenario, deployment_id: str) -> set[str]:
    """The published versions of functions that a forward execution called."""
    arn = acts.execution_arn(scenario, deployment_id)
    answer = scenario.cloud.client("stepfunctions").get_execution_history(executionArn=arn)
    text = json.dumps(answer["events"], default=str)
    return set(re.findall(r":function:greenlane-[a-z-]+:(\d+)", text))


def test_an_upgrade_in_mid_deployment_is_survived(scenario: Scenario, tmp_path: Path) -> None:
    # The first bake lasts as long as the upgrade does.
    first = {"weight": 10, "bake": LONG}
    scenario.configure(deployment={"steps": [first, 100], "watch": "0s"})
    live, idle = acts.slots(scenario)
    upgrade = newer_assembly(tmp_path)
    deployment_id = scenario.deploy()
    version = f"t{scenario.versions}"
    acts.in_bake(scenario, deployment_id, 10)

    changes = scenario.stage.deployer.deploy_assembly(upgrade)

    done = {(change.action, change.type) for change in changes[PRODUCT]}
    assert ("update", "AWS::Lambda::Function") in done
    assert ("create", "AWS::Lambda::Version") in done
    assert ("update", "AWS::StepFunctions::StateMachine") in done
    assert ("delete", "AWS::Lambda::Version") not in done, "what runs still calls the old ones"
    assert changes["GreenlaneWorkload"] == []
    record = scenario.record()
    assert (record.deployment_id, record.weight) == (deployment_id, 10), "it still bakes"
    scenario.stage.greenlane.signal(SERVICE, "promote", by="a test")

    assert scenario.outcome(deployment_id) == "succeeded"
    assert acts.slots(scenario) == (idle, live)
    assert scenario.lost(version) == 0
    acts.clients_see(scenario, version)
    (before,) = versions_used(scenario, deployment_id)

    scenario.configure(deployment=acts.SHORT)
    following = scenario.deploy()
    assert scenario.outcome(following) == "succeeded"
    (after,) = versions_used(scenario, following)
    assert int(after) > int(before)
    assert scenario.lost(f"t{scenario.versions}") == 0
