"""Regions side by side: who answers what, what a cut line stops, what is late."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from greenlane.local.errors import LocalCloudError
from greenlane.local.regions.world import LocalWorld
from greenlane.local.resources.storage import make_bucket
from tests.docs.pages import blocks
from tests.unit.local.conftest import ROLE, Account, zipped

HERE, THERE, FAR = "eu-west-1", "us-east-1", "ap-southeast-2"
ONE_ATTEMPT = Config(retries={"total_max_attempts": 1}, read_timeout=1)
SCALE = 20.0


@pytest.fixture(scope="module")
def whole_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorld]:
    offsets = {THERE: 90.0, FAR: -30.0}
    folder = tmp_path_factory.mktemp("world")
    with LocalWorld(
        folder, (HERE, THERE, FAR), time_scale=SCALE, offsets=offsets, parts=()
    ) as world:
        yield world


@pytest.fixture
def world(whole_world: LocalWorld) -> Iterator[LocalWorld]:
    yield whole_world
    whole_world.heal()
    whole_world.set_lag(1.0)


def write(world: LocalWorld, region: str, name: str, value: str) -> None:
    world[region].client("ssm").put_parameter(Name=name, Value=value, Type="String")


def names(client: Any) -> list[str]:
    return [one["Name"] for one in client.describe_parameters()["Parameters"]]


def test_each_region_has_an_account_of_its_own(world: LocalWorld) -> None:
    write(world, HERE, "/own", "here")
    assert "/own" in names(world[HERE].client("ssm"))
    assert "/own" not in names(world[THERE].client("ssm"))


def test_a_client_with_another_regions_name_reaches_that_region(world: LocalWorld) -> None:
    write(world, THERE, "/there", "yes")
    through = world[HERE].client("ssm", region_name=THERE)
    assert through.get_parameter(Name="/there")["Parameter"]["Value"] == "yes"
    through.put_parameter(Name="/from-here", Value="x", Type="String")
    assert "/from-here" in names(world[THERE].client("ssm"))
    assert "/from-here" not in names(world[HERE].client("ssm"))


def test_an_error_of_another_region_arrives_as_it_is(world: LocalWorld) -> None:
    with pytest.raises(ClientError, match="ParameterNotFound"):
        world[HERE].client("ssm", region_name=THERE).get_parameter(Name="/none")


def test_objects_in_another_regions_bucket_arrive_whole(world: LocalWorld) -> None:
    there = world[THERE].client("s3")
    there.create_bucket(Bucket="whole")
    through = world[HERE].client("s3", region_name=THERE)
    through.put_object(Bucket="whole", Key="a/b c+d.txt", Body=b"\x00\xff" * 5000)
    assert there.get_object(Bucket="whole", Key="a/b c+d.txt")["Body"].read() == b"\x00\xff" * 5000
    assert through.head_object(Bucket="whole", Key="a/b c+d.txt")["ContentLength"] == 10000


def test_what_is_signed_for_the_globe_stays_where_it_was_asked(world: LocalWorld) -> None:
    iam = world[HERE].client("iam")  # boto3 signs that for us-east-1
    iam.create_role(RoleName="only-here", AssumeRolePolicyDocument="{}")
    assert iam.get_role(RoleName="only-here")
    with pytest.raises(ClientError, match="NoSuchEntity"):
        world[THERE].client("iam").get_role(RoleName="only-here")


CALLS_ABROAD = """
import boto3
def handler(event, context):
    ssm = boto3.client("ssm", region_name=event["region"])
    return ssm.get_parameter(Name=event["name"])["Parameter"]["Value"]
