import json

import pytest

from tests.aws_account import applied as applied
from tests.aws_account import aws as aws
from tests.aws_account import greenlane as greenlane
from tests.aws_account import workload as workload

PLAIN = "service: {name: claude-manager, deployment: {bake: 4m}}"
WITHOUT = "service: {name: claude-manager, monitoring: {dashboard: false}}"


@pytest.fixture
def client(applied):
    """The account behind the command, instead of the fake one."""
    return applied


def test_apply_puts_it_and_putting_it_again_changes_nothing(client):
    watch = client.connection.client("cloudwatch")
    (first,) = watch.dashboards.values()
    assert list(watch.dashboards) == ["greenlane-claude-manager"]
    client.apply(PLAIN, by="jo")
    assert watch.dashboards["greenlane-claude-manager"] == first


def test_it_can_be_left_out(client):
    watch = client.connection.client("cloudwatch")
    watch.dashboards.clear()
    client.apply(WITHOUT, by="jo")
    assert watch.dashboards == {}


def test_the_command_prints_both_kinds(run, client):
    body = json.loads(run("dashboard", "claude-manager").stdout)
    watch = client.connection.client("cloudwatch")
    assert body == json.loads(watch.dashboards["greenlane-claude-manager"])
    grafana = json.loads(run("dashboard", "claude-manager", "--grafana").stdout)
    assert grafana["uid"] == "greenlane-claude-manager"
    assert run("dashboard", "nobody").exit_code != 0
