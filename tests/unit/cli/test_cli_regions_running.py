"""`greenlane regions deploy`, `get`, `hold`, `resume`, `rollback`, `close`; the Python API."""

import json
from types import SimpleNamespace

import pytest

from greenlane.deployments.phases import Phase
from greenlane.errors import InvalidInput
from greenlane.regions.coordinating.api import MultiRegionDeployment, listed
from greenlane.regions.declaring.document import read_regions
from greenlane.regions.planning.planner import plan_regions
from tests.builders import NOW, SERVICE
from tests.fakes import timeout
from tests.region_town import RegionTown, regions_file
from tests.town_connection import TownConnection
from tests.town_region import HOME

FILE = regions_file(3)


@pytest.fixture
def town():
    made = RegionTown(FILE)
    yield made
    made.kernel.close()


@pytest.fixture
def connection(town):
    return TownConnection(town)


@pytest.fixture
def client(connection):
    return SimpleNamespace(connection=connection)


class Passing(list[float]):
    """Where a command sleeps, an hour or so of the town passes."""

    def __init__(self, town):
        super().__init__()
        self.town = town

    def append(self, seconds):
        super().append(seconds)
        self.town.run(0.4)


@pytest.fixture
def slept(town):
    return Passing(town)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "regions.yaml"
    path.write_text(FILE)
    return str(path)


@pytest.fixture
def deploy(run, file):
    def deploy(*more, version="1.4.2"):
        return run("regions", "deploy", SERVICE, "-f", file, "--version", version, *more)

    return deploy


def test_a_rollout_is_followed_to_its_end_region_by_region(deploy, town):
    result = deploy("--watch")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "begins: 3 waves, until" in lines[0]
    assert "claude-manager 1.4.2 succeeded, and is watched" in result.stdout
    last = lines[-3:]
    assert [row.split()[4] for row in last] == ["succeeded"] * 3
    assert len(town.started) == 3


def test_a_rollout_that_goes_back_fails_the_watch_and_says_why(deploy, town):
    for region in town.regions.values():
        region.fails = 300
    result = deploy("--watch")
    assert result.exit_code == 1
    assert "went back" in result.stdout
    assert "because: ap-south-1: judged bad" in result.stdout


def test_the_same_id_begins_it_once(deploy, town):
    assert "begins" in deploy("--id", "r-1").stdout
    assert "r-1 runs already" in deploy("--id", "r-1").stdout
    assert len(town.home.executions) == 1
    town.run(0.2)
    assert deploy("--id", "r-2").exit_code == 3


def test_a_version_that_went_back_needs_a_reason_to_be_deployed_again(deploy, town):
    first = town.regions["ap-south-1"]
    first.fails = 300
    deploy()
    town.run(4)
    assert town.home.record.phase == "rolled_back"
    refused = deploy()
    assert refused.exit_code == 3
    assert "went back in" in refused.stderr
    assert "--despite-hold REASON" in refused.stderr
    first.fails = None
    assert deploy("--despite-hold", "it was the balancer").exit_code == 0
    town.run(0.1)
    assert town.home.record.phase == "advancing"


def test_another_version_lifts_the_hold(deploy, town):
    town.regions["ap-south-1"].fails = 300
    deploy()
    town.run(4)
    assert deploy(version="1.4.3").exit_code == 0


def test_a_rollout_is_held_resumed_and_taken_back(deploy, run, town):
    deploy()
    town.run(0.5)
    assert run("regions", "hold", SERVICE, "--reason", "a fair").exit_code == 0
    town.run(0.1)
    shown = run("regions", "get", SERVICE)
    assert "is held" in shown.stdout
    assert "because: asked by jo: a fair" in shown.stdout
    assert run("regions", "resume", SERVICE).exit_code == 0
    town.run(0.1)
    assert town.home.record.phase == "advancing"
    again = run("regions", "resume", SERVICE)
    assert (again.exit_code, "resume does nothing" in again.stderr) == (3, True)
    back = run("regions", "rollback", SERVICE, "--reason", "complaints", "--watch")
    assert back.exit_code == 0, back.output
    assert {town.regions[name].phase for name in town.started} == {Phase.ROLLED_BACK}


def test_a_rollout_is_taken_back_after_its_end(deploy, run, town):
    deploy()
    town.run(60)
    assert town.home.record.phase == "succeeded"
    back = run("regions", "rollback", SERVICE, "--reason", "complaints", "--watch")
    assert back.exit_code == 0, back.output
    assert {region.phase for region in town.regions.values()} == {Phase.ROLLED_BACK}


def test_what_did_not_go_back_is_shown_and_closed_by_a_person(deploy, run, town):
    deploy()
    town.run(0.5)
    (first,) = town.started
    town.regions[first].back = Phase.HELD
    run("regions", "rollback", SERVICE)
    town.run(1)
    assert f"did not go back: {first}" in run("regions", "get", SERVICE).stdout
    assert run("regions", "close", SERVICE, "--reason", "by hand").exit_code == 0
    town.run(1)
    assert "went back in part" in run("regions", "get", SERVICE).stdout


