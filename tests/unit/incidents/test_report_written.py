"""The function at the end of a rollback, in the world that the core's own tests use."""

import dataclasses
import json
from datetime import timedelta

import pytest
from botocore.exceptions import ReadTimeoutError

from greenlane.deployments.model import CheckResult, Judgement, Verdict
from greenlane.deployments.phases import Phase
from greenlane.incidents.report_gather import gather
from greenlane.incidents.report_model import Report
from greenlane.incidents.reporting import ReportEvent, report_incident, sources_of
from greenlane.rollback.closing import close_rollback
from greenlane.rollback.model import CloseEvent
from greenlane.rollback.settle import empty_slot, hold_traffic
from greenlane.rollback.take_back import take_traffic_back
from tests.builders import SERVICE
from tests.fakes import error
from tests.unit.incidents.reported import BUCKET, KEY, STOPPED_TASK, crossed, go_back


@pytest.fixture
def went_back(reported):
    reported.world.shifted()
    reported.log_to_cloudwatch()
    reported.stopped = {STOPPED_TASK: reported.world.record.task_definition}
    reported.logs.lines = [
        ("cm/web/0a1b2c", "ERROR no such table 1"),
        ("cm/web/ffff", "ERROR old trouble"),
    ]
    return go_back(reported, **crossed())


def stored(reported):
    return Report.model_validate_json(reported.bucket.objects[f"{KEY}.json"][1])


def test_a_rollback_ends_with_a_report_in_three_formats(reported, went_back):
    found = report_incident(went_back, reported.world.runtime)
    assert (found.deployment_id, found.bucket) == ("d-1", BUCKET)
    assert set(reported.bucket.objects) == {f"{KEY}.{format}" for format in ("json", "md", "html")}
    assert reported.bucket.written[-1] == f"{KEY}.json"
    assert {name: kind for name, (kind, _) in reported.bucket.objects.items()} == {
        f"{KEY}.json": "application/json",
        f"{KEY}.md": "text/markdown; charset=utf-8",
        f"{KEY}.html": "text/html; charset=utf-8",
    }


def test_the_report_says_what_happened_and_why(reported, went_back):
    report_incident(went_back, reported.world.runtime)
    report = stored(reported)
    assert report.outcome == "rolled_back"
    assert (report.cause.observed, report.cause.threshold) == (20.0, 5.0)
    assert report.percent == {"blue": 100, "green": 0}
    assert report.affected.requests > 0
    assert [phase.name for phase in report.phases] == ["before", "during", "after"]
    assert [message.text for message in report.logs.new] == ["ERROR no such table <n>"]
    changed = {change.path for change in report.changes.task_definition}
    assert changed == {"containers.claude-manager.image"}
    assert report.gaps == ()


def test_what_was_done_is_told_with_its_times(reported, went_back):
    report_incident(went_back, reported.world.runtime)
    assert {part.name: part.seconds for part in stored(reported).done} == {
        "notice": 0.0,
        "fence": 0.0,
        "traffic": 0.0,
        "settle": 46.0,
        "drain": 360.0,
        "scale down": 0.0,
        "close": 1.0,
    }


def test_the_history_and_the_list_know_where_it_is(reported, went_back):
    report_incident(went_back, reported.world.runtime)
    line = reported.world.store.history("d-1")[-1]
    assert line.kind == "report written"
    assert line.detail == {
        "bucket": BUCKET,
        "keys": {format: f"{KEY}.{format}" for format in ("json", "md", "html")},
    }
    (summary,) = reported.world.store.deployments(SERVICE)
    assert (summary.report, summary.phase) == (f"{KEY}.json", Phase.ROLLED_BACK)


def test_a_repeated_run_writes_the_same_report_and_notes_it_once(reported, went_back):
    report_incident(went_back, reported.world.runtime)
    first = dict(reported.bucket.objects)
    report_incident(went_back, reported.world.runtime)
    assert reported.bucket.objects == first
    assert reported.world.kinds().count("report written") == 1


