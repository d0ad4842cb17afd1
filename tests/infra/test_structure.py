"""What keeps the repository's picture true: files, templates and state machines name each other."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

from greenlane import errors
from greenlane.health import prometheus
from greenlane.people import inside
from greenlane.pipelines.model import ACTION_FUNCTION
from tests.infra.conftest import PRODUCT, ROOT, SAMPLE, Assembly

MODULES = {path.stem for path in (ROOT / "functions").glob("*.py") if path.stem != "__init__"}
MACHINES = sorted((ROOT / "statemachines").glob("*.asl.json"))


def camel(module: str) -> str:
    return "".join(part.title() for part in module.split("_"))


def test_each_module_of_functions_is_one_function_and_the_other_way_round(
    whole: Assembly,
) -> None:
    handlers = [
        function.properties["Handler"]
        for template in whole.templates.values()
        for function in template.resources("AWS::Lambda::Function")
    ]

    assert sorted(handlers) == sorted(f"functions.{module}.handler" for module in MODULES)


def test_each_file_of_statemachines_is_a_machine_and_the_other_way_round(
    whole: Assembly,
) -> None:
    definitions = [
        machine.properties["DefinitionString"]
        for machine in whole.product.resources("AWS::StepFunctions::StateMachine")
    ]

    assert sorted(definitions) == sorted(path.read_text() for path in MACHINES)


@pytest.mark.parametrize("file", MACHINES, ids=lambda path: path.name)
def test_each_name_in_a_machine_is_bound_and_each_binding_is_used(
    whole: Assembly, file: Path
) -> None:
    machine = whole.product.only(
        "AWS::StepFunctions::StateMachine", DefinitionString=file.read_text()
    ).properties

    used = set(re.findall(r"\$\{(\w+)\}", file.read_text()))
    assert used == set(machine["DefinitionSubstitutions"])


# Called by another function, or by pipelines, by this name.
CALLED_BY_NAME = {
    "post_alerts": inside.FUNCTION,
    "query_prometheus": prometheus.FUNCTION,
    "run_pipeline_action": ACTION_FUNCTION,
}


def test_each_function_is_called_by_a_machine_a_rule_a_topic_a_route_or_the_template(
    whole: Assembly,
) -> None:
    called = {camel(module) for module in CALLED_BY_NAME}
    for file in MACHINES:
        called |= set(re.findall(r"\$\{(\w+)Arn\}", file.read_text()))
    starting = whole.product.resources(
        "AWS::Events::Rule",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::SNS::Subscription",
    )
    starting += whole.api.resources("AWS::ApiGateway::Method")
    rules = json.dumps([rule.body for rule in starting])
    tokens = json.dumps([rule.body for rule in whole.sample.resources("Custom::ListenerRule")])

    # Those of the HTTP API stand in constructs of their own.
    named = re.compile(r'"(?:Flags|ExperimentsApi|Migrations|Restores|Regions)?(\w+?)Function')
    called |= set(named.findall(rules + tokens)) & {camel(module) for module in MODULES}

    assert called >= {camel(module) for module in MODULES}
    for module, name in CALLED_BY_NAME.items():
        whole.product.only("AWS::Lambda::Function", FunctionName=name)
        assert name == f"greenlane-{module.replace('_', '-')}"


def assets(assembly: Assembly, stack: str) -> list[Path]:
    """The folders of a stack's assets."""
    manifest = json.loads((assembly.folder / f"{stack}.assets.json").read_text())
    return [
        assembly.folder / file["source"]["path"]
        for file in manifest["files"].values()
        if file["source"]["packaging"] == "zip"
    ]


def test_functions_ship_the_domain_and_nothing_that_runs_on_a_laptop(assembly: Assembly) -> None:
    (code,) = assets(assembly, SAMPLE)

    shipped = {str(path.relative_to(code)) for path in code.rglob("*") if path.is_file()}

    assert "greenlane/deployments/workload.py" in shipped
    assert {f"functions/{module}.py" for module in MODULES} <= shipped
    assert {Path(file).parts[0] for file in shipped} == {"functions", "greenlane"}
    assert not [
        file
        for file in shipped
        if file.startswith(("greenlane/local/", "greenlane/cli/")) or file.endswith(".pyc")
    ]


def test_migrations_add_the_layer_of_the_parser_and_the_driver(
    assembly: Assembly, whole: Assembly
) -> None:
    before, after = assets(assembly, PRODUCT), assets(whole, PRODUCT)

    (layer,) = {path.name for path in after} - {path.name for path in before}
    for package in ("postgast", "psycopg", "psycopg_binary"):
        assert (whole.folder / layer / "python" / package).is_dir()
    size = sum(path.stat().st_size for path in (whole.folder / layer).rglob("*") if path.is_file())
    assert size < 100 * 1024**2, "both layers and the code have 250 MiB together"


def test_all_functions_share_one_asset_and_the_product_adds_the_layer(assembly: Assembly) -> None:
    ours, both = assets(assembly, SAMPLE), assets(assembly, PRODUCT)

    assert {path.name for path in ours} < {path.name for path in both}
    (layer,) = {path.name for path in both} - {path.name for path in ours}
    assert (assembly.folder / layer / "python" / "pydantic").is_dir()