def test_on_a_terminal_one_table_is_brought_up_to_date(deploy, town, monkeypatch):
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    monkeypatch.setenv("TERM", "xterm")
    result = deploy("--watch")
    assert result.exit_code == 0, result.output
    assert "\x1b[" in result.stdout, "it is drawn over what was there"
    assert result.stdout.count("us-east-1") > 3


def test_a_watch_that_gets_no_answer_tries_again_and_then_gives_up(deploy, run, town, monkeypatch):
    deploy()
    town.run(0.5)
    table, failing = town.regions[HOME].table, [True] * 3

    def get_item(**arguments):
        if failing and failing.pop():
            raise timeout()
        return read(**arguments)

    read = table.get_item
    monkeypatch.setattr(table, "get_item", get_item)
    assert "no answer, trying again" in run("regions", "get", SERVICE, "--watch").stderr
    failing += [True] * 9
    assert run("regions", "get", SERVICE, "--watch").exit_code == 4


def test_the_history_says_what_happened_in_order(deploy, run, town):
    for region in town.regions.values():
        region.fails = 300
    deploy()
    town.run(4)
    lines = run("regions", "history", SERVICE).stdout.splitlines()
    kinds = [line[21:41].strip() for line in lines]
    # The town's clock stands still within a step.
    assert "taken" in kinds[:2]
    assert kinds.index("starting") < kinds.index("rollout rolling back")
    assert "rollout rolled back" in kinds[-2:]
    body = json.loads(run("regions", "history", SERVICE, "-o", "json").stdout)
    assert len(body) == len(lines)


def test_as_json_it_is_the_record(deploy, run, town):
    deploy()
    town.run(0.5)
    body = json.loads(run("regions", "get", SERVICE, "-o", "json").stdout)
    assert body["phase"] == "advancing"
    assert body["regions"]["ap-south-1"]["state"] in ("deploying", "baking")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--strategy", "rooling"), 2, "did you mean rolling?"),
        (("--image", "shop:1"), 2, "exactly one of image, version"),
        (("--despite-windows", " "), 2, "say why, for the record"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_stored(deploy, town, arguments, code, said):
    result = deploy(*arguments)
    assert (result.exit_code, said in result.stderr) == (code, True), result.stderr
    assert town.home.rollouts.kept(SERVICE) is None


def test_without_a_coordinator_nothing_begins(deploy, town, connection):
    connection.installed = False
    result = deploy()
    assert result.exit_code == 3
    assert "no coordinator is installed in eu-west-1" in result.stderr
    assert town.home.rollouts.kept(SERVICE) is None


def test_a_service_without_a_rollout_says_where_to_look(run):
    result = run("regions", "get", SERVICE)
    assert result.exit_code == 3
    assert "has no rollout in eu-west-1" in result.stderr


@pytest.mark.parametrize("strategy", ["rolling", "blue_green", "canary"])
def test_deploy_globally_waits_and_says_whether_it_went_well(connection, town, strategy):
    names = ["ap-south-1", "us-east-1", "eu-west-1"]
    globally = MultiRegionDeployment(SERVICE, names, connection)

    def passes(_):
        town.run(0.5)

    assert globally.deploy_globally("1.4.2", strategy, sleep=passes) is True
    assert town.started == names
    asked = {"rolling": None, "blue_green": "blue_green", "canary": "canary"}[strategy]
    (kept,) = [json.loads(one["input"]) for one in town.regions[HOME].executions.values()]
    assert kept["request"].get("strategy") == asked


def test_deploy_globally_is_false_when_it_went_back(connection, town):
    town.regions["us-east-1"].fails = 300
    globally = MultiRegionDeployment(SERVICE, ["ap-south-1", "us-east-1"], connection)
    assert globally.deploy_globally("1.4.2", sleep=lambda _: town.run(0.5)) is False
    assert town.regions["ap-south-1"].phase is Phase.ROLLED_BACK


def test_deploy_globally_knows_three_strategies(connection):
    globally = MultiRegionDeployment(SERVICE, ["eu-west-1"], connection)
    with pytest.raises(InvalidInput, match="did you mean canary"):
        globally.deploy_globally("1.4.2", "canari")


def test_a_list_of_regions_is_their_order():
    names = ["us-west-2", "eu-west-1", "ap-southeast-1", "us-east-1"]
    document = read_regions(listed(names))
    planned = plan_regions(document, now=NOW)
    assert planned.order == tuple((name,) for name in names)


def test_the_plan_of_a_blue_green_file_is_the_one_that_is_carried_out(run, file, tmp_path, town):
    described = json.loads(FILE) | {"deployment_strategy": {"type": "blue_green"}}
    for region in described["regions"].values():
        region["deployment_window"] = "02:00-04:00 UTC"
    (tmp_path / "regions.yaml").write_text(json.dumps(described))
    at = f"{town.kernel.now():%Y-%m-%dT%H:%M}"
    told = run("-o", "json", "regions", "plan", "-f", file, "--at", at)
    begun = run("-o", "json", "regions", "deploy", SERVICE, "-f", file, "--version", "1.4.2")
    assert told.exit_code == begun.exit_code == 0, told.output + begun.output
    plan, done = json.loads(told.stdout)["plan"], json.loads(begun.stdout)["plan"]
    assert plan["type"] == "blue_green"
    assert plan == done