def test_reporting_changes_nothing_that_decides(reported, went_back):
    with reported.world.untouched():
        report_incident(went_back, reported.world.runtime)
    assert "modify_rule" not in [call for _, call in reported.world.calls[-40:]]


@pytest.mark.parametrize(
    ("service", "operation", "gap"),
    [
        ("cloudwatch", "get_metric_data", "metrics"),
        ("cloudwatch", "describe_alarms", "the alarm's definition"),
        ("logs", "start_query", "log messages"),
        ("logs", "get_query_results", "log messages"),
        ("elbv2", "describe_rules", "the live weights"),
        ("ecs", "describe_task_definition", "the old task definition"),
        ("ecs", "list_tasks", "the new version's tasks"),
    ],
)
@pytest.mark.parametrize(
    "problem", [error("AccessDeniedException"), ReadTimeoutError(endpoint_url="x"), KeyError("x")]
)
def test_what_cannot_be_read_is_a_line_of_the_report(
    reported, went_back, service, operation, gap, problem
):
    reported.world.fail(service, operation, problem, times=100)
    report_incident(went_back, reported.world.runtime)
    report = stored(reported)
    assert report.outcome == "rolled_back"
    assert gap in [found.what for found in report.gaps]
    text = reported.bucket.objects[f"{KEY}.md"][1].decode()
    assert f"{gap}: not available: " in text


def test_with_everything_but_the_table_and_the_bucket_down_there_is_a_report(reported, went_back):
    for service in ("cloudwatch", "logs", "elbv2", "ecs"):
        reported.world.fail(service, "*", times=1000)
    report_incident(went_back, reported.world.runtime)
    assert len(stored(reported).timeline) > 5


def test_a_bucket_that_refuses_is_an_error_for_the_workflow_and_nothing_is_noted(
    reported, went_back
):
    reported.world.fail("s3", "put_object", "AccessDenied", times=3)
    with pytest.raises(Exception, match="AccessDenied"):
        report_incident(went_back, reported.world.runtime)
    assert "report written" not in reported.world.kinds()


def test_a_history_that_cannot_be_written_does_not_lose_the_report(reported, went_back):
    reported.world.fail("dynamodb", "put_item", times=100)
    assert report_incident(went_back, reported.world.runtime) is not None
    assert len(reported.bucket.objects) == 3


def test_a_verdict_inside_a_bake_is_the_cause(reported):
    reported.world.shifted()
    check = CheckResult(name="error_rate", verdict="fail", value="0.2", limit="0.01")
    verdict = Verdict(verdict="fail", checks=(check,), requests=100)
    look = Judgement(at=reported.now() + timedelta(minutes=2), step=0, verdict=verdict)
    reported.world.store.put_look("d-1", look)
    report_incident(go_back(reported, "failure"), reported.world.runtime)
    cause = stored(reported).cause
    assert (cause.metric, cause.observed, cause.threshold) == ("error_rate", 0.2, 0.01)


def held(reported):
    """A rollback whose good slot is sick too, with its page; its report is the next thing."""
    world = reported.world
    world.shifted()
    world.serve("blue", 0, sick=2)
    asked = world.back(trigger=crossed())
    rollback = take_traffic_back(asked, world.runtime)
    assert rollback.action == "held"
    given = CloseEvent(rollback=rollback, execution=asked.execution, held=True)
    close_rollback(given, world.runtime)
    state = rollback.model_dump(mode="json")
    return ReportEvent(request=asked.request, execution=asked.execution, state=state)


def test_a_held_service_has_a_report_that_says_where_the_traffic_is(reported):
    world = reported.world
    report_incident(held(reported), world.runtime)
    report = stored(reported)
    assert (report.outcome, report.percent) == ("held", {"blue": 90, "green": 10})
    assert "a person is needed" in report.summary[0]
    assert report.next_steps[0].command == f"greenlane get {SERVICE}"


