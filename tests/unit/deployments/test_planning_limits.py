"""Planning asks much that may hang and that it can do without: it must end inside its limit."""

from unittest.mock import Mock

import pytest
from botocore.exceptions import ReadTimeoutError

from greenlane.runtime import Runtime
from infra.catalog import FORWARD
from tests.builders import NEW_IMAGE

CLIENTS = ("ecr_quick", "inspector2", "cloudwatch_quick", "relay")
FOR_THE_REST = 45
"""Seconds: one other client at its slowest."""


def hanging():
    client = Mock()
    client.meta.region_name = "eu-west-1"
    problem = ReadTimeoutError(endpoint_url="https://example.com")
    client.describe_image_scan_findings.side_effect = problem
    client.list_findings.side_effect = problem
    client.get_metric_data.side_effect = problem
    client.invoke.side_effect = problem
    return client


@pytest.fixture
def hung(world):
    """The clients of scans, metrics and Prometheus, none of which answers."""
    clients = {name: hanging() for name in CLIENTS}
    world.runtime.__dict__.update(clients)
    world.configure(
        success_criteria={"security": {"vulnerability_scan": "pass"}},
        judge={"error_rate": "0.01"},
    )
    return clients


def seconds(client):
    config = client.meta.config
    attempts = config.retries["total_max_attempts"]
    return attempts * (config.connect_timeout + config.read_timeout) + 2 ** (attempts - 1) - 1


def test_a_plan_whose_scans_and_metrics_hang_ends_in_time(world, hung, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    world.calls.clear()
    world.planned(image=NEW_IMAGE)
    assert ("cloudwatch", "get_metric_data") not in world.calls
    assert ("ecr", "describe_image_scan_findings") not in world.calls
    real = Runtime(settings=world.runtime.settings, actor="test")
    spent = 0.0
    for name, client in hung.items():
        spent += seconds(getattr(real, name)) * max(len(client.method_calls), 1)
    assert hung["cloudwatch_quick"].get_metric_data.called
    assert hung["ecr_quick"].describe_image_scan_findings.called
    limit = next(spec.timeout_seconds for spec in FORWARD if spec.module == "plan_deployment")
    assert spent + FOR_THE_REST <= limit
