"""Rollouts by the real machine when a part of AWS, a record or a person is in the way."""

import pytest

from greenlane.deployments.phases import Phase
from greenlane.errors import SignalRefused
from tests.builders import SERVICE
from tests.fakes import error
from tests.region_town import only, regions_file
from tests.region_town import town as town
from tests.town_region import HOME, STANDBY, TABLE


def refuses(code):
    """A call that is refused."""

    def refused(**_):
        raise error(code)

    return refused


def told_back(region):
    """The ways back that are started in a Region from now on; none of them runs."""
    started, start = [], region.start_execution

    def kept(**asked):
        if "rollback" not in asked["stateMachineArn"]:
            return start(**asked)
        started.append(asked["name"])
        return {}

    region.start_execution = kept
    return started


def spoil(region):
    """A newer Greenlane wrote the Region's record: this one cannot read it."""
    key = {"pk": {"S": f"SERVICE#{SERVICE}"}, "sk": {"S": "RECORD"}}
    item = region.table.get_item(TableName=TABLE, Key=key)["Item"]
    region.table.put_item(TableName=TABLE, Item=item | {"phase": {"S": "of a later version"}})


def test_a_region_whose_record_cannot_be_read_does_not_keep_the_others_from_going_back(town):
    it = town()
    it.begin()
    it.run(hours=2.2)
    assert len(it.started) == 3
    spoil(it.regions[it.started[0]])
    told_back(it.regions[it.started[0]])
    it.home.ask("rollback", "complaints")
    it.run(hours=0.5)
    assert it.home.record.phase == "rolling_back"
    for name in it.started[1:]:
        assert it.regions[name].phase is Phase.ROLLED_BACK
    assert it.home.record.left == (it.started[0],)
    assert "regions_partial" in it.kinds()


def test_a_region_whose_record_cannot_be_read_is_still_told_to_go_back(town):
    it = town()
    it.begin()
    it.run(hours=1.5)
    spoil(it.regions[it.started[0]])
    told = told_back(it.regions[it.started[0]])
    it.home.ask("rollback", "complaints")
    it.run(hours=0.07)
    assert len(told) == 1


def test_a_wish_to_go_back_is_not_lost_to_one_that_comes_before_it_is_heeded(town):
    it = town()
    it.begin()
    it.run(hours=0.5)
    it.home.ask("hold", "a fair")
    it.run(hours=0.2)
    assert it.home.record.phase == "held"
    it.home.ask("rollback", "complaints")
    with pytest.raises(SignalRefused, match="ada asked to take it back"):
        it.home.ask("resume", "who looked at an old screen")
    it.run()
    assert it.home.record.phase == "rolled_back"


def test_a_wish_whose_messenger_died_is_delivered_by_the_tick(town):
    it = town()
    it.begin()
    it.run(hours=4)
    assert it.home.record.phase == "watching"
    began = it.kernel.seconds
    wake, it.home.executions = it.home.executions, {}
    it.home.ask("rollback", "complaints")  # nobody is woken
    it.home.executions = wake
    it.tend(it.home, times=2)
    it.run(hours=6, done=lambda: it.home.record.phase == "rolled_back")
    assert it.kernel.seconds - began <= 600


def test_regions_go_back_although_the_record_cannot_be_written(town):
    it = town()
    it.begin()
    it.run(hours=2.2)
    table = it.regions[HOME].table
    update = table.update_item

    def no_room(**arguments):
        if arguments["Key"]["sk"] == {"S": "ROLLOUT"} and "body" in arguments["UpdateExpression"]:
            raise error("ThrottlingException")
        return update(**arguments)

    table.update_item = no_room
    it.home.ask("rollback", "complaints")
    it.run(hours=0.3)
    for name in it.started:
        assert it.regions[name].phase is Phase.ROLLED_BACK
    del table.update_item
    it.run()
    assert it.home.record.phase == "rolled_back"


def test_metrics_that_cannot_be_read_take_no_region_back(town):
    it = town(regions_file(3, rollback_threshold={"error_rate": 0.05}))
    it.begin()
    it.run(hours=1.2)
    first = it.regions[it.started[0]]
    first.get_metric_data = refuses("Throttling")
    it.run(hours=3)
    assert it.home.record.phase == "advancing"
    assert first.phase is Phase.WATCHING
    del first.get_metric_data
    it.run()
    assert it.home.record.phase == "succeeded"


