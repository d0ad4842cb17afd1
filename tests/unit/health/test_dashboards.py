import json
import re
from typing import Any, Literal

import pytest
from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, Field

from greenlane.deployments.declaring.dashboard import cloudwatch_dashboard, grafana_dashboard
from greenlane.errors import InvalidInput
from greenlane.health.asked import criteria_of
from greenlane.health.catalogue import CATALOGUE
from greenlane.health.criteria import Condition
from greenlane.health.dashboards import keep_dashboard
from greenlane.health.declared import known_metrics
from greenlane.health.grafana import UNITS
from greenlane.health.panels import panels
from tests.builders import service_config
from tests.observations import criteria, criterion

CONFIG = service_config(
    success_criteria={
        "performance": {
            "error_rate": 0.01,
            "response_time_p95": {"threshold": 1.2, "comparison": "less_than_live"},
        },
        "system": {"cpu_usage": 80, "database_connections": 80},
        "metrics": {"queue_age": 30, "checkout_errors": 0.02},
    },
    rollback_triggers=["error_rate > 0.05", "healthy_hosts < 1", "system_unavailable"],
    alerts={"warning": ["cpu_usage > 75"]},
    metrics={
        "queue_age": {
            "promql": 'max(queue_age{job="{ecs_service}"})',
            "worse": "up",
        },
        "checkout_errors": {
            "parts": {
                "a": {"namespace": "Shop", "metric": "Failed", "dimensions": {"Slot": "{slot}"}},
                "b": {"namespace": "Shop", "metric": "All", "dimensions": {"Slot": "{slot}"}},
            },
            "math": "FILL(a, 0) / b",
            "worse": "up",
        },
    },
)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Step(Strict):
    color: str
    value: float | None


class Thresholds(Strict):
    mode: Literal["absolute"]
    steps: list[Step] = Field(min_length=1)


class Defaults(Strict):
    unit: str
    min: float
    thresholds: Thresholds
    custom: dict[str, Any]


class FieldConfig(Strict):
    defaults: Defaults
    overrides: list[Any]


class Source(Strict):
    type: Literal["prometheus", "cloudwatch"]
    uid: str = Field(pattern=r"^\$\{(prometheus|cloudwatch)\}$")


class Place(Strict):
    x: int = Field(ge=0, le=23)
    y: int = Field(ge=0)
    w: int = Field(ge=1, le=24)
    h: int = Field(ge=1)


class PanelModel(Strict):
    id: int = Field(ge=1)
    type: Literal["timeseries"]
    title: str = Field(min_length=1)
    datasource: Source
    gridPos: Place  # noqa: N815
    fieldConfig: FieldConfig  # noqa: N815
    targets: list[dict[str, Any]] = Field(min_length=1)


class GrafanaModel(Strict):
    uid: str = Field(max_length=40, pattern=r"^[A-Za-z0-9_-]+$")
    title: str
    tags: list[str]
    schemaVersion: int  # noqa: N815
    timezone: str
    refresh: str
    time: dict[str, str]
    templating: dict[str, list[dict[str, str]]]
    panels: list[PanelModel] = Field(min_length=1)


class Widget(Strict):
    type: Literal["metric", "text"]
    x: int = Field(ge=0, le=23)
    y: int = Field(ge=0)
    width: int = Field(ge=1, le=24)
    height: int = Field(ge=1)
    properties: dict[str, Any]


def widgets(config=CONFIG):
    body = cloudwatch_dashboard(config, "eu-west-1")
    return {
        one["properties"].get("title", "text").split(" (")[0]: one["properties"]
        for one in body["widgets"]
        if Widget.model_validate(one)
    }


def test_every_metric_that_is_asked_for_has_a_panel():
    found = panels(criteria_of(CONFIG), known_metrics(CONFIG.metrics))
    names = [panel.metric.name for panel in found]
    assert names[:3] == ["throughput", "error_rate", "response_time_p95"]
    assert {"cpu_usage", "queue_age", "checkout_errors", "healthy_hosts"} <= set(names)
    assert "database_connections" not in names, "its pool is not declared"


def test_limits_are_lines_and_comparisons_are_words():
    known = widgets()
    errors = known["error_rate"]["annotations"]["horizontal"]
    assert {(line["label"], line["value"]) for line in errors} >= {
        ("limit", 0.01),
        ("trigger", 0.05),
    }
    cpu = {line["label"]: line for line in known["cpu_usage"]["annotations"]["horizontal"]}
    assert cpu["warning"]["value"] == 75
    assert cpu["warning"]["color"] != cpu["limit"]["color"]
    assert "at most 20 % worse than live" in known["response_time_p95"]["title"]