def test_a_held_service_that_is_rolled_back_later_gets_a_new_report_in_its_place(reported):
    world = reported.world
    report_incident(held(reported), world.runtime)
    world.serve("blue", 2)
    world.machines.statuses.clear()
    report_incident(go_back(reported, "person", execution="by-hand"), world.runtime)
    assert stored(reported).outcome == "rolled_back"
    assert world.kinds().count("report written") == 2
    assert reported.bucket.written.count(f"{KEY}.json") == 2
    (line,) = world.store.deployments(SERVICE)
    assert (line.phase, line.report) == (Phase.ROLLED_BACK, f"{KEY}.json")


def test_a_line_that_was_written_while_the_report_was_made_is_not_written_over(reported, went_back):
    world = reported.world
    (line,) = world.store.deployments(SERVICE)

    def newer():
        world.store.put_summary(line.model_copy(update={"reason": "written meanwhile"}))

    world.just_before("s3", "put_object", newer)
    report_incident(went_back, world.runtime)
    (found,) = world.store.deployments(SERVICE)
    assert (found.reason, found.report) == ("written meanwhile", f"{KEY}.json")


def test_an_abandoned_deployment_affected_nobody(reported):
    world = reported.world
    world.stable()
    asked = world.back("failure", trigger={"name": "UnstableCandidate", "reason": "no"})
    rollback = take_traffic_back(asked, world.runtime)
    world.clock.advance(minutes=2)
    rollback = empty_slot(hold_traffic(rollback, world.runtime), world.runtime)
    close_rollback(CloseEvent(rollback=rollback, execution=asked.execution), world.runtime)
    event = ReportEvent(request=asked.request, execution=asked.execution, state=None)
    report_incident(event, world.runtime)
    assert "nobody was affected" in stored(reported).summary[1]


def test_the_report_is_about_the_deployment_that_went_back_not_the_next(reported, went_back):
    world = reported.world
    world.serve("green", 0)
    world.planned("d-2")
    report_incident(went_back, world.runtime)
    report = stored(reported)
    assert (report.deployment_id, report.outcome, report.percent) == ("d-1", "rolled_back", None)


def test_without_a_state_the_record_that_this_execution_owns_says_whose_it_is(reported, went_back):
    bare = went_back.model_copy(update={"state": None})
    assert report_incident(bare, reported.world.runtime).deployment_id == "d-1"
    other = bare.model_copy(update={"execution": "arn:of:another"})
    assert report_incident(other, reported.world.runtime) is None


def test_what_was_never_planned_or_has_no_bucket_is_no_error(reported, went_back):
    unknown = went_back.model_copy(update={"state": {"deployment_id": "d-9"}})
    assert report_incident(unknown, reported.world.runtime) is None
    runtime = reported.world.runtime
    runtime.settings = dataclasses.replace(runtime.settings, incidents_bucket="")
    assert report_incident(went_back, runtime) is None
    assert reported.bucket.objects == {}


def test_the_deployment_before_is_what_the_configuration_is_compared_with(reported):
    world = reported.world
    world.shifted()
    report_incident(go_back(reported, **crossed()), world.runtime)
    assert stored(reported).changes.config is None

    world.clock.advance(minutes=10)
    world.configure(judge={"min_requests": 50})
    world.planned("d-2")
    evidence = gather(sources_of(world.runtime), "d-2")
    assert evidence.previous.deployment_id == "d-1"


def test_the_alarms_event_says_what_it_looked_at_when_the_alarm_is_gone(reported, went_back):
    world = reported.world
    world.watch.states.clear()
    metrics = [{"id": "e", "expression": "x", "label": "green error rate"}]
    request = went_back.request.model_copy(update={"configuration": {"metrics": metrics}})
    report_incident(went_back.model_copy(update={"request": request}), world.runtime)
    assert stored(reported).cause.metric == "green error rate"


def test_people_are_told_where_the_report_will_be(reported, went_back):
    published = reported.world.topic.published[-1]
    text = json.loads(published["Message"])["default"]
    assert f"s3/object/{BUCKET}?region=eu-west-1&prefix={KEY}.html" in text
