"""cfn-lint and cdk-nag have nothing left to say, and would say it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.infra.conftest import API, PRODUCT, ROOT, SAMPLE, Assembly, context


def lint(*files: Path) -> subprocess.CompletedProcess[str]:
    """cfn-lint with the repository's own choice of checks."""
    chosen = yaml.safe_load((ROOT / ".cfnlintrc").read_text())
    program = str(Path(sys.executable).parent / "cfn-lint")
    command = [program, "--regions", *chosen["regions"]]
    command += ["--ignore-checks", *chosen["ignore_checks"], "--", *map(str, files)]
    return subprocess.run(
        command, cwd=files[0].parent, capture_output=True, text=True, check=False, timeout=120
    )


def test_cfn_lint_finds_nothing_and_ignores_one_check_only(assembly: Assembly) -> None:
    chosen = yaml.safe_load((ROOT / ".cfnlintrc").read_text())
    templates = [assembly.folder / f"{stack}.template.json" for stack in (PRODUCT, API, SAMPLE)]

    done = lint(*templates)

    assert (done.stdout, done.returncode) == ("", 0)
    assert chosen["ignore_checks"] == ["W3005"]


def test_cfn_lint_sees_inside_the_state_machines(assembly: Assembly, tmp_path: Path) -> None:
    template = json.loads((assembly.folder / f"{PRODUCT}.template.json").read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            definition = json.loads(resource["Properties"]["DefinitionString"])
            definition["States"][definition["StartAt"]]["Type"] = "Tusk"
            resource["Properties"]["DefinitionString"] = json.dumps(definition)
    broken = tmp_path / "broken.template.json"
    broken.write_text(json.dumps(template))

    assert "Tusk" in lint(broken).stdout


def test_cdk_nag_finds_nothing_that_is_not_acknowledged(assembly: Assembly) -> None:
    report = json.loads((assembly.folder / "validation-report.json").read_text())

    # A plugin whose findings are all acknowledged still reports that it ran.
    assert [found for plugin in report["pluginReports"] for found in plugin["violations"]] == []


def test_cdk_nag_refuses_what_nobody_acknowledged(tmp_path: Path) -> None:
    from aws_cdk import aws_sqs as sqs

    from infra.application import build_app
    from infra.settings import Settings

    app = build_app(
        Settings.from_context(context()["greenlane"]), context=context(), outdir=str(tmp_path)
    )
    sqs.Queue(app.node.find_child(PRODUCT), "Careless")

    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    report = (tmp_path / "validation-report.json").read_text()
    assert "AwsSolutions-SQS4" in report
    assert "Careless" in report
