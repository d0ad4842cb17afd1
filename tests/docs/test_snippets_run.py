"""Snippets that belong to no page's own test, run as they stand beside a cloud that is made up."""

import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec, patch

import pytest
from botocore import xform_name
from botocore.session import Session
from typer.testing import CliRunner

from greenlane.cli.main import app
from greenlane.cli.regions_table import rollout_lines
from greenlane.deployments.client import Greenlane
from greenlane.deployments.model import DeploymentRequest
from greenlane.deployments.stepping.before_traffic import call_hooks
from greenlane.deployments.workload import Workload
from greenlane.experiments.answering import Answers
from greenlane.flags import FeatureFlagManager
from greenlane.health.evidence import EvidenceBook
from greenlane.incidents.reports import Reports
from greenlane.local.daemon import DaemonState
from greenlane.local.loadgen import LoadGenerator
from greenlane.local.telemetry import embedded_metrics
from greenlane.migrations.managing.places import Places
from greenlane.people.announcement import Announcement
from greenlane.regions.coordinating.api import MultiRegionDeployment
from greenlane.regions.coordinating.beginning import record_of
from greenlane.regions.declaring.document import read_regions
from greenlane.regions.planning.planner import plan_regions
from infra.settings import Settings
from tests.docs.pages import ROOT, blocks
from tests.docs.test_snippets import GREENLANE, commands, parse


def block(page: str, language: str, part: str = "") -> str:
    """The one block of a page in a language that has some text."""
    (found,) = [b.text for b in blocks(language) if b.page.name == page and part in b.text]
    return found


def run(page: str, part: str, names: dict[str, Any] | None = None) -> dict[str, Any]:
    names = {} if names is None else names
    exec(compile(block(page, "python", part), page, "exec"), names)
    return names


@pytest.fixture
def client() -> Any:
    """What `Greenlane.connect` gives, in the place of a cloud."""
    made = create_autospec(Greenlane, instance=True)
    made.evidence = create_autospec(EvidenceBook, instance=True)
    made.connection = SimpleNamespace()
    with patch.object(Greenlane, "connect", autospec=True, return_value=made):
        yield made


def test_traffic_is_sent_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    state = DaemonState(
        pid=1,
        endpoint_url="http://127.0.0.1:1",
        region="eu-west-1",
        origin=datetime(2026, 1, 1, tzinfo=UTC),
        time_scale=10,
        balancers={"claude-manager": {80: "http://127.0.0.2:3"}},
    )
    fleet = create_autospec(LoadGenerator)
    inside = fleet.return_value.__enter__.return_value = create_autospec(
        LoadGenerator, instance=True
    )
    inside.snapshot.return_value.by_version.return_value = {"v1": {"ok": 1, "failed": 0}}
    with (
        patch("greenlane.local.daemon.read_state", autospec=True, return_value=state),
        patch("greenlane.local.loadgen.LoadGenerator", fleet),
        patch("time.sleep", side_effect=[None, KeyboardInterrupt]),
        pytest.raises(KeyboardInterrupt),
    ):
        run("getting-started.md", "LoadGenerator")

    fleet.assert_called_once_with("http://127.0.0.2:3", requests_per_second=60)
    said = "sending to http://127.0.0.2:3\n{'v1': {'ok': 1, 'failed': 0}}\n"
    assert capsys.readouterr().out == said


def test_a_release_names_its_migrations_as_shown(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT / "examples" / "claude_manager")
    names = {"greenlane": client, "Path": Path, "DeploymentRequest": DeploymentRequest}
    with patch.object(Places, "keep_plan", autospec=True, return_value="a" * 64):
        asked = run("deployments.md", "release_migrations", names)["request"]

    assert asked.migrations.phases == ("expand", "migrate")
    assert asked.migrations.plan == "a" * 64


def test_evidence_is_posted_as_shown(client: Any) -> None:
    run("evidence.md", "evidence.post")

    assert client.evidence.post.call_args.kwargs["status"] == "pass"


