"""`Reports`, as the command line uses it: the stored report, or a new one."""

from types import SimpleNamespace
from typing import Any

import pytest

from greenlane.deployments.stepping.finishing import finish_deployment
from greenlane.errors import InvalidInput, Refused, UnknownDeployment, UnknownService
from greenlane.incidents.report_model import Report
from greenlane.incidents.reporting import report_incident
from greenlane.incidents.reports import Reports
from tests.builders import SERVICE
from tests.unit.incidents.reported import BUCKET, KEY, crossed, go_back


@pytest.fixture
def reports(reported):
    runtime = reported.world.runtime
    clients = {
        name: runtime.__dict__[name] for name in ("ecs", "elbv2", "cloudwatch", "logs", "s3")
    }
    connection: Any = SimpleNamespace(
        store=runtime.store,
        clock=reported.world.clock,
        account="123456789012",
        region="eu-west-1",
        client=clients.__getitem__,
    )
    return Reports(connection)


@pytest.fixture
def went_back(reported):
    reported.world.shifted()
    event = go_back(reported, **crossed())
    reported.world.clock.advance(seconds=5)
    return event


def test_the_stored_report_is_given_as_it_is(reported, reports, went_back):
    report_incident(went_back, reported.world.runtime)
    reported.world.clock.advance(days=3)
    found = reports.get(SERVICE, by="jo")
    assert (found.made, found.stored, found.problems) == (False, True, ())
    for format in ("json", "md", "html"):
        assert found.text(format).encode() == reported.bucket.objects[f"{KEY}.{format}"][1]
    assert found.keys["html"] == f"{KEY}.html"
    assert found.url.endswith(f"/{BUCKET}?region=eu-west-1&prefix={KEY}.html")


def test_without_a_stored_one_it_is_made_stored_and_noted(reported, reports, went_back):
    found = reports.get(SERVICE, "d-1", by="jo")
    assert (found.made, found.stored) == (True, True)
    assert f"{KEY}.json" in reported.bucket.objects
    (line,) = [e for e in reported.world.store.history("d-1") if e.kind == "report written"]
    assert line.actor == "jo"
    assert reported.world.store.deployments(SERVICE)[0].report == f"{KEY}.json"
    assert reports.get(SERVICE).made is False


def test_refreshing_reads_the_time_afterwards_too(reported, reports, went_back):
    report_incident(went_back, reported.world.runtime)
    early = reports.get(SERVICE).report
    reported.world.clock.advance(minutes=20)
    late = reports.get(SERVICE, refresh=True)
    assert late.made is True
    assert late.report.window_end > early.window_end
    assert reports.get(SERVICE).report == late.report


def test_a_deployment_that_succeeded_has_a_report_on_request(reported, reports):
    state = reported.world.promoted()
    reported.world.clock.advance(minutes=31)
    finish_deployment(state, reported.world.runtime)
    found = reports.get(SERVICE)
    assert (found.report.outcome, found.stored) == ("succeeded", True)
    assert found.text("md").startswith(f"# {SERVICE}: ")


def test_one_that_is_under_way_is_told_but_not_stored(reported, reports):
    reported.world.shifted()
    found = reports.get(SERVICE)
    assert (found.report.outcome, found.stored) == ("under_way", False)
    assert reported.bucket.objects == {}


@pytest.mark.parametrize("operation", ["get_object", "put_object"])
def test_a_bucket_that_refuses_costs_only_the_storing(reported, reports, went_back, operation):
    reported.world.fail("s3", operation, "AccessDenied", times=9)
    found = reports.get(SERVICE)
    assert found.made is True
    assert found.stored is (operation == "get_object")
    assert "AccessDenied" in found.problems[0]


def test_a_history_that_refuses_costs_only_the_note(reported, reports, went_back):
    reported.world.fail("dynamodb", "put_item", "AccessDeniedException", times=9)
    found = reports.get(SERVICE)
    assert found.stored is True
    assert "the history does not know" in found.problems[0]


def test_a_stored_report_of_another_version_is_made_anew(reported, reports, went_back):
    reported.bucket.objects[f"{KEY}.json"] = ("application/json", b'{"of": "a later version"}')
    found = reports.get(SERVICE)
    assert found.made is True
    assert "not understood" in found.problems[0]


def test_a_stored_report_with_more_in_it_is_read(reported, reports, went_back):
    found = reports.get(SERVICE).report
    more = found.model_dump_json()[:-1] + ', "of_a_later_version": 1}'
    assert Report.model_validate_json(more) == found


def test_wrong_names_are_errors_that_say_what_is_wrong(reported, reports):
    with pytest.raises(UnknownService):
        reports.get("nobody")
    with pytest.raises(Refused, match="never deployed"):
        reports.get(SERVICE)
    with pytest.raises(UnknownDeployment):
        reports.get(SERVICE, "d-9")
    reported.world.planned()
    with pytest.raises(InvalidInput, match="a deployment of claude-manager"):
        reports.get("checkout", "d-1")
