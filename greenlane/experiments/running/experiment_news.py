"""What people are told when a test has ended: once, by the way that deployments are told."""

from collections.abc import Sequence

from greenlane.experiments.report.keeping import report_key
from greenlane.experiments.running.runtime import ExperimentRuntime
from greenlane.experiments.storing.state import Ending, StoredTest
from greenlane.incidents.report_place import console_url
from greenlane.people.announcement import UNKNOWN, Announcement, Severity, announce

_SEVERITIES: dict[Ending, Severity] = {"rollback": "critical", "invalid": "warning"}
"""Harm pages; a test that cannot be trusted is somebody's to mend; the rest is good to know."""

_SAID: dict[Ending, str] = {
    "ship": "{name} ended: {served} wins",
    "futile": "{name} ended: no treatment can be as much better as is asked",
    "inconclusive": "{name} ended without a winner",
    "invalid": "{name} ended: users did not come as planned",
    "rollback": "{name} was stopped: a treatment does harm",
    "stopped": "{name} was stopped by {by}",
}

_WAY_OUT = "see all of it: greenlane experiments report {name}"


def news_of(
    runtime: ExperimentRuntime, test: StoredTest, ramped: str, services: Sequence[str]
) -> Announcement:
    """What is told of a test that has ended.

    Args:
        runtime: names the Region, the bucket of reports, and the time.
        test: it has ended.
        ramped: what became of the winning flag; empty where there is none.
        services: the names of all services.
    """
    verdict = test.verdict or "stopped"
    region = runtime.settings.topic_arn.split(":")[3]
    bucket, key = runtime.settings.incidents_bucket, report_key(test.name, test.run, "html")
    facts = {
        "test": f"{test.name}, run {test.run}",
        "verdict": verdict,
        "reason": test.reason,
        "everybody has": test.served,
        "flag": ramped,
        "report": f"s3://{bucket}/{key}",
    }
    return announce(
        kind=f"experiment_{verdict}",
        severity=_SEVERITIES.get(verdict, "info"),
        service=service_of(test, services) or UNKNOWN,
        region=region,
        subject="A/B test: "
        + _SAID[verdict].format(name=test.name, served=test.served, by=test.ended_by or "somebody"),
        occasion=f"{test.name}/{test.run}/{verdict}",
        facts={name: value for name, value in facts.items() if value},
        way_out=_WAY_OUT.format(name=test.name),
        links={"report": console_url(bucket, region, key)},
        at=test.ended_at or runtime.clock.now(),
    )


def service_of(test: StoredTest, services: Sequence[str]) -> str:
    """Whose alarms a test's guardrails heed: the service that it names, or the only one."""
    if test.definition.service is not None:
        return test.definition.service
    return services[0] if len(services) == 1 else ""
