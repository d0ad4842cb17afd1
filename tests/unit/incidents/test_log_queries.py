from typing import Any

import pytest

from greenlane.incidents.log_queries import (
    LINES,
    WAIT_SECONDS,
    LogsUnreadable,
    log_group,
    read_logs,
)
from greenlane.incidents.task_reading import ids_of, read_tasks, why_stopped
from tests.builders import SERVICE
from tests.unit.incidents.pieces import FAMILY, at, new_definition, old_definition, planned
from tests.unit.incidents.reported import STOPPED_TASK


@pytest.fixture
def read(reported):
    def read(tasks=frozenset(), **changes):
        slept = []
        values: dict[str, Any] = {
            "before": old_definition(),
            "after": new_definition(),
            "tasks": set(tasks),
            "start": at(-30),
            "end": at(12),
            "sleep": slept.append,
        }
        found = read_logs(reported.logs, planned(), **(values | changes))
        reported.slept = sum(slept)
        return found

    return read


def test_streams_of_the_new_versions_tasks_are_compared_with_all_others(reported, read):
    reported.logs.lines = [("cm/web/aa", "error new"), ("cm/web/bb", "error old")]
    found = read(tasks={"aa"})
    assert [line.message for line in found.candidate] == ["error new"]
    assert [line.message for line in found.reference] == ["error old"]
    new, others = reported.logs.asked
    assert "filter @logStream like /aa/" in new["queryString"]
    assert "filter @logStream not like /aa/" in others["queryString"]
    assert (new["startTime"], new["endTime"]) == (at(0).timestamp(), at(12).timestamp())
    assert (others["startTime"], others["endTime"]) == (at(-30).timestamp(), at(12).timestamp())
    assert {asked["logGroupName"] for asked in reported.logs.asked} == {f"/ecs/{SERVICE}"}


def test_without_the_tasks_the_time_of_the_deployment_is_compared_with_that_before(reported, read):
    found = read()
    assert "ECS does not know" in found.compared_with
    new, others = reported.logs.asked
    assert (others["startTime"], others["endTime"]) == (at(-30).timestamp(), at(0).timestamp())
    assert "@logStream not" not in others["queryString"]


def test_the_wait_for_both_queries_is_bounded_and_what_there_is_counts(reported, read):
    reported.logs.looks_until_done = 10_000
    reported.logs.lines = [("cm/web/aa", "error")]
    found = read(tasks={"aa"})
    assert reported.slept == WAIT_SECONDS
    assert len(found.candidate) == 1
    assert [note for note in found.notes if "not done in time" in note] == list(found.notes)
    assert len(found.notes) == 2


def test_a_quick_answer_is_not_waited_for(reported, read):
    read()
    assert reported.slept == 0


def test_a_flood_is_read_in_part_and_that_is_said(reported, read):
    reported.logs.lines = [("cm/web/aa", "error")] * LINES
    assert (
        read(tasks={"aa"}).notes[0] == f"Only the last {LINES} lines of the new version were read"
    )


@pytest.mark.parametrize("status", ["Failed", "Cancelled", "Timeout"])
def test_a_query_that_fails_is_an_error_in_words(reported, read, status):
    reported.logs.status = status
    with pytest.raises(LogsUnreadable, match=f"ended as {status}"):
        read()


@pytest.mark.parametrize(
    ("logging", "why"),
    [
        ({"logDriver": "splunk", "options": {}}, "log driver is splunk"),
        (None, "log driver is none"),
        (
            {"logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-region": "us-a-1"}},
            "writes its logs in us-a-1",
        ),
    ],
)
def test_logs_that_are_elsewhere_are_not_looked_for(logging, why):
    definition = new_definition()
    definition["containerDefinitions"][0]["logConfiguration"] = logging
    with pytest.raises(LogsUnreadable, match=why):
        log_group(definition, SERVICE, "eu-west-1")


def test_only_tasks_of_the_very_revision_count_running_or_stopped(reported):
    reported.stopped = {STOPPED_TASK: f"{FAMILY}:2", f"{STOPPED_TASK}9": f"{FAMILY}:1"}
    ecs = reported.world.runtime.ecs
    found = read_tasks(ecs, SERVICE, f"{SERVICE}-green", f"{FAMILY}:2")
    assert ids_of(found) == {"0a1b2c"}


def test_tasks_that_stopped_by_themselves_say_why():
    crashed = {
        "lastStatus": "STOPPED",
        "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task 0a1b2c3d4e5f6a7b exited",
        "containers": [{"name": "web", "exitCode": 137, "reason": "OutOfMemoryError: killed"}],
    }
    others = [
        {"lastStatus": "STOPPED", "stopCode": "ServiceSchedulerInitiated"},
        {"lastStatus": "RUNNING"},
    ]
    assert why_stopped([crashed, *others]) == (
        "Essential container in task <hex> exited; web: exit code 137, OutOfMemoryError: killed",
    )