def test_two_looks_that_failed_by_chance_take_no_region_back(town):
    it = town()
    it.begin()
    it.run(hours=1.2)
    first = it.started[0]
    for at in (0, 600):
        it.kernel.after(at, lambda: it.down.add(first))
        it.kernel.after(at + 20, lambda: it.down.discard(first))
    it.kernel.after(1, lambda: it.heard(it.started[-1]))
    it.run()
    assert it.home.record.phase == "succeeded"


def test_a_region_that_takes_no_order_to_go_back_is_told_to_people_within_an_hour(town):
    it = town()
    it.begin()
    it.run(hours=1.5)
    stuck = it.regions[it.started[0]]
    start = stuck.start_execution
    stuck.start_execution = refuses("AccessDeniedException")
    it.home.ask("rollback", "complaints")
    it.run(hours=1)
    assert it.home.record.left == (stuck.name,)
    assert "regions_partial" in it.kinds()
    stuck.start_execution = start
    it.run()
    assert it.home.record.phase == "rolled_back"


def test_a_region_whose_table_does_not_answer_is_told_to_go_back_all_the_same(town):
    it = town()
    it.begin()
    it.run(hours=1.5)
    lost = it.regions[it.started[0]]
    lost.table.get_item = refuses("ProvisionedThroughputExceededException")
    lost.table.update_item = refuses("ProvisionedThroughputExceededException")
    told = told_back(lost)
    it.home.ask("rollback", "complaints")
    it.run(hours=0.02)
    assert len(told) == 1


def test_going_back_needs_no_file_of_regions(town):
    it = town()
    it.begin()
    it.run(hours=1.5)
    key = {"pk": {"S": "ROLLOUT#shop-1"}, "sk": {"S": "PLAN"}}
    table = it.regions[HOME].table
    table.put_item(TableName=TABLE, Item=key | {"body": {"S": '{"of": "a later version"}'}})
    it.regions[it.started[0]].alarm()
    it.run()
    assert it.home.record.phase == "rolled_back"
    assert {it.regions[name].phase for name in it.started} == {Phase.ROLLED_BACK}


def test_people_are_told_that_an_execution_died_and_the_rollout_is_held(town):
    it = town()
    it.begin()
    it.run(hours=0.5)
    only(it.home).stop("Killed", "by hand")
    it.tend(it.home, times=3)
    it.run(hours=1)
    assert it.home.record.phase == "held"
    assert it.kinds() == ["regions_held"]


def test_news_that_the_topic_did_not_take_is_told_again(town):
    it = town()
    it.begin()
    it.run(hours=1.5)
    publish = it.topic.publish
    it.topic.publish = refuses("InternalError")
    it.home.ask("rollback", "complaints")
    it.run(hours=0.4)
    assert it.home.record.phase == "rolled_back"
    assert it.kinds() == []
    it.topic.publish = publish
    it.run(hours=1)
    assert it.kinds() == ["regions_rolled_back"]
    assert only(it.home).status == "FAILED"


def test_a_topic_that_never_takes_anything_keeps_no_later_rollout_from_beginning(town):
    it = town()
    it.topic.publish = refuses("AuthorizationError")
    it.begin()
    it.run(hours=0.5)
    it.home.ask("rollback", "complaints")
    it.run(hours=0.4)
    assert it.home.record.phase == "rolled_back"
    it.begin("shop-2", version="1.4.3")
    it.run(hours=96)
    assert it.home.record.rollout_id == "shop-2"
    assert {one.status for one in it.home.executions.values()} <= {"SUCCEEDED", "FAILED"}


def test_a_rollout_that_cannot_begin_for_want_of_the_standby_can_be_ended(town):
    it = town()
    it.down.add(STANDBY)
    it.begin()
    it.run(hours=1)
    assert it.started == []
    it.home.ask("rollback", "another day")
    it.tend(it.home, times=2)
    it.run(hours=1)
    assert it.home.record.phase == "rolled_back"
    assert it.started == []