def test_both_slots_are_drawn_with_their_own_numbers():
    lines = widgets()["error_rate"]["metrics"]
    shown = [line[-1] for line in lines if line[-1].get("visible", True)]
    assert [one["label"] for one in shown] == ["blue", "green"]
    ids = [line[-1]["id"] for line in lines]
    assert len(ids) == len(set(ids))
    for one in shown:
        used = set(re.findall(r"(?:blue|green)_[a-z]\w*", one["expression"]))
        assert used <= set(ids)
        assert used
    groups = {line[3] for line in lines if "expression" not in line[-1]} | {
        line[5] for line in lines if "expression" not in line[-1]
    }
    assert any("claude-manager-blue" in text for text in groups)


@pytest.mark.parametrize("name", [name for name, one in CATALOGUE.items() if not one.lacks])
def test_every_metric_of_the_catalogue_can_be_drawn(name):
    config = service_config().model_copy(
        update={"criteria": criteria(criterion(name, 1), criterion(name, "0.05", "live"))}
    )
    lines = widgets(config)[name]["metrics"]
    assert all(re.fullmatch(r"[a-z][A-Za-z0-9_]*", line[-1]["id"]) for line in lines)
    GrafanaModel.model_validate(grafana_dashboard(config, "eu-west-1"))


def test_what_prometheus_has_is_named_where_it_cannot_be_drawn():
    assert "queue_age" not in widgets()
    assert "queue_age" in widgets()["text"]["markdown"]


def test_grafana_gets_a_sound_document_with_promql_where_it_is_declared():
    body = grafana_dashboard(CONFIG, "eu-west-1")
    made = GrafanaModel.model_validate(json.loads(json.dumps(body)))
    assert [panel.id for panel in made.panels] == list(range(1, len(made.panels) + 1))
    by_name = {panel.title.split(" (")[0]: panel for panel in made.panels}
    queue = by_name["queue_age"]
    assert queue.datasource.type == "prometheus"
    assert [target["expr"] for target in queue.targets] == [
        'max(queue_age{job="claude-manager-blue"})',
        'max(queue_age{job="claude-manager-green"})',
    ]
    errors = by_name["error_rate"]
    assert errors.datasource.type == "cloudwatch"
    shown = [target for target in errors.targets if not target["hide"]]
    assert [target["label"] for target in shown] == ["blue", "green"]
    ids = {target["id"] for target in errors.targets}
    assert set(re.findall(r"blue_\w+", shown[0]["expression"])) <= ids
    assert [step.color for step in errors.fieldConfig.defaults.thresholds.steps][:2] == [
        "green",
        "red",
    ]
    refs = [target["refId"] for target in errors.targets]
    assert len(refs) == len(set(refs))
    hosts = by_name["healthy_hosts"].fieldConfig.defaults.thresholds.steps
    assert [step.color for step in hosts] == ["red", "green"], "few are bad"


def test_every_unit_has_a_name_in_grafana():
    assert {metric.unit for metric in CATALOGUE.values()} <= set(UNITS)


def test_a_predicate_alone_asks_for_no_panel_of_a_metric_nobody_knows():
    asked = criteria().model_copy(
        update={"conditions": (Condition(expression="system_unavailable", role="critical"),)}
    )
    assert all(panel.metric.name in CATALOGUE for panel in panels(asked, CATALOGUE))


def test_without_a_workload_there_is_none():
    with pytest.raises(InvalidInput, match="no workload"):
        cloudwatch_dashboard(service_config(workload=None), "eu-west-1")


class CloudWatch:
    def __init__(self, answer):
        self.answer = answer

    def put_dashboard(self, **body):
        json.loads(body["DashboardBody"])
        assert body["DashboardName"] == "greenlane-claude-manager"
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "warning"),
    [
        ({}, None),
        ({"DashboardValidationMessages": [{"Message": "no such stat"}]}, "no such stat"),
        (ClientError({"Error": {"Code": "AccessDenied"}}, "PutDashboard"), "apply again"),
    ],
)
def test_a_dashboard_that_is_not_written_is_a_warning(answer, warning):
    said = keep_dashboard(CloudWatch(answer), "claude-manager", {"widgets": []})
    assert [warning in one for one in said] == ([True] if warning else [])
