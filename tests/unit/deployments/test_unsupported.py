"""A file whose workload is of a kind that is not supported is refused by that kind's name."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from greenlane.cli.main import app
from greenlane.deployments.declaring.document import read_document
from greenlane.deployments.declaring.unsupported import (
    CROSS_ACCOUNT,
    GRPC,
    NLB,
    REASONS,
    SERVICE_CONNECT,
    SERVICE_DISCOVERY,
)
from greenlane.problems import InvalidDocument
from tests.builders import workload


def text(**changes: Any) -> str:
    made = json.loads(workload().model_dump_json())
    return yaml.safe_dump({"service": {"name": made["service"], "workload": made | changes}})


def elsewhere(slot: str) -> dict[str, Any]:
    slots = json.loads(workload().model_dump_json())["slots"]
    arn = slots[slot]["target_group_arn"].replace("123456789012", "210987654321")
    slots[slot]["target_group_arn"] = arn
    return {"slots": slots}


NAMED = [
    (GRPC, {"protocol_version": "GRPC"}, "protocol_version"),
    (GRPC, {"grpc": True}, "grpc"),
    (NLB, {"load_balancer_full_name": "net/front/1"}, "load_balancer_full_name"),
    (NLB, {"protocol": "TCP"}, "protocol"),
    (SERVICE_CONNECT, {"service_connect": {"enabled": True}}, "service_connect"),
    (SERVICE_DISCOVERY, {"service_registries": ["x"]}, "service_registries"),
    (CROSS_ACCOUNT, elsewhere("green"), "slots.green.target_group_arn"),
    (CROSS_ACCOUNT, {"role_arn": "arn:aws:iam::2:role/x"}, "role_arn"),
]


@pytest.mark.parametrize(("name", "changes", "where"), NAMED)
def test_it_is_refused_by_its_name_and_its_line(name, changes, where) -> None:
    with pytest.raises(InvalidDocument) as caught:
        read_document(text(**changes), "shop.yaml")
    (problem,) = caught.value.problems
    assert problem.field == f"service.workload.{where}"
    assert problem.way_out.startswith(f"{name} is not supported: {REASONS[name]}")
    assert problem.line is not None


def test_a_listener_in_another_region_is_cross_account_too() -> None:
    arn = workload().listener_arn.replace("eu-west-1", "us-east-1")
    with pytest.raises(InvalidDocument, match=CROSS_ACCOUNT):
        read_document(text(listener_arn=arn), "shop.yaml")


def test_apply_check_says_so(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(text(load_balancer_full_name="net/front/1"))
    said = CliRunner().invoke(app, ["apply", "--check", "-f", str(file)])
    assert said.exit_code == 2
    assert "Network Load Balancer is not supported" in said.stderr


def test_a_workload_of_a_supported_kind_is_read() -> None:
    assert read_document(text(), "shop.yaml").config is not None


def test_an_unknown_key_is_still_the_models_to_refuse() -> None:
    with pytest.raises(InvalidDocument, match="did you mean cluster"):
        read_document(text(clusster="x"), "shop.yaml")