def test_one_service_whose_record_cannot_be_read_does_not_keep_others_from_being_tended(town):
    it = town()
    it.begin()
    it.run(hours=0.5)
    table = it.regions[HOME].table
    for sk in ("a-broken-one",):
        table.put_item(TableName=TABLE, Item={"pk": {"S": "ROLLOUTS"}, "sk": {"S": sk}})
        key = {"pk": {"S": f"SERVICE#{sk}"}, "sk": {"S": "ROLLOUT"}}
        table.put_item(TableName=TABLE, Item=key | {"body": {"S": "{}"}})
    began = it.kernel.seconds
    it.regions[it.started[0]].alarm()
    it.run(hours=1, done=lambda: it.home.record.phase == "rolled_back")
    assert it.kernel.seconds - began <= 120
    it.begin("shop-2", version="1.4.3")
    it.run(hours=0.2)
    list(it.home.executions.values())[-1].stop("Killed", "by hand")
    it.tend(it.home, times=3)
    it.run(hours=0.5)
    assert it.home.record.phase == "held"


def test_a_region_whose_event_was_lost_is_looked_at_within_the_hour(town):
    it = town(events=False)
    it.begin()
    it.run(hours=4)
    assert it.home.record.phase == "watching"
    began = it.kernel.seconds
    it.regions[it.started[0]].alarm()
    it.run(hours=8, done=lambda: it.home.record.phase != "watching")
    assert it.kernel.seconds - began <= 3600


def test_an_order_to_go_back_that_was_throttled_is_repeated_within_two_minutes(town):
    it = town()
    it.begin()
    it.run(hours=1.5)
    region = it.regions[it.started[0]]
    start = region.start_execution
    region.start_execution = refuses("ThrottlingException")
    it.kernel.after(60, lambda: setattr(region, "start_execution", start))
    began = it.kernel.seconds
    it.home.ask("rollback", "complaints")
    it.run(hours=2, done=lambda: region.phase is Phase.ROLLED_BACK)
    assert it.kernel.seconds - began <= 180


def test_regions_that_come_back_one_by_one_page_nobody_again(town):
    it = town(regions_file(9))
    it.begin()
    it.run(hours=6)
    lost = it.started[:3]
    it.down.update(lost)
    it.home.ask("rollback", "complaints")
    for number, name in enumerate(lost):
        it.kernel.after(3600 * (number + 1), lambda name=name: it.down.discard(name))
    it.run()
    assert it.home.record.phase == "rolled_back"
    assert it.kinds().count("regions_partial") == 1


def test_a_share_of_traffic_that_changes_at_each_look_is_told_once(town):
    it = town()
    it.begin()
    it.run(hours=0.2)
    waits = it.regions[it.home.record.waves[1].regions[0]]
    for number in range(20):
        it.kernel.after(600 * number, lambda number=number: setattr(waits, "percent", 600 + number))
    it.run(hours=4)
    assert len(it.started) == 1
    assert it.kinds() == ["regions_waiting"]


def test_what_a_region_says_at_length_is_cut_so_that_the_record_can_be_written(town):
    it = town()
    it.begin()
    it.run(hours=1.5)
    given = {"deployment": {"deployment_id": "shop-1"}}
    it.regions[it.started[0]]._is(Phase.HELD, given, reason="x" * 200_000)
    it.heard(it.started[0])
    it.run(hours=1)
    assert it.home.record.phase == "rolled_back"
    assert len(it.home.record.model_dump_json()) < 10_000


def test_people_are_told_before_a_history_that_cannot_be_written_takes_its_time(town):
    it = town()
    it.begin()
    it.run(hours=1.5)
    at, table = [], it.regions[HOME].table
    put = table.put_item

    def slow(**arguments):
        if arguments["Item"]["sk"]["S"].startswith("EVENT#"):
            at.append(("note", it.kernel.seconds))
            it.kernel.sleep(20)
            raise error("InternalServerError")
        return put(**arguments)

    table.put_item = slow
    publish = it.topic.publish

    def told(**arguments):
        at.append(("told", it.kernel.seconds))
        return publish(**arguments)

    it.topic.publish = told
    it.home.ask("rollback", "complaints")
    it.run(hours=0.2)
    assert at[0][0] == "told"
