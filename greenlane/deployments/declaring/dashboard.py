"""A service's dashboards, from its configuration. Pure; no I/O."""

from typing import Any

from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.workload import Workload
from greenlane.errors import InvalidInput
from greenlane.health.asked import criteria_of
from greenlane.health.dashboards import body_of
from greenlane.health.declared import known_metrics
from greenlane.health.grafana import grafana
from greenlane.health.panels import Panel, panels


def cloudwatch_dashboard(config: ServiceConfig, region: str) -> dict[str, Any]:
    """The body of the one in CloudWatch.

    Raises:
        InvalidInput: it is not known where the service runs.
    """
    return body_of(_panels(config), _workload(config), region)


def grafana_dashboard(config: ServiceConfig, region: str) -> dict[str, Any]:
    """The one for Grafana, as it is imported there.

    Raises:
        InvalidInput: it is not known where the service runs.
    """
    return grafana(_panels(config), _workload(config), region)


def _panels(config: ServiceConfig) -> tuple[Panel, ...]:
    return panels(criteria_of(config), known_metrics(config.metrics, config.database))


def _workload(config: ServiceConfig) -> Workload:
    if config.workload is None:
        raise InvalidInput("service", config.name, "it has no workload; apply its file again")
    return config.workload
