"""Files of Regions that are applied: kept, shown, planned, and what rollouts go by."""

import json
from datetime import timedelta

import pytest

from greenlane.deployments.storing.store import DynamoStore
from greenlane.deployments.storing.versions import put_version
from greenlane.errors import Refused
from greenlane.regions.coordinating.api import MultiRegionDeployment
from greenlane.regions.keeping.store import ALL, RegionsStore
from tests.builders import SERVICE, service_config
from tests.fakes import error
from tests.region_town import RegionTown, regions_file
from tests.town_connection import TownConnection
from tests.town_region import HOME, TABLE

FILE = "# by hand\n" + regions_file(3)
OTHER = regions_file(2)


@pytest.fixture
def town():
    made = RegionTown(FILE)
    yield made
    made.kernel.close()


@pytest.fixture
def client(town):
    class Client:
        connection = TownConnection(town)

    return Client


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "regions.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def apply(run, file):
    def apply(text=FILE, *more, code=0):
        file.write_text(text)
        result = run("apply", "-f", str(file), *more)
        assert result.exit_code == code, result.output
        return " ".join(result.output.split())

    return apply


def test_a_file_of_regions_is_kept_for_the_service_with_who_and_why(run, apply):
    said = apply(FILE, "--service", SERVICE, "--reason", "a third region")
    assert f"{SERVICE}: applied, regions version 1" in said

    (one,) = json.loads(run("-o", "json", "regions", "versions", SERVICE).stdout)
    assert (one["version"], one["applied_by"], one["reason"]) == (1, "arn:jo", "a third region")
    assert "a third region" in run("regions", "versions", SERVICE).stdout


def test_the_only_service_is_meant_if_none_is_named(town, apply):
    known = DynamoStore(town.regions[HOME].table, TABLE).services()
    assert known == [SERVICE]
    assert f"{SERVICE}: applied" in apply()


def test_of_several_services_one_has_to_be_named(town, apply):
    store = DynamoStore(town.regions[HOME].table, TABLE)
    store.put_config(service_config(name="shop"), source="", by="jo", at=town.kernel.now())

    said = apply(code=2)
    assert "service" in said
    assert f"name one with --service: {SERVICE}, shop" in said


def test_a_service_that_nobody_applied_is_refused(run, apply):
    said = apply(FILE, "--service", "claude-manger", code=2)
    assert f"known: {SERVICE}" in said
    assert "no regions were applied" in run("regions", "show", SERVICE).output


def test_the_same_content_again_changes_nothing_whatever_its_comments(apply):
    apply()
    said = apply(FILE.replace("# by hand", "# by a script"))
    assert f"{SERVICE}: unchanged, regions version 1" in said


def test_what_was_applied_is_shown_as_it_was_written_and_can_be_applied_again(run, apply):
    apply(FILE)
    apply(OTHER)
    first = run("regions", "show", SERVICE, "--version", "1").stdout
    head, _, source = first.partition("\n")

    assert head.startswith(f"# version 1 of the regions of {SERVICE}, applied by arn:jo at ")
    assert source.rstrip() == FILE.rstrip()
    assert OTHER.rstrip() in run("regions", "show", SERVICE).stdout
    assert "regions version 3" in apply(first)
    refused = run("regions", "show", SERVICE, "--version", "9")
    assert "no version 9; there are 1 to 3" in " ".join(refused.output.split())


def test_a_wrong_file_changes_nothing_and_names_its_line(run, apply):
    said = apply(FILE.replace("traffic_percentage", "trafic_percentage"), code=2)
    assert "did you mean traffic_percentage?" in said
    assert "no regions were applied" in run("regions", "show", SERVICE).output


def test_a_file_that_an_earlier_version_kept_and_this_one_cannot_read_is_replaced(town, apply):
    apply(FILE, "--service", SERVICE)
    store = RegionsStore(town.regions[HOME].table, TABLE)
    kept = store.regions(SERVICE)
    put_version(
        store, ALL, ALL, SERVICE, kept.model_copy(update={"source": "regions: {}", "version": 2}), 2
    )
    assert f"{SERVICE}: applied, regions version 3" in apply(FILE, "--service", SERVICE)


