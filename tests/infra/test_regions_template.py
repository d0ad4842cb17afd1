"""A coordinator exists where Regions are configured, reaches those, and costs nothing elsewhere."""

import json

import pytest
from pydantic import ValidationError

from infra.nag import as_finding
from infra.settings import Settings
from tests.infra.conftest import EVERYWHERE, REGIONS, Assembly, Template, Vary, context
from tests.infra.test_permissions import as_list, statements

FUNCTIONS = {
    *("take-rollout", "coordinate-regions", "wait-for-regions", "hand-over-rollout"),
    *("hear-region", "tend-rollouts"),
}


def region_of(arn: str) -> str:
    """The Region in an ARN; empty for what is none."""
    parts = arn.replace("<AWS::Partition>", "aws").split(":")
    return parts[3] if parts[0] == "arn" else ""


ALL = ["eu-west-1", "us-east-1", "ap-southeast-1"]


def functions(template: Template) -> dict[str, dict[str, object]]:
    return {
        str(found.properties["FunctionName"]).removeprefix("greenlane-"): dict(found.properties)
        for found in template.resources("AWS::Lambda::Function")
    }


@pytest.fixture(scope="module")
def member(vary: Vary) -> Template:
    """A Region that is neither home nor standby."""
    return vary(region="ap-southeast-1", regions=REGIONS, sample=False).product


def test_without_regions_nothing_of_it_is_made(assembly: Assembly) -> None:
    assert not FUNCTIONS & set(functions(assembly.product))
    assert "greenlane-regions" not in json.dumps(assembly.product.body)
    assert "greenlane-tell-coordinators" not in json.dumps(assembly.product.body)


def test_home_has_the_machine_and_a_region_of_the_rollouts_only_tells_it(
    whole: Assembly, member: Template
) -> None:
    assert set(functions(whole.product)) >= FUNCTIONS
    whole.product.only("AWS::StepFunctions::StateMachine", StateMachineName="greenlane-regions")
    assert not FUNCTIONS & set(functions(member))
    rule = member.only("AWS::Events::Rule", Name="greenlane-tell-coordinators").properties
    told = {as_finding(target["Arn"]) for target in rule["Targets"]}
    bus = "arn:<AWS::Partition>:events:{}:<AWS::AccountId>:event-bus/default"
    assert told == {bus.format("eu-west-1"), bus.format("us-east-1")}
    assert all("DeadLetterConfig" in target for target in rule["Targets"])
    machines = [as_finding(arn) for arn in rule["EventPattern"]["detail"]["stateMachineArn"]]
    assert [arn.rsplit(":", 1)[-1] for arn in machines] == [
        "greenlane-deployment",
        "greenlane-rollback",
    ]
    assert all(":ap-southeast-1:" in arn for arn in machines)


def test_home_tells_the_standby_and_hears_every_region(whole: Assembly) -> None:
    told = whole.product.only("AWS::Events::Rule", Name="greenlane-tell-coordinators").properties
    (target,) = told["Targets"]
    assert ":us-east-1:" in as_finding(target["Arn"])
    heard = whole.product.only("AWS::Events::Rule", Name="greenlane-hear-regions").properties
    machines = [as_finding(arn) for arn in heard["EventPattern"]["detail"]["stateMachineArn"]]
    assert {region_of(arn) for arn in machines} == set(ALL)
    assert heard["EventPattern"]["source"] == ["aws.states"]
    assert heard["Targets"][0]["InputTransformer"]["InputPathsMap"] == {"region": "$.region"}


def test_no_way_back_of_a_region_waits_for_a_coordinator(member: Template) -> None:
    """The rules that start it are those of a Region without any coordinator."""
    starting = [
        rule.properties
        for rule in member.resources("AWS::Events::Rule")
        if "greenlane-rollback" in json.dumps(rule.properties.get("Targets", []))
        or "RollbackWorkflow" in json.dumps(rule.properties.get("Targets", []))
    ]
    assert starting
    for rule in starting:
        for target in rule["Targets"]:
            assert "event-bus" not in as_finding(target["Arn"])


def test_other_regions_are_reached_only_where_the_settings_name_them(whole: Assembly) -> None:
    found = 0
    for role, statement in statements(whole.product):
        wide = [as_finding(arn) for arn in as_list(statement["Resource"])]
        elsewhere = [arn for arn in wide if region_of(arn) == "*"]
        if not elsewhere:
            continue
        found += 1
        assert role.removeprefix("greenlane-").removesuffix("-eu-west-1") in FUNCTIONS, role
        assert statement["Condition"] == {"StringEquals": {"aws:RequestedRegion": ALL}}
        for arn in elsewhere:
            named = arn.rsplit(":", 1)[-1]
            assert "greenlane" in arn, arn
            assert named != "*" or ":greenlane-deployment:" in arn, arn
    assert found >= 6


