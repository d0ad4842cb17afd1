"""A rollback that nobody works at any more finds another execution."""

from greenlane.rollback.take_back import take_traffic_back


def taken_back(world, kind="alarm", **more):
    return take_traffic_back(world.back(kind, **more), world.runtime)


def test_a_rollback_whose_execution_ended_without_an_end_in_the_record_is_taken_over(world):
    world.shifted()
    taken_back(world, execution="first")
    world.machines.statuses["first"] = "SUCCEEDED"
    assert taken_back(world, "reconciler", execution="second").action == "settle"
    assert world.record.rollback_execution == "second"


def test_a_take_over_whose_answer_was_lost_goes_on(world):
    world.shifted()
    taken_back(world, execution="first")
    world.machines.statuses["first"] = "FAILED"

    def lost():
        event = world.back("reconciler", execution="second")
        take_traffic_back(event, world.runtime)

    world.just_before("dynamodb", "update_item", lost, skip=1)
    assert taken_back(world, "reconciler", execution="second").action == "settle"
