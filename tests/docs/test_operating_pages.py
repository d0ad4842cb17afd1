"""What the pages about operating, leaving and comparing say is what templates and figures have."""

import inspect
import json
import re
from typing import Any

import pytest

from greenlane.deployments.phases import Phase
from greenlane.flags.reading.reader import Reader
from tests.docs.pages import ROOT, code, prose, section, table, tables

DOCS = ROOT / "docs"
OPERATIONS, UPGRADING = DOCS / "operations.md", DOCS / "upgrading.md"
COMPARISON, COST = DOCS / "comparison.md", DOCS / "cost.md"
KEPT = {"Retain", "RetainExceptOnCreate"}


def resources(stack: str) -> list[dict[str, Any]]:
    template = json.loads((ROOT / "cdk.out" / f"{stack}.template.json").read_text())
    return list(template["Resources"].values())


def named(resource: dict[str, Any]) -> str:
    """A resource's name as the page writes it, with places for what differs."""
    properties = resource["Properties"]
    names = ("TableName", "BucketName", "RoleName", "RepositoryName")
    (found,) = [properties[name] for name in names if name in properties]
    if isinstance(found, dict):
        found = "".join(
            part if isinstance(part, str) else "<account>" for part in found["Fn::Join"][1]
        )
    return re.sub(r"eu-west-1", "<region>", found)


@pytest.mark.parametrize("stack", ["Greenlane", "GreenlaneApi", "GreenlaneWorkload"])
def test_everything_that_a_stack_leaves_behind_is_listed(stack: str) -> None:
    nameless = {"AWS::Lambda::Version", "AWS::ApiGateway::Account"}
    kept = {
        named(one)
        for one in resources(stack)
        if one.get("DeletionPolicy") in KEPT and one["Type"] not in nameless
    }
    listed = {
        code(row[1]): row[2] for row in table(UPGRADING, "What stays") if f"`{stack}`" in row[2]
    }

    # In the repository's own settings there is no database, so no bucket for plans of migrations.
    always = {name for name, where in listed.items() if "configured" not in where}
    assert kept == always


def test_tables_that_stay_are_protected_as_it_says() -> None:
    found = [one for one in resources("Greenlane") if one["Type"] == "AWS::DynamoDB::Table"]

    assert "protected against deletion" in section(UPGRADING, "What stays")
    assert all(one["Properties"]["DeletionProtectionEnabled"] for one in found)


def test_names_in_commands_are_those_of_the_template() -> None:
    known = json.dumps([*resources("Greenlane"), *resources("GreenlaneApi")])
    text = OPERATIONS.read_text()
    said = set(re.findall(r"/aws/lambda/([a-z-]+)", text))
    said |= set(re.findall(r"--queue-name ([a-z-]+)", text))
    said |= set(re.findall(r"--source-table-name ([a-z-]+)", text))

    assert len(said) == 3
    for name in said:
        assert f'"{name}"' in known or f'"/aws/lambda/{name}"' in known, name


def test_words_to_look_for_are_phases() -> None:
    words = {
        phase.replace(" ", "_")
        for row in list(tables(section(OPERATIONS, "An alarm at 3 a.m.")))[0]
        for phase in re.findall(r"`([a-z ]+)`", row[0])
    }

    assert words
    assert words <= {phase.value for phase in Phase}


def test_how_long_flags_outlive_the_table_is_the_default() -> None:
    assert inspect.signature(Reader).parameters["max_stale_seconds"].default == 3600
    assert "the last snapshot, for an hour" in section(OPERATIONS, "The table is down")


def test_as_many_cases_are_held_as_are_listed() -> None:
    rows = table(DOCS / "rollback.md", "When it is held")

    assert len(rows) == 9
    assert "nine cases" in prose(OPERATIONS)
    assert "nine cases" in prose(DOCS / "why.md")


def test_figures_of_the_comparison_are_those_of_the_benchmarks() -> None:
    compared = prose(COMPARISON)
    evaluations = {row[0].split(" ")[0]: row[1] for row in tables_of("flags.md", "Times ours")}
    alarms = {row[0]: row[1] for row in tables_of("experiments-benchmark.md", "20 looks")}
    power = {row[0]: row[1] for row in tables_of("experiments-benchmark.md", "| found |")}
    sequence, grouped = "confidence sequence", "group-sequential"

    assert f"GrowthBook {evaluations['growthbook']}, " in compared
    assert f"LaunchDarkly {evaluations['launchdarkly-server-sdk']}." in compared
    assert f"lost in {alarms[sequence].rstrip('%')} percent" in compared
    assert f"effect in {float(power[sequence].rstrip('%')):.0f} percent" in compared
    assert f"at most {alarms[grouped].rstrip('%')} percent" in compared
    assert f"and {float(power[grouped].rstrip('%')):.0f} percent" in compared


def tables_of(page: str, heading: str) -> list[list[str]]:
    """The first table of a page whose first line has some words."""
    text = (DOCS / page).read_text()
    (begins, *_) = [
        match.start() for match in re.finditer(r"^\|.*$", text, re.M) if heading in match[0]
    ]
    return next(tables(text[begins:]))


def test_the_comparison_is_dated_and_every_other_side_has_its_source() -> None:
    text = prose(COMPARISON)
    sources = section(COMPARISON, "Sources")

    assert re.search(r"^As of [A-Z][a-z]+ 20\d\d", text, re.MULTILINE)
    for peer in (
        "Amazon ECS", "CodeDeploy", "Argo Rollouts", "Flagger", "LaunchDarkly", "GrowthBook"
    ):  # fmt: skip
        assert re.search(rf"^\| {peer} \| .*https://", sources, re.MULTILINE), peer
        assert any(peer.split(" ")[-1] in row for row in re.findall(r"^\| \| .*$", text, re.M))


def test_prices_of_the_page_about_cost_have_their_pages() -> None:
    for service in ("step-functions", "lambda", "dynamodb", "cloudwatch", "api-gateway", "fargate"):
        assert f"https://aws.amazon.com/{service}/pricing" in COST.read_text()