"""


def test_a_functions_ordinary_client_reaches_another_region_and_is_known_there(
    world: LocalWorld,
) -> None:
    write(world, FAR, "/for-functions", "far")
    client = world[HERE].client("lambda")
    world[HERE].client("iam").create_role(RoleName="local", AssumeRolePolicyDocument="{}")
    client.create_function(
        FunctionName="calls-abroad",
        Runtime="python3.14",
        Role=ROLE,
        Handler="app.handler",
        Code={"ZipFile": zipped(CALLS_ABROAD)},
        Timeout=10,
    )
    asked = json.dumps({"region": FAR, "name": "/for-functions"})
    answer = client.invoke(FunctionName="calls-abroad", Payload=asked)
    assert json.load(answer["Payload"]) == "far"
    callers = {one["caller"] for one in world[FAR].calls() if one["operation"] == "GetParameter"}
    assert "calls-abroad" in callers


def test_nothing_passes_a_line_that_is_cut_and_all_does_once_it_is_mended(
    world: LocalWorld,
) -> None:
    write(world, THERE, "/behind", "there")
    write(world, FAR, "/behind", "far")
    world.partition(HERE, THERE)
    for one, other in ((HERE, THERE), (THERE, HERE)):
        with pytest.raises(ConnectionClosedError):
            world[one].client("ssm", region_name=other, config=ONE_ATTEMPT).describe_parameters()
    far = world[HERE].client("ssm", region_name=FAR).get_parameter(Name="/behind")
    assert far["Parameter"]["Value"] == "far"
    assert "/behind" in names(world[THERE].client("ssm"))  # people are in no region
    world.heal(HERE, THERE)
    through = world[HERE].client("ssm", region_name=THERE, config=ONE_ATTEMPT)
    assert through.get_parameter(Name="/behind")["Parameter"]["Value"] == "there"


def test_a_cut_line_may_hang_as_well(world: LocalWorld) -> None:
    world.partition(HERE, THERE, "hang")
    began = time.monotonic()
    with pytest.raises(ReadTimeoutError):
        world[HERE].client("ssm", region_name=THERE, config=ONE_ATTEMPT).describe_parameters()
    assert time.monotonic() - began == pytest.approx(1.0, abs=0.8)


def test_a_lost_region_reaches_nobody_and_nobody_reaches_it(world: LocalWorld) -> None:
    world.isolate(THERE)
    for one, other in ((HERE, THERE), (FAR, THERE), (THERE, HERE), (THERE, FAR)):
        with pytest.raises(ConnectionClosedError):
            world[one].client("ssm", region_name=other, config=ONE_ATTEMPT).describe_parameters()
    world[HERE].client("ssm", region_name=FAR, config=ONE_ATTEMPT).describe_parameters()


def test_a_region_has_no_line_to_itself_or_to_nowhere(world: LocalWorld) -> None:
    with pytest.raises(LocalCloudError, match="name two regions"):
        world.partition(HERE, HERE)
    with pytest.raises(KeyError):
        world.partition(HERE, "eu-west-9")


def test_the_clocks_differ_by_their_offsets_and_run_equally_fast(world: LocalWorld) -> None:
    def readings() -> tuple[float, float]:
        here, there, far = (world[name].clock.now() for name in (HERE, THERE, FAR))
        return (there - here).total_seconds(), (far - here).total_seconds()

    first = readings()
    time.sleep(0.3)
    assert first == pytest.approx((90, -30), abs=0.5)
    assert readings() == pytest.approx((90, -30), abs=0.5)


def test_what_a_region_stamps_is_by_its_own_clock(world: LocalWorld) -> None:
    for name in (HERE, THERE):
        world[name].client("iam").create_role(RoleName="clocks", AssumeRolePolicyDocument="{}")
        world[name].client("stepfunctions").create_state_machine(
            name="clocks",
            roleArn=ROLE,
            definition=json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}),
        )
    began = {}
    for name in (HERE, THERE):
        client = world[name].client("stepfunctions")
        arn = f"arn:aws:states:{name}:123456789012:stateMachine:clocks"
        execution = client.start_execution(stateMachineArn=arn)["executionArn"]
        began[name] = client.describe_execution(executionArn=execution)["startDate"]
    apart = began[THERE] - began[HERE]
    assert timedelta(seconds=85) < apart < timedelta(seconds=120)


def test_at_the_machines_own_pace_clocks_do_not_differ(tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match="other than 1"):
        LocalWorld(tmp_path, (HERE, THERE), time_scale=1, offsets={THERE: 2})
    with pytest.raises(LocalCloudError, match="eu-west-9 is no region"):
        LocalWorld(tmp_path, (HERE,), offsets={"eu-west-9": 2})


def test_a_rule_sends_events_to_another_regions_bus_as_they_are(world: LocalWorld) -> None:
    near, far = world[HERE].client("events"), world[THERE].client("events")
    queue = world[THERE].client("sqs").create_queue(QueueName="heard")["QueueUrl"]
    pattern = json.dumps({"source": ["shop"]})
    near.put_rule(Name="tell", EventPattern=pattern)
    bus = f"arn:aws:events:{THERE}:123456789012:event-bus/default"
    near.put_targets(Rule="tell", Targets=[{"Id": "bus", "Arn": bus}])
    far.put_rule(Name="hear", EventPattern=pattern)
    far.put_targets(
        Rule="hear",
        Targets=[{"Id": "queue", "Arn": f"arn:aws:sqs:{THERE}:123456789012:heard"}],
    )
    world.partition(HERE, THERE)
    near.put_events(Entries=[{"Source": "shop", "DetailType": "sold", "Detail": '{"n": 1}'}])
    time.sleep(0.5)
    assert heard(world, queue) == []
    world.heal()
    (event,) = Account.wait_until(lambda: heard(world, queue))
    assert (event["region"], event["source"], event["detail"]) == (HERE, "shop", {"n": 1})


def heard(world: LocalWorld, queue: str) -> list[Any]:
    found = world[THERE].client("sqs").receive_message(QueueUrl=queue)
    return [json.loads(one["Body"]) for one in found.get("Messages", [])]


def test_an_end_leaves_no_region_behind(tmp_path: Path) -> None:
    world = LocalWorld(tmp_path, (HERE,), parts=())
    with world:
        url = world[HERE].endpoint_url
        assert world[HERE].client("sqs").list_queues()
    assert url
    with pytest.raises(LocalCloudError, match="does not answer"):
        world.set_lag(2)


def test_a_region_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match="no_such_part"):
        LocalWorld(tmp_path, (HERE,), parts=("no_such_part",)).start()


@pytest.mark.parametrize("region", [HERE, THERE])
def test_a_templates_bucket_is_made_where_its_region_must_not_be_named_too(
    world: LocalWorld, region: str
) -> None:
    s3 = world[region].client("s3")
    make_bucket(s3, f"reports-{region}", region)
    where = s3.get_bucket_location(Bucket=f"reports-{region}")["LocationConstraint"]
    assert where == (None if region == THERE else region)


def test_what_the_page_shows_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (shown,) = [
        block.text
        for block in blocks("python")
        if block.page.name == "local-cloud.md" and "LocalWorld" in block.text
    ]
    monkeypatch.chdir(tmp_path)
    exec(compile(shown, "local-cloud.md", "exec"), {})
    assert capsys.readouterr().out == "[]\n"