def test_a_report_is_read_as_shown(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    found = SimpleNamespace(report=SimpleNamespace(summary=("it went back",), affected=7), url="u")
    with patch.object(Reports, "get", autospec=True, return_value=found) as get:
        run("incidents.md", "Reports")

    assert get.call_args.args[1] == "claude-manager"
    assert capsys.readouterr().out == "it went back 7 u\n"


def test_flags_and_tests_are_asked_in_process_as_shown() -> None:
    with (
        patch.object(FeatureFlagManager, "connect", create_autospec(FeatureFlagManager.connect)),
        patch.object(Answers, "connect", create_autospec(Answers.connect)) as answers,
        patch("openfeature.api.set_provider", autospec=True) as chosen,
    ):
        run("experiments-api.md", "Answers.connect")

    answers.assert_called_once_with()
    assert type(chosen.call_args.args[0]).__name__ == "GreenlaneProvider"


def test_expressions_are_evaluated_as_shown() -> None:
    assert run("expressions.md", "evaluate")["series"]


def test_a_misspelt_expression_is_refused_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    right = block("expressions.md", "yaml", "canary:")
    Path("canary.yaml").write_text(right.replace("error_rate > 0.05", "eror_rate > 0.05"))
    (line,) = block("expressions.md", "bash", "--check").splitlines()

    said = CliRunner().invoke(app, line.split()[1:])

    assert said.exit_code == 2
    assert said.output.strip() == block("expressions.md", "text").strip()


def test_a_database_of_ones_own_starts_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    run("local-cloud.md", "LocalPostgres")

    assert "CREATE TABLE public.item" in capsys.readouterr().out


def test_a_version_goes_through_regions_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("multi-region.yaml").write_text(block("regions.md", "yaml"))
    with patch.object(
        MultiRegionDeployment, "deploy_globally", autospec=True, return_value=True
    ) as deploy:
        run("regions-running.md", "deploy_globally")

    assert deploy.call_args.args[1:] == ("1.4.2", "canary")


def test_a_rollout_looks_as_shown() -> None:
    document = read_regions(block("regions.md", "yaml"))
    began = datetime(2026, 11, 30, 14, tzinfo=UTC)
    plan = plan_regions(document, now=began)
    asked = DeploymentRequest(service="claude-manager", version="1.4.2")
    record = record_of(
        plan,
        document,
        asked,
        rollout_id="claude-manager-20261130-140000-5d1f",
        home="eu-west-1",
        now=began,
    )
    now = datetime(2026, 12, 1, 5, tzinfo=UTC)
    done = {wave.number: wave.baked_at for wave in plan.waves if wave.baked_at < now}
    regions = {
        name: one.model_copy(update={"state": "succeeded", "since": done[one.wave]})
        if one.wave in done
        else one
        for name, one in record.regions.items()
    }
    waits = "us-west-2: outside of its window"
    record = record.model_copy(update={"regions": regions, "blocked": waits})

    shown = block("regions-running.md", "text").splitlines()
    assert [line.rstrip() for line in rollout_lines(record, now)] == shown


def test_settings_that_are_shown_are_accepted() -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]["greenlane"]
    flags = json.loads(block("flags-operating.md", "json"))
    operators = json.loads(block("notifications.md", "json", "operators"))["context"]["greenlane"]

    assert Settings.from_context(context | flags).flags.replicas
    assert Settings.from_context(context | operators).operators == ("oncall@example.com",)


def test_the_policy_of_whoever_applies_is_what_applying_calls() -> None:
    statements = json.loads(block("deploying-to-aws.md", "json", "Statement"))["Statement"]
    said = {
        name
        for one in statements
        for name in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }
    health = ROOT / "greenlane" / "health"
    source = (health / "alarm_keeping.py").read_text() + (health / "dashboards.py").read_text()
    operations = Session().get_service_model("cloudwatch").operation_names

    assert said == {
        f"cloudwatch:{name}" for name in operations if re.search(rf"\b{xform_name(name)}\b", source)
    }


def test_the_parameter_of_a_workload_by_hand_is_a_workload() -> None:
    shown = Workload.model_validate(json.loads(block("deploying-to-aws.md", "json", "slots")))

    assert set(shown.slots) == {"blue", "green"}


def test_a_hook_gets_what_is_shown() -> None:
    shown = json.loads(block("deployments.md", "json"))
    functions = SimpleNamespace(asked=[])

    def invoke(**asked: Any) -> dict[str, Any]:
        functions.asked.append(json.loads(asked["Payload"]))
        return {"Payload": io.BytesIO(b'{"verdict": "pass", "reason": "..."}')}

    functions.invoke = invoke
    plan = SimpleNamespace(
        deployment_id="...", service="claude-manager", candidate="green", image=shown["image"]
    )
    with patch("greenlane.deployments.stepping.before_traffic.note", autospec=True):
        call_hooks(
            SimpleNamespace(functions=functions),  # type: ignore[arg-type]
            plan,  # type: ignore[arg-type]
            ["arn:aws:lambda:eu-west-1:123456789012:function:greenlane-hook-x"],
            phase="step",
            step=0,
            weight=10,
        )

    assert functions.asked == [shown]


def test_a_webhook_gets_what_is_shown() -> None:
    shown = json.loads(block("notifications.md", "json", "schema_version"))
    news = Announcement.model_validate(shown)

    assert json.loads(news.model_dump_json()).keys() == shown.keys()


def test_the_line_of_a_log_is_metrics_of_the_slot() -> None:
    line = json.dumps(json.loads(block("metrics.md", "json"))).encode()

    found = {metric["MetricName"]: metric for _, metric in embedded_metrics(line)}

    assert found["revenue"]["Values"] == [0, 34.5, 0, 0]
    assert {one["Name"] for one in found["conversion_rate"]["Dimensions"]} == {"Service", "Slot"}
    assert {name for name, _ in embedded_metrics(line)} == {"Greenlane/Business"}


@pytest.mark.parametrize(
    "file", sorted((ROOT / "examples").rglob("*.y*ml")), ids=lambda file: str(file.name)
)
def test_the_commands_in_the_comments_of_the_examples_are_real(file: Path) -> None:
    text = "\n".join(
        line.removeprefix("#").strip() for line in file.read_text().splitlines() if line[:1] == "#"
    )
    for _, *arguments in commands(text, "greenlane"):
        parse(GREENLANE, arguments)
        for argument in arguments:
            assert not argument.startswith("examples/") or (ROOT / argument).is_file()
