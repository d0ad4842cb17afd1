"""cfn-lint and cdk-nag have nothing left to say, and would say it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from greenlane.flags.names import TABLE
from tests.infra.conftest import API, MIGRATIONS, PRODUCT, REGIONS, ROOT, SAMPLE, Assembly, Vary
from tests.infra.synthesizing import PIPELINE, STACKS, Synthesizer, Template, context, read
from tests.infra.test_flags_storage import REPLICAS
from tests.infra.test_pipeline_template import WITH_PIPELINE

ALL = "with all that can be chosen"
CHOSEN: dict[str, dict[str, Any]] = {
    "as it is": {},
    ALL: {
        "migrations": MIGRATIONS,
        "regions": REGIONS,
        "flags": {"replicas": REPLICAS},
        **WITH_PIPELINE,
    },
}


@pytest.fixture(scope="module")
def checked(synthesizer: Synthesizer) -> dict[str, Path]:
    return {
        name: synthesizer.together(checked=True, **settings) for name, settings in CHOSEN.items()
    }


def lint(*files: Path, options: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """cfn-lint with the repository's own choice of checks."""
    chosen = yaml.safe_load((ROOT / ".cfnlintrc").read_text())
    program = str(Path(sys.executable).parent / "cfn-lint")
    command = [program, "--regions", *chosen["regions"]]
    command += ["--ignore-checks", *chosen["ignore_checks"], *options, "--", *map(str, files)]
    return subprocess.run(
        command, cwd=files[0].parent, capture_output=True, text=True, check=False, timeout=600
    )


def table_alone(usual: Template, replicated: Template) -> Template:
    """The replicated table, and in outputs each way in which it is named.

    All else is what it is without replicas, and need not be looked at twice.
    """
    table = replicated.only("AWS::DynamoDB::GlobalTable", TableName=TABLE)
    before = usual.only("AWS::DynamoDB::Table", TableName=TABLE)
    text = json.dumps(usual.body).replace(before.logical_id, table.logical_id)
    rest = [without_hashes(one)["Resources"] for one in (text, json.dumps(replicated.body))]
    for resources in rest:
        del resources[table.logical_id]
    assert rest[0] == rest[1]
    named = {json.dumps(one) for one in naming(replicated.body, table.logical_id)}
    outputs = {f"Way{number}": {"Value": json.loads(one)} for number, one in enumerate(named)}
    assert outputs
    return Template({"Resources": {table.logical_id: table.body}, "Outputs": outputs})


def without_hashes(text: str) -> dict[str, Any]:
    """A template whose versions of functions have no hash of what those are configured with."""
    found: dict[str, Any] = json.loads(
        re.sub(r"(CurrentVersion[0-9A-F]{8})[0-9a-f]{32}", r"\1", text)
    )
    return found


def naming(value: Any, logical_id: str) -> Iterator[Any]:
    """Each `Ref` and each `Fn::GetAtt` of a resource."""
    if isinstance(value, dict):
        if value == {"Ref": logical_id} or value.get("Fn::GetAtt", [None])[0] == logical_id:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from naming(part, logical_id)


def test_cfn_lint_finds_nothing_and_ignores_one_check_only(
    assembly: Assembly, vary: Vary, checked: dict[str, Path], tmp_path: Path
) -> None:
    """All of it at once, for cfn-lint takes a second to begin."""
    chosen = yaml.safe_load((ROOT / ".cfnlintrc").read_text())
    everything = checked[ALL]
    templates = {stack: assembly.template(stack) for stack in (PRODUCT, API, SAMPLE)}
    templates["replicas"] = table_alone(
        assembly.product, vary(flags={"replicas": REPLICAS}).product
    )
    templates["pipeline"] = read(everything / f"{PIPELINE}.template.json")
    files = [tmp_path / f"{name}.template.json" for name in templates]
    for file, template in zip(files, templates.values(), strict=True):
        file.write_text(json.dumps(template.body))

    done = lint(*files)

    assert (done.stdout, done.returncode) == ("", 0)
    assert chosen["ignore_checks"] == ["W3005"]


def test_cfn_lint_sees_inside_each_state_machine(whole: Assembly, tmp_path: Path) -> None:
    role = "arn:aws:iam::123456789012:role/states"
    machines = {}
    for found in whole.product.resources("AWS::StepFunctions::StateMachine"):
        definition = json.loads(found.properties["DefinitionString"])
        definition["States"][definition["StartAt"]]["Type"] = "Tusk"
        properties = {"DefinitionString": json.dumps(definition), "RoleArn": role}
        machines[found.logical_id] = {"Type": found.type, "Properties": properties}
    broken = tmp_path / "broken.template.json"
    broken.write_text(json.dumps({"Resources": machines}))

    told = json.loads(lint(broken, options=["--format", "json"]).stdout)

    assert {one["Location"]["Path"][1] for one in told if "Tusk" in one["Message"]} == set(machines)
    assert len(machines) == 8


@pytest.mark.parametrize("name", CHOSEN)
def test_the_checks_find_nothing_that_is_not_acknowledged(
    checked: dict[str, Path], name: str
) -> None:
    report = json.loads((checked[name] / "validation-report.json").read_text())

    # A plugin that finds nothing still reports that it ran.
    assert report["pluginReports"]
    assert [found for plugin in report["pluginReports"] for found in plugin["violations"]] == []


def test_cdk_nag_refuses_what_nobody_acknowledged(synthesizer: Synthesizer, tmp_path: Path) -> None:
    from aws_cdk import aws_sqs as sqs

    from infra.application import build_app
    from infra.settings import Settings

    synthesizer.provide_assets(tmp_path)
    app = build_app(
        Settings.from_context(context()["greenlane"]),
        context=context(),
        outdir=str(tmp_path),
        validate=False,
    )
    sqs.Queue(app.node.find_child(PRODUCT), "Careless")

    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    report = (tmp_path / "validation-report.json").read_text()
    assert "AwsSolutions-SQS4" in report
    assert "Careless" in report


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_made_without_the_others_is_that_of_the_whole_app(
    checked: dict[str, Path], synthesizer: Synthesizer, stack: str
) -> None:
    """So tests may look at one stack, which takes a part of the time."""
    alone = synthesizer.apart(stack, **CHOSEN[ALL])

    assert alone.body == read(checked[ALL] / f"{stack}.template.json").body
