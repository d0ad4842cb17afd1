import inspect
import json
import re
import runpy
from decimal import Decimal
from typing import Any

import pytest

from greenlane.deployments.declaring.config import DeploymentConfig
from greenlane.flags.reading.reader import Reader
from greenlane.migrations.running.slices import LONGEST_SLICE_SECONDS
from tests.builders import service_config
from tests.docs.pages import ROOT, table, tables

PAGE = ROOT / "docs" / "cost.md"
COST = runpy.run_path(str(ROOT / "docs" / "compute_cost.py"))


def resources(stack: str, kind: str) -> list[dict[str, Any]]:
    template = json.loads((ROOT / "cdk.out" / f"{stack}.template.json").read_text())
    return [one["Properties"] for one in template["Resources"].values() if one["Type"] == kind]


def memory(function: str) -> Decimal:
    (found,) = [
        one
        for stack in ("Greenlane", "GreenlaneApi")
        for one in resources(stack, "AWS::Lambda::Function")
        if one.get("FunctionName") == function
    ]
    return Decimal(found["MemorySize"]) / 1024


def alarm_metrics(stack: str) -> int:
    """What is charged: metrics, not what is computed of them."""
    return sum(
        sum("MetricStat" in metric for metric in one["Metrics"]) if "Metrics" in one else 1
        for one in resources(stack, "AWS::CloudWatch::Alarm")
    )


def number(cell: str) -> Decimal:
    return Decimal(cell.replace(",", ""))


def priced() -> list[list[list[str]]]:
    return [rows for rows in tables(PAGE.read_text()) if len(rows[0]) == 4]


def test_the_figures_of_the_page_are_the_computed_ones() -> None:
    assert PAGE.read_text() == COST["filled"](PAGE.read_text()), "run docs/compute_cost.py"


def test_every_computed_table_has_its_place() -> None:
    for name in COST["tables"]():
        assert f"<!-- computed: {name} -->\n" in PAGE.read_text()


@pytest.mark.parametrize("rows", priced(), ids=lambda rows: rows[0][0])
def test_each_line_is_count_times_price_and_all_lines_are_the_sum(rows: list[list[str]]) -> None:
    *lines, whole = rows
    exact = [number(count) * number(price) for _, count, price, _ in lines]

    for line, cost in zip(lines, exact, strict=True):
        assert abs(number(line[3]) - cost) <= Decimal("0.005")
    assert abs(number(whole[3]) - sum(exact)) <= Decimal("0.005")


def test_what_runs_while_nothing_is_deployed_is_what_the_template_has() -> None:
    each_minute = [
        one
        for one in resources("Greenlane", "AWS::Events::Rule")
        if one.get("ScheduleExpression") == "rate(1 minute)"
    ]

    assert len(each_minute) == COST["SCHEDULES"]
    assert alarm_metrics("Greenlane") == COST["OWN_ALARM_METRICS"]
    assert alarm_metrics("GreenlaneWorkload") == COST["SERVICE_ALARM_METRICS"]


def test_nothing_in_the_product_is_paid_by_the_hour() -> None:
    kinds = {
        one["Type"]
        for stack in ("Greenlane", "GreenlaneApi")
        for one in json.loads((ROOT / "cdk.out" / f"{stack}.template.json").read_text())[
            "Resources"
        ].values()
    }
    by_the_hour = {
        "AWS::EC2::Instance", "AWS::EC2::NatGateway", "AWS::EC2::VPCEndpoint", "AWS::ECS::Service",
        "AWS::RDS::DBInstance", "AWS::RDS::DBCluster", "AWS::KMS::Key",
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
    }  # fmt: skip

    assert not kinds & by_the_hour
    assert {one["BillingMode"] for one in resources("Greenlane", "AWS::DynamoDB::Table")} == {
        "PAY_PER_REQUEST"
    }


def test_functions_are_as_large_as_they_are_reckoned() -> None:
    assert memory("greenlane-look-up-flags") == COST["LOOKUP_GB"]
    assert memory("greenlane-record-experiments") == COST["RECORD_GB"]
    for tick in ("judge-tick", "reconcile", "tick-flags", "tick-experiments"):
        assert memory(f"greenlane-{tick}") == COST["TICK_GB"]


def test_units_of_ab_tests_are_those_of_their_own_page() -> None:
    rows = table(ROOT / "docs" / "experiments-operating.md", "What it costs")
    written = {row[0]: int(re.split(r"\D", row[2])[0]) for row in rows if row[2][0].isdigit()}

    assert written["a first exposure"] == COST["EXPOSURE_WRITES"]
    assert written["an event"] == COST["EVENT_WRITES"]
    assert written["ten events of one user in one request"] == COST["TEN_EVENTS_WRITES"]


def test_times_are_those_of_the_code() -> None:
    assert inspect.signature(Reader).parameters["ttl_seconds"].default == COST["TTL_SECONDS"]
    assert COST["SLICE_SECONDS"] == LONGEST_SLICE_SECONDS


def test_a_deployment_is_the_one_of_the_defaults() -> None:
    lines = {line.what: line.count for line in COST["deployment"]("canary").lines}
    warm = DeploymentConfig().extended_watch - DeploymentConfig().watch

    assert lines["vCPU-hours, warm tasks of the old slot"] == Decimal("0.5") * Decimal(
        warm.total_seconds()
    ) / Decimal(3600)
    assert service_config().deployment.warm_floor == 1
    assert lines["state transitions"] <= 45


def test_from_when_on_asking_in_process_is_cheaper_is_computed() -> None:
    total = COST["total"]
    lookups = total(COST["process_month"]()) / total(COST["lookups"]()) * COST["MILLION"]

    assert f"some {round(lookups, -3):,.0f} lookups a month" in PAGE.read_text()