# What Lambda's Python runtime brings along: boto3 and what that needs. botocore tries certifi and
# has certificates of its own where that is missing.
IN_THE_RUNTIME = {
    "boto3",
    "botocore",
    "certifi",
    "dateutil",
    "jmespath",
    "s3transfer",
    "six",
    "urllib3",
}

IMPORTS = """
import importlib, json, sys
before = set(sys.modules)
for module in sys.argv[1:]:
    importlib.import_module("functions." + module)
after = {name: getattr(sys.modules[name], "__file__", None) or "" for name in sys.modules}
print(json.dumps({name: file for name, file in after.items() if name not in before}))
"""


def imports(modules: set[str]) -> dict[str, str]:
    """All modules that these modules of `functions` import, with their files."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *sorted(modules)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


# They have the parser and the driver besides.
IN_A_DATABASE = {"check_migration", "run_migration", "undo_migration", "verify_restore"}
OWN_RULE = {"own_listener_rule"}


# The listener rule's function has no layer: it must work before the product exists.
@pytest.mark.parametrize(
    ("modules", "layers"),
    [
        (MODULES - OWN_RULE - IN_A_DATABASE, ["layer"]),
        (IN_A_DATABASE, ["layer", "migration-layer"]),
        (OWN_RULE, []),
    ],
    ids=["product", "in_a_database", "own_listener_rule"],
)
def test_what_the_functions_import_is_in_the_layer_or_in_the_runtime(
    modules: set[str], layers: list[str]
) -> None:
    folders = [ROOT / "build" / layer / "python" for layer in layers]
    allowed = IN_THE_RUNTIME | {
        path.name.removesuffix(".py") for folder in folders for path in folder.iterdir()
    }

    imported = imports(modules)

    installed = {
        name.partition(".")[0] for name, file in imported.items() if "site-packages" in file
    }
    assert installed - allowed == set()
    laptop = ("greenlane.local", "greenlane.cli", "infra")
    assert [name for name in imported if name.startswith(laptop)] == []


@pytest.mark.parametrize("layer", ["requirements.txt", "requirements-migrations.txt"])
def test_the_layers_hold_the_versions_that_are_tested(layer: str) -> None:
    def pins(file: Path) -> dict[str, str]:
        lines = [line for line in file.read_text().splitlines() if line and line[0] != "#"]
        return dict(line.lower().replace("_", "-").split("==") for line in lines)

    tested = pins(ROOT / "requirements.txt")
    shipped = pins(ROOT / "functions" / layer)

    assert {name: tested.get(name) for name in shipped} == shipped


def states(definition: Any) -> dict[str, dict[str, Any]]:
    """All states of a definition, those inside Map and Parallel included."""
    found: dict[str, dict[str, Any]] = {}
    for name, state in definition["States"].items():
        found[name] = state
        inner = [state[key] for key in ("ItemProcessor", "Iterator") if key in state]
        for branch in inner + state.get("Branches", []):
            found |= states(branch)
    return found


def targets(state: dict[str, Any]) -> list[str]:
    """Where a state may go."""
    return [
        *([state["Next"]] if "Next" in state else []),
        *([state["Default"]] if "Default" in state else []),
        *(choice["Next"] for choice in state.get("Choices", [])),
        *(catch["Next"] for catch in state.get("Catch", [])),
    ]


@pytest.mark.parametrize("file", MACHINES, ids=lambda path: path.name)
def test_every_state_can_be_reached_and_goes_somewhere_that_exists(file: Path) -> None:
    definition = json.loads(file.read_text())
    all_states = definition["States"]

    reached, open_ends = set(), [definition["StartAt"]]
    while open_ends:
        name = open_ends.pop()
        if name not in reached:
            assert name in all_states, f"{name} is named, but there is no such state"
            reached.add(name)
            open_ends += targets(all_states[name])

    assert reached == set(all_states)
    assert [
        name
        for name, state in states(definition).items()
        if not targets(state) and not state.get("End") and state["Type"] not in ("Succeed", "Fail")
    ] == []


@pytest.mark.parametrize("file", MACHINES, ids=lambda path: path.name)
def test_every_task_is_retried_and_no_state_spells_out_a_weight(file: Path) -> None:
    found = states(json.loads(file.read_text()))

    assert [
        name for name, state in found.items() if state["Type"] == "Task" and not state.get("Retry")
    ] == []
    assert [name for name in found if re.search(r"\d", name)] == []


@pytest.mark.parametrize("file", MACHINES, ids=lambda path: path.name)
def test_every_error_that_a_machine_names_exists(file: Path) -> None:
    """Lambda reports the class name of an exception: ours, or botocore's."""
    named = {
        error
        for state in states(json.loads(file.read_text())).values()
        for clause in state.get("Retry", []) + state.get("Catch", [])
        for error in clause["ErrorEquals"]
    }

    assert {
        error
        for error in named
        if not error.startswith(("States.", "Lambda."))
        and not hasattr(errors, error)
        and not hasattr(botocore.exceptions, error)
    } == set()
