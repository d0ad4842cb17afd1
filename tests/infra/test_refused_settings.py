"""What the templates refuse to be made from, by name."""

import pytest
from pydantic import ValidationError

from infra.application import build_app
from infra.settings import Settings
from infra.workflows import UnboundName
from tests.infra.conftest import Synthesizer, context


def test_an_adopted_service_names_both_of_its_ecs_services() -> None:
    chosen = context()["greenlane"]
    chosen["services"][0]["ecs_services"] = {"blue": "web-a"}

    with pytest.raises(ValidationError, match=r"ecs_services: name blue's and green's"):
        Settings.from_context(chosen)


def test_a_misspelt_setting_is_an_error_that_names_it() -> None:
    chosen = context()["greenlane"]
    chosen["sample"]["rule_prority"] = 5

    with pytest.raises(ValidationError, match="rule_prority"):
        Settings.from_context(chosen)


def test_a_machine_that_names_an_unknown_function_does_not_synthesize(
    synthesizer: Synthesizer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assembly = tmp_path_factory.mktemp("assembly")
    synthesizer.provide_assets(assembly)
    folder = tmp_path_factory.mktemp("machines")
    (folder / "deployment.asl.json").write_text('{"Resource": "${NobodyArn}"}')

    with pytest.raises(UnboundName, match="NobodyArn"):
        build_app(
            Settings.from_context(context()["greenlane"]),
            context=context(),
            outdir=str(assembly),
            state_machines=folder,
        )
