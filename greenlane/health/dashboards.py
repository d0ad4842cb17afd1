"""The CloudWatch dashboard of a service's criteria, and its edge: `apply` puts it.

The body is made of the criteria alone, so putting it again changes nothing.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.model import Slot
from greenlane.deployments.workload import Workload
from greenlane.health.alarm_definitions import PERIOD_SECONDS, places_of
from greenlane.health.catalogue import Metric
from greenlane.health.panels import Panel

WIDTH, HEIGHT, IN_A_ROW = 12, 6, 2
COLOURS: Mapping[Slot | None, str] = {"blue": "#1f77b4", "green": "#2ca02c", None: "#7f7f7f"}
_RED = "#d62728"
_ORANGE = "#ff9900"
_ID = re.compile(r"(?<![\w.])[a-z]\w*")


def name_of(service: str) -> str:
    """What the service's dashboard is called."""
    return f"greenlane-{service}"


def body_of(panels: Sequence[Panel], workload: Workload, region: str) -> dict[str, Any]:
    """A dashboard's body: each metric of both slots, with its limits as lines.

    What is read from Prometheus cannot be drawn here; it is named in a text.
    """
    drawn = [panel for panel in panels if panel.metric.promql is None]
    widgets = [
        {
            "type": "metric",
            "x": WIDTH * (number % IN_A_ROW),
            "y": HEIGHT * (number // IN_A_ROW),
            "width": WIDTH,
            "height": HEIGHT,
            "properties": _properties(panel, workload, region),
        }
        for number, panel in enumerate(drawn)
    ]
    others = [panel.metric.name for panel in panels if panel.metric.promql is not None]
    if others:
        text = f"Read from Prometheus, so not shown here: {', '.join(others)}"
        row = -(-len(drawn) // IN_A_ROW)
        widgets.append(
            {
                "type": "text",
                "x": 0,
                "y": HEIGHT * row,
                "width": 24,
                "height": 2,
                "properties": {"markdown": text},
            }
        )
    return {"widgets": widgets}


def _properties(panel: Panel, workload: Workload, region: str) -> dict[str, Any]:
    metrics = [line for slot in panel.slots for line in _metrics(panel.metric, workload, slot)]
    properties: dict[str, Any] = {
        "title": panel.title,
        "region": region,
        "view": "timeSeries",
        "stacked": False,
        "period": PERIOD_SECONDS,
        "metrics": metrics,
        "yAxis": {"left": {"min": 0}},
    }
    if panel.lines:
        properties["annotations"] = {
            "horizontal": [
                {
                    "label": line.label,
                    "value": float(line.value),
                    "color": _ORANGE if line.label == "warning" else _RED,
                }
                for line in panel.lines
            ]
        }
    return properties


def _metrics(metric: Metric, workload: Workload, slot: Slot | None) -> Iterator[list[Any]]:
    """A metric's lines for one slot: its parts, hidden, and what is made of them."""
    whose = slot or "service"
    alone = metric.math in metric.parts
    shown = {"label": whose, "color": COLOURS[slot]}
    used = set(_ID.findall(metric.math)) & set(metric.parts)
    for name, part in metric.parts.items():
        if name not in used:
            continue
        places = [text for pair in part.filled(places_of(workload, slot)).items() for text in pair]
        options: dict[str, Any] = {"id": f"{whose}_{name}", "stat": part.statistic}
        options |= shown if alone else {"visible": False}
        yield [part.namespace, part.metric, *places, options]
    if not alone:
        text = with_ids(metric, lambda name: f"{whose}_{name}")
        yield [{"expression": text, "id": f"{whose}__value", **shown}]


def with_ids(metric: Metric, rename: Callable[[str], str]) -> str:
    """A metric's math with the ids of its parts replaced."""
    return _ID.sub(
        lambda found: rename(found[0]) if found[0] in metric.parts else found[0], metric.math
    )


def keep_dashboard(cloudwatch: Any, service: str, body: Mapping[str, Any]) -> tuple[str, ...]:
    """Put the dashboard; what went wrong, as warnings: it decides nothing."""
    name = name_of(service)
    text = json.dumps(body, sort_keys=True)
    try:
        answer = cloudwatch.put_dashboard(DashboardName=name, DashboardBody=text)
    except (ClientError, BotoCoreError) as error:
        return (f"dashboard: {name} is not written, apply again: {error}",)
    said = answer.get("DashboardValidationMessages") or ()
    return tuple(f"dashboard: {name}: {one.get('Message', '')}" for one in said)
