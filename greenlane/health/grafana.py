"""The same panels as a Grafana dashboard, for people who use Prometheus. Pure; no I/O.

A metric that is declared by PromQL is asked of Prometheus, any other of CloudWatch, through two
data source variables that Grafana asks for when the dashboard is imported.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from greenlane.deployments.model import Slot
from greenlane.deployments.workload import Workload
from greenlane.health.alarm_definitions import PERIOD_SECONDS, places_of
from greenlane.health.catalogue import Unit, filled
from greenlane.health.dashboards import name_of, with_ids
from greenlane.health.panels import Panel

SCHEMA_VERSION = 39
WIDTH, HEIGHT, IN_A_ROW = 12, 8, 2
LONGEST_UID = 40

UNITS: Mapping[Unit, str] = {
    "ratio": "percentunit",
    "ms": "ms",
    "percent": "percent",
    "per minute": "short",
    "count": "short",
    "score": "short",
    "currency": "short",
}
"""Grafana's names of our units."""

_SOURCES = (("prometheus", "Prometheus"), ("cloudwatch", "CloudWatch"))


def grafana(panels: Sequence[Panel], workload: Workload, region: str) -> dict[str, Any]:
    """A dashboard as Grafana imports it."""
    service = workload.service
    return {
        "uid": name_of(service)[:LONGEST_UID],
        "title": f"Greenlane: {service}",
        "tags": ["greenlane", service],
        "schemaVersion": SCHEMA_VERSION,
        "timezone": "utc",
        "refresh": "1m",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {"name": name, "label": label, "type": "datasource", "query": name}
                for name, label in _SOURCES
            ]
        },
        "panels": [_panel(number, panel, workload, region) for number, panel in enumerate(panels)],
    }


def _panel(number: int, panel: Panel, workload: Workload, region: str) -> dict[str, Any]:
    kind = "cloudwatch" if panel.metric.promql is None else "prometheus"
    source = {"type": kind, "uid": f"${{{kind}}}"}
    targets = (
        _of_prometheus(panel, workload)
        if panel.metric.promql is not None
        else _of_cloudwatch(panel, workload, region)
    )
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": source,
        "gridPos": {
            "x": WIDTH * (number % IN_A_ROW),
            "y": HEIGHT * (number // IN_A_ROW),
            "w": WIDTH,
            "h": HEIGHT,
        },
        "fieldConfig": {
            "defaults": {
                "unit": UNITS[panel.metric.unit],
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": _thresholds(panel)},
                "custom": {"thresholdsStyle": {"mode": "line"}},
            },
            "overrides": [],
        },
        "targets": [
            {"refId": f"Q{place}", "datasource": source, **target}
            for place, target in enumerate(targets)
        ],
    }


def _thresholds(panel: Panel) -> list[dict[str, Any]]:
    """Colours from the lowest value up; the first has none, as Grafana wants it."""
    good, bad = ("green", "red") if panel.metric.worse == "up" else ("red", "green")
    limits = sorted({float(line.value) for line in panel.lines})
    lowest = good if limits else "green"
    return [{"color": lowest, "value": None}, *({"color": bad, "value": one} for one in limits)]


def _of_prometheus(panel: Panel, workload: Workload) -> Iterator[dict[str, Any]]:
    for slot in panel.slots:
        text = filled(panel.metric.promql or "", places_of(workload, slot))
        yield {"expr": text, "legendFormat": slot or "service", "interval": "1m"}


def _of_cloudwatch(panel: Panel, workload: Workload, region: str) -> Iterator[dict[str, Any]]:
    for slot in panel.slots:
        yield from _of_slot(panel, workload, region, slot)


def _of_slot(
    panel: Panel, workload: Workload, region: str, slot: Slot | None
) -> Iterator[dict[str, Any]]:
    metric, whose = panel.metric, slot or "service"
    alone = metric.math in metric.parts
    common = {
        "region": region,
        "queryMode": "Metrics",
        "metricQueryType": 0,
        "period": str(PERIOD_SECONDS),
    }
    for name, part in metric.parts.items():
        yield {
            **common,
            "id": f"{whose}_{name}",
            "metricEditorMode": 0,
            "namespace": part.namespace,
            "metricName": part.metric,
            "statistic": part.statistic,
            "dimensions": part.filled(places_of(workload, slot)),
            "matchExact": True,
            "label": whose,
            "hide": not alone or name != metric.math,
        }
    if not alone:
        yield {
            **common,
            "id": f"{whose}__value",
            "metricEditorMode": 1,
            "expression": with_ids(metric, lambda name: f"{whose}_{name}"),
            "label": whose,
            "hide": False,
        }