def test_only_the_one_who_coordinates_starts_deployments_in_other_regions(
    whole: Assembly,
) -> None:
    starting = {
        role.removeprefix("greenlane-").removesuffix("-eu-west-1")
        for role, statement in statements(whole.product)
        if "states:StartExecution" in as_list(statement["Action"])
        and any(region_of(as_finding(arn)) == "*" for arn in as_list(statement["Resource"]))
    }
    assert starting == {"coordinate-regions"}


def test_roles_stay_below_what_iam_takes_for_forty_regions(vary: Vary) -> None:
    many = [f"eu-west-{number}" for number in range(1, 10)]
    many += [f"us-east-{number}" for number in range(1, 10)]
    many += [f"ap-south-{number}" for number in range(1, 10)]
    many += [f"me-south-{number}" for number in range(1, 10)]
    many += [f"af-south-{number}" for number in range(1, 5)]
    template = vary(regions={"home": "eu-west-1", "regions": many}, sample=False).product
    for role in template.resources("AWS::IAM::Role"):
        if "rollout" in str(role.properties["RoleName"]) or "regions" in str(
            role.properties["RoleName"]
        ):
            policies = [one["PolicyDocument"] for one in role.properties["Policies"]]
            assert sum(len(as_finding_text(one)) for one in policies) < 10_240


def as_finding_text(document: object) -> str:
    """A policy as IAM counts it: its functions replaced, without spaces."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            if len(value) == 1 and next(iter(value)) in ("Ref", "Fn::GetAtt", "Fn::Join"):
                return as_finding(value)
            return {key: plain(part) for key, part in value.items()}
        return [plain(part) for part in value] if isinstance(value, list) else value

    return json.dumps(plain(document), separators=(",", ":"))


@pytest.mark.parametrize(
    ("regions", "said"),
    [
        (REGIONS | {"standby": "eu-west-1"}, "is home already"),
        (REGIONS | {"regions": ["eu-west-1", "eu-west-1"]}, "each Region once"),
        (REGIONS | {"home": "us-west-2", "regions": ["us-east-1"]}, "eu-west-1 is none of them"),
        (REGIONS | {"homes": "x"}, "homes"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(regions: dict[str, object], said: str) -> None:
    chosen = context()["greenlane"] | {"regions": regions}
    with pytest.raises(ValidationError, match=said):
        Settings.from_context(chosen)


def test_one_app_has_the_stacks_of_all_regions_home_first(vary: Vary) -> None:
    found = vary(**EVERYWHERE).folder
    manifest = json.loads((found / "manifest.json").read_text())["artifacts"]
    stacks = {
        name: one for name, one in manifest.items() if one["type"] == "aws:cloudformation:stack"
    }
    assert set(stacks) == {
        f"{stack}{suffix}"
        for stack in ("Greenlane", "GreenlaneApi", "GreenlaneWorkload")
        for suffix in ("", "-us-east-1", "-ap-southeast-1")
    }
    for region in ("us-east-1", "ap-southeast-1"):
        there = stacks[f"Greenlane-{region}"]
        assert there["environment"].endswith(f"/{region}")
        assert "Greenlane" in there["dependencies"]
        assert f"Greenlane-{region}" in stacks[f"GreenlaneApi-{region}"]["dependencies"]

    def template(name: str) -> Template:
        return Template(json.loads((found / f"{name}.template.json").read_text()))

    tables = {
        name: {
            str(one.properties["TableName"])
            for one in template(name).resources(
                "AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable"
            )
        }
        for name in ("Greenlane", "Greenlane-us-east-1", "Greenlane-ap-southeast-1")
    }
    # Home makes the replica, so its Region does not make the table again.
    assert "greenlane-flags" in tables["Greenlane"]
    assert "greenlane-flags" not in tables["Greenlane-us-east-1"]
    assert "greenlane-flags" in tables["Greenlane-ap-southeast-1"]


def test_no_two_regions_make_a_role_or_a_bucket_of_one_name(vary: Vary) -> None:
    found = vary(**EVERYWHERE).folder
    names: list[str] = []
    for file in sorted(found.glob("Greenlane*.template.json")):
        region = file.name.split(".")[0].split("-", 1)[-1] if "-" in file.name else "eu-west-1"
        for one in Template(json.loads(file.read_text())).resources(
            "AWS::IAM::Role", "AWS::S3::Bucket"
        ):
            name = one.properties.get("RoleName") or one.properties.get("BucketName")
            if name is not None:
                names.append(as_finding(name).replace("<AWS::Region>", region))
    assert len(names) > 60
    assert sorted(names) == sorted(set(names))
