"""Templates come and go over live state, and CloudFormation's rollback with them: nothing moves.

The third proof of docs/adr/0002. The changes are those that a person makes in `cdk.json`; each is
deployed on its own, because another property of the same resource is what makes a handler write
all of them.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from greenlane.deployments.phases import Phase
from greenlane.deployments.reaching import fleet, traffic
from greenlane.local.deploy import Artifact, read_assembly
from greenlane.local.stage import ASSEMBLY
from tests.copied_assembly import copy_assembly
from tests.scenarios.conftest import Scenario
from tests.scenarios.driving import BRISK, LONG, baking, promoted_at_once

pytestmark = pytest.mark.own_cloud
SAMPLE = {
    "shape": {"cpu": 1024, "memory": 2048, "environment": {"LOG_LEVEL": "debug", "NEW": "1"}},
    "capacity": {"min_tasks": 5, "max_tasks": 50},
    "rule_priority": 50,
    "rule_paths": ["/api/*", "/*"],
    "alarms": {"error_rate_percent": 2, "p95_seconds": 2},
}
# What of the changed settings each variant deploys, by the type of the resources that differ.
VARIANTS = {
    "variables and size": {"AWS::SSM::Parameter"},
    "alarm threshold": {"AWS::CloudWatch::Alarm"},
    "rule priority and conditions": {"Custom::ListenerRule"},
}


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> list[Artifact]:
    """The assembly with every setting changed."""
    # Here, because importing the CDK starts Node, which the other scenarios do not need.
    from infra.application import build_app
    from infra.settings import Settings

    context = json.loads(Path("cdk.json").read_text())["context"]
    chosen = deepcopy(context["greenlane"])
    chosen["sample"] |= SAMPLE
    folder = tmp_path_factory.mktemp("assembly")
    settings = Settings.from_context(chosen)
    build_app(settings, context=context, outdir=str(folder), validate=False).synth()
    return read_assembly(folder)


def _only(before: list[Artifact], after: list[Artifact], types: set[str]) -> list[Artifact]:
    """The assembly of before, but for the resources of these types."""
    found = []
    for old, new in zip(before, after, strict=True):
        resources = {
            logical_id: new.template["Resources"][logical_id]
            if body["Type"] in types and logical_id in new.template["Resources"]
            else body
            for logical_id, body in old.template["Resources"].items()
        }
        found.append(replace(old, template={**old.template, "Resources": resources}))
    return found


def _with_other_code(before: list[Artifact], folder: Path) -> list[Artifact]:
    """The assembly of before with one line more in every function's code."""
    paths = {
        key: str(file["source"]["path"])
        for artifact in before
        for key, file in artifact.files.items()
        if (ASSEMBLY / str(file["source"]["path"]) / "functions").is_dir()
    }
    assert paths
    copied = copy_assembly(ASSEMBLY, folder / "assembly", own=frozenset(paths.values()))
    for path in set(paths.values()):
        module = copied / path / "functions" / "__init__.py"
        module.write_text(module.read_text() + "\nRELEASE = 2\n")
    swapped = {key: f"{key[:-4]}beef" for key in paths}
    found = []
    for artifact in before:
        text = json.dumps([artifact.template, artifact.files])
        for key, other in swapped.items():
            # The source keeps its place in the copy; its key in the bucket is new.
            text = text.replace(f"{key}.zip", f"{other}.zip")
        template, files = json.loads(text)
        _rename_versions(template)
        found.append(replace(artifact, directory=copied, template=template, files=files))
    return found


def _rename_versions(template: dict[str, Any]) -> None:
    """A version's logical id follows its function's code."""
    names = {
        logical_id: f"{logical_id[:-4]}beef"
        for logical_id, body in template["Resources"].items()
        if body["Type"] == "AWS::Lambda::Version"
    }
    text = json.dumps(template["Resources"])
    for old, new in names.items():
        text = text.replace(f'"{old}"', f'"{new}"')
    template["Resources"] = json.loads(text)


def _live_state(scenario: Scenario) -> Mapping[str, Any]:
    """Everything that Greenlane writes at run time and no template may touch."""
    workload = scenario.stage.workload
    elbv2, ecs = scenario.cloud.client("elbv2"), scenario.cloud.client("ecs")
    targets = scenario.cloud.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="ecs"
    )["ScalableTargets"]
    limits = ("ResourceId", "MinCapacity", "MaxCapacity", "SuspendedState")
    return {
        "actions": traffic.read_rule(elbv2, workload.listener_rule_arn).actions,
        "services": [
            fleet.read_service(ecs, workload.cluster, slot.service).model_dump(
                include={"desired", "running", "task_definition", "primary_id"}
            )
            for slot in workload.slots.values()
        ],
        "scaling": [{key: target.get(key) for key in limits} for target in targets],
    }


def _replay(scenario: Scenario, artifacts: list[Artifact], what: str) -> None:
    """Deploy and roll back, then deploy: both are changes, and neither touches live state."""
    deployer = scenario.stage.deployer
    before = _live_state(scenario)
    for roll_back in (True, False):
        done = [c for one in artifacts for c in deployer.deploy(one, roll_back=roll_back)]
        assert done, f"{what}: nothing was deployed"
        assert ("undo" in {change.action for change in done}) == roll_back
        assert _live_state(scenario) == before, f"{what}, rolled back: {roll_back}"


def test_changed_templates_and_their_rollback_leave_live_state_alone_in_mid_deployment_and_after(
    scenario: Scenario, changed: list[Artifact], tmp_path: Path
) -> None:
    original = read_assembly(ASSEMBLY)
    # The bake lasts until it is ended, however long this machine takes to deploy.
    scenario.configure(deployment=BRISK | {"steps": [30, 100], "bake": LONG})
    deployment_id = scenario.deploy()
    record = baking(scenario, deployment_id, 30)
    try:
        for what, types in VARIANTS.items():
            _replay(scenario, _only(original, changed, types), what)
        _replay(scenario, _with_other_code(original, tmp_path), "function code")
        _replay(scenario, changed, "everything")
        assert scenario.record().epoch == record.epoch

        promoted_at_once(scenario, deployment_id)
        scenario.until_phase(deployment_id, Phase.WATCHING)
        scenario.until(lambda r: not r.scaling_rests, "the old slot let go")
    finally:
        for artifact in original:
            scenario.stage.deployer.deploy(artifact)
    _replay(scenario, changed, "everything, after the deployment")
    _replay(scenario, original, "everything back")
    assert scenario.percent() == {record.live: 0, record.candidate: 100}
    assert scenario.lost(f"t{scenario.versions}") == 0
