"""`greenlane report`: the report on stdout, everything about it on stderr."""

import json

import pytest

from greenlane.cli.exits import ExitCode
from greenlane.errors import UnknownDeployment
from greenlane.incidents import reports
from greenlane.incidents.report_compose import compose
from greenlane.incidents.report_place import console_url, report_keys
from greenlane.incidents.reports import FoundReport
from tests.unit.incidents.cases import GOLDEN, by_alarm
from tests.unit.incidents.pieces import ID

SERVICE = "claude-manager"


class FakeReports:
    asked = []
    stored, made, problems = True, False, ()
    error = None

    def __init__(self, connection):
        self.connection = connection

    def get(self, service, deployment_id=None, *, refresh=False, by="unknown"):
        if FakeReports.error is not None:
            raise FakeReports.error
        FakeReports.asked.append((service, deployment_id, refresh, by))
        keys = report_keys(SERVICE, ID)
        return FoundReport(
            service=SERVICE,
            deployment_id=ID,
            bucket="bucket",
            keys=keys,
            url=console_url("bucket", "eu-west-1", keys["html"]),
            made=FakeReports.made,
            stored=FakeReports.stored,
            problems=FakeReports.problems,
            report=compose(by_alarm()),
        )


@pytest.fixture(autouse=True)
def fake(monkeypatch, client):
    client.connection = object()
    monkeypatch.setattr(reports, "Reports", FakeReports)
    monkeypatch.setattr(FakeReports, "asked", [])
    return FakeReports


@pytest.mark.parametrize("format", ["md", "json", "html"])
def test_the_report_goes_to_stdout_as_it_is_stored(run, fake, format):
    result = run("report", SERVICE, "--format", format)
    assert result.exit_code == ExitCode.OK, result.output
    assert result.stdout == (GOLDEN / "by_alarm" / f"report.{format}").read_text()
    assert fake.asked == [(SERVICE, None, False, "jo")]


def test_markdown_of_the_latest_deployment_is_what_one_gets_unasked(run, fake):
    assert run("report", SERVICE).stdout.startswith("# claude-manager: 1.4.2 was rolled back")
    run("report", SERVICE, "-d", "latest")
    run("report", SERVICE, "-d", ID, "--refresh")
    assert [asked[1:3] for asked in fake.asked] == [(None, False), (None, False), (ID, True)]


@pytest.mark.parametrize(("made", "word"), [(True, "written to"), (False, "read from")])
def test_where_it_is_goes_to_stderr(run, fake, monkeypatch, made, word):
    monkeypatch.setattr(fake, "made", made)
    result = run("report", SERVICE)
    assert f"{word} s3://bucket/incidents/{SERVICE}/{ID}/report.html" in result.stderr
    assert "s3://" not in result.stdout


def test_what_could_not_be_stored_is_a_warning_and_the_report_is_there(run, fake, monkeypatch):
    monkeypatch.setattr(fake, "stored", False)
    monkeypatch.setattr(fake, "problems", ("the report was not stored: AccessDenied",))
    result = run("report", SERVICE)
    assert result.exit_code == ExitCode.OK
    assert result.stderr == "warning: the report was not stored: AccessDenied\n"
    assert result.stdout.startswith("# ")


def test_as_json_all_of_it_is_one_document(run):
    result = run("report", SERVICE, "--output", "json")
    found = json.loads(result.stdout)
    assert found["keys"]["md"] == f"incidents/{SERVICE}/{ID}/report.md"
    assert found["url"].startswith("https://eu-west-1.console.aws.amazon.com/s3/object/bucket")
    assert (found["made"], found["stored"]) == (False, True)
    assert found["report"]["outcome"] == "rolled_back"
    assert result.stderr == ""


def test_an_unknown_deployment_is_bad_input(run, fake, monkeypatch):
    monkeypatch.setattr(fake, "error", UnknownDeployment("d-9"))
    result = run("report", SERVICE, "-d", "d-9")
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "see `greenlane history SERVICE`" in result.stderr


def test_a_format_that_does_not_exist_is_refused(run):
    assert run("report", SERVICE, "--format", "pdf").exit_code == ExitCode.BAD_INPUT