def test_a_home_without_a_coordinator_is_told_so_and_the_file_is_kept(run, client, apply):
    client.connection.installed = False
    said = apply()
    assert "no coordinator is installed" in said
    assert f"{SERVICE}: applied, regions version 1" in said


def test_who_may_not_see_the_coordinator_applies_all_the_same(client, apply, monkeypatch):
    def refuse(**asked):
        raise error("AccessDeniedException")

    monkeypatch.setattr(client.connection, "describe_state_machine", refuse, raising=False)
    said = apply()
    assert "not known whether eu-west-1 has a coordinator" in said
    assert f"{SERVICE}: applied, regions version 1" in said


def test_a_home_that_deploys_nothing_itself_believes_the_services_name(town, apply):
    table = town.regions[HOME].table
    for item in table.items():
        table.delete_item(TableName=TABLE, Key={key: item[key] for key in ("pk", "sk")})
    said = apply(FILE, "--service", SERVICE)
    assert f"{SERVICE} is not applied in eu-west-1" in said
    assert f"{SERVICE}: applied, regions version 1" in said


def test_of_two_who_apply_at_once_one_is_told_to_look_again(town, apply, monkeypatch):
    store = RegionsStore(town.regions[HOME].table, TABLE)
    monkeypatch.setattr(store, "_find", lambda pk, sk: None)
    store.put(SERVICE, FILE, "a.yaml", by="ada", at=town.kernel.now())
    with pytest.raises(Refused, match="in the same moment; look, and apply again"):
        store.put(SERVICE, OTHER, "b.yaml", by="jo", at=town.kernel.now())
    assert "regions version 2" in apply(OTHER)


def test_a_rollout_without_a_file_goes_by_what_was_applied(run, town, apply):
    apply(OTHER)
    begun = run("regions", "deploy", SERVICE, "--version", "1.4.2")
    assert begun.exit_code == 0, begun.output

    record = town.home.record
    assert len(record.regions) == 2
    history = json.loads(run("-o", "json", "regions", "history", SERVICE).stdout)
    (noted,) = [one for one in history if one["kind"] == "applied regions"]
    assert noted["detail"] == {"version": "1", "applied by": "arn:jo"}


def test_a_rollout_that_runs_keeps_the_file_that_it_began_with(run, town, apply):
    apply(OTHER)
    run("regions", "deploy", SERVICE, "--version", "1.4.2")
    apply(FILE)
    town.run(0.5)
    assert len(town.home.record.regions) == 2


def test_a_rollout_without_a_file_is_refused_where_none_was_applied(run, apply):
    said = run("regions", "deploy", SERVICE, "--version", "1.4.2")
    assert said.exit_code != 0
    assert "greenlane apply -f FILE" in " ".join(said.output.split())


def test_the_python_api_goes_by_what_was_applied(client, town, apply):
    apply(OTHER)
    globally = MultiRegionDeployment(SERVICE, None, client.connection)
    assert globally.deploy_globally("1.4.2", sleep=lambda seconds: town.run(1.0))
    assert len(town.home.record.regions) == 2


def test_what_was_applied_is_planned_by_the_services_name(run, town, apply, file):
    apply(FILE)
    at = f"{town.kernel.now() + timedelta(hours=1):%Y-%m-%dT%H:%M}"
    by_name = run("regions", "plan", SERVICE, "--at", at)
    by_file = run("regions", "plan", "-f", str(file), "--at", at)

    assert by_name.exit_code == 0, by_name.output
    assert by_name.stdout == by_file.stdout
    both = run("regions", "plan", SERVICE, "-f", str(file))
    assert "give one of the two" in " ".join(both.output.split())
    assert run("regions", "plan").exit_code == 2
