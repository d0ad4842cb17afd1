from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from greenlane.apply import check
from greenlane.problems import InvalidDocument
from greenlane.regions.declaring.document import CheckedRegions, check_regions, read_regions
from greenlane.regions.windows.window import EVERY_DAY

SPEC = Path("tests/data/spec/multi-region-config.yaml")

WHOLE = """\
regions:
  eu-north-1: {stage: development}
  eu-west-3: {stage: staging}
  us-east-1:
    priority: 7
    primary: true
    traffic_percentage: 40.5
    deployment_window: {hours: "23:00-01:30", zone: America/New_York, days: [mon, tue]}
    failover_regions: [us-west-2]
    users: 40000
  us-west-2:
    traffic_percentage: 59.5
    headroom_percentage: 60
    users: 60000
    expected_duration: 12m
deployment_strategy:
  type: canary
  bake: {time: 1h, first_time: 12h}
  waves: {first_regions: 2, first_traffic: 10, growth: 1.5, max_regions: 4, max_traffic: 60}
  on_window_end: pause
  primary_position: after_confidence
  max_wait: 3d
freezes:
  - {name: winter, first_day: 2026-12-21, last_day: 2027-01-03}
  - {name: sale, first_day: 2026-11-27, last_day: 2026-11-30, zone: PST, regions: [us-west-2]}
"""


def problems_of(text, **options):
    with pytest.raises(InvalidDocument) as error:
        read_regions(text, "regions.yaml", **options)
    return error.value.problems


def problem_of(text, **options):
    (problem,) = problems_of(text, **options)
    return problem


def test_the_file_of_the_specification_is_read_as_it_stands():
    document = read_regions(SPEC.read_text(), SPEC.name)
    strategy, first = document.deployment_strategy, document.regions["us-east-1"]

    assert list(document.regions) == ["us-east-1", "us-west-2", "eu-west-1", "ap-southeast-1"]
    assert [region.priority for region in document.regions.values()] == [30, 20, 20, 10]
    assert first.traffic_percentage == Decimal(40)
    assert first.failover_regions == ("us-west-2", "eu-west-1")
    assert document.window_of("us-east-1").zone.key == "America/New_York"
    assert (strategy.type, strategy.region_delay) == ("rolling", timedelta(minutes=5))
    assert strategy.rollback_threshold.error_rate == Decimal("0.05")
    assert strategy.rollback_threshold.response_time_p95 == 3000
    assert strategy.monitoring.health_check_interval == timedelta(seconds=30)
    assert strategy.monitoring.metrics_collection_interval == timedelta(minutes=1)
    assert strategy.monitoring.alert_evaluation_interval == timedelta(minutes=2)
    assert document.primaries == ("us-east-1",)


def test_more_than_the_specification_says_can_be_said():
    document = read_regions(WHOLE)
    window = document.window_of("us-east-1")

    assert (window.start_minute, window.end_minute) == (23 * 60, 90)
    assert window.days == {0, 1}
    assert document.window_of("us-west-2") is None
    assert document.primaries == ("us-east-1",)
    assert document.deployment_strategy.waves.growth == Decimal("1.5")
    assert document.freezes[1].holds_for("us-west-2")
    assert not document.freezes[1].holds_for("us-east-1")
    assert document.freezes[0].holds_for("us-east-1")


def test_the_file_is_recognised_by_its_key_and_its_assumptions_are_told():
    checked = check(SPEC)

    assert isinstance(checked, CheckedRegions)
    assert checked.regions == ("us-east-1", "us-west-2", "eu-west-1", "ap-southeast-1")
    assert checked.warnings[0] == "EST → America/New_York (assumed)"
    assert len(checked.warnings) == 4


def test_zones_that_something_is_assumed_of_can_be_refused():
    found = problems_of(SPEC.read_text(), strict_zones=True)

    assert [problem.value for problem in found] == ["EST", "PST", "CET", "SGT"]
    assert [problem.line for problem in found] == [6, 12, 18, 24]
    assert check_regions(WHOLE).warnings == ("PST → America/Los_Angeles (assumed)",)


@pytest.mark.parametrize(
    ("old", "new", "field", "said"),
    [
        (
            "traffic_percentage: 40",
            "traffic_percentage: 37",
            "regions",
            "adds up to 97 (37 + 25 + 25 + 10); make it 100",
        ),
        (
            "    traffic_percentage: 40\n",
            "",
            "regions.us-east-1.traffic_percentage",
            "needs its percent",
        ),
        (
            '["us-west-2", "eu-west-1"]',
            '["us-west-1"]',
            "regions.us-east-1.failover_regions.0",
            "did you mean us-west-2?",
        ),
        (
            '["us-west-2", "eu-west-1"]',
            '["us-east-1"]',
            "regions.us-east-1.failover_regions.0",
            "cannot take over from itself",
        ),
        (
            '["us-west-2", "eu-west-1"]',
            '["us-west-2", "us-west-2"]',
            "regions.us-east-1.failover_regions.1",
            "stands here already",
        ),
        (
            "02:00-04:00 EST",
            "02:00-02:00 EST",
            "regions.us-east-1.deployment_window",
            "begins when it ends",
        ),
        (
            "02:00-04:00 EST",
            "02:00-04:00",
            "regions.us-east-1.deployment_window",
            "hours and a time zone",
        ),
        (
            "02:00-04:00 EST",
            "26:00-04:00 EST",
            "regions.us-east-1.deployment_window",
            "write hours of the day",
        ),
        (
            "02:00-04:00 EST",
            "02:00-04:00 CST",
            "regions.us-east-1.deployment_window",
            "America/Chicago or Asia/Shanghai",
        ),
        (
            "02:00-04:00 EST",
            "02:00-04:00 EDT",
            "regions.us-east-1.deployment_window",
            "summer time only",
        ),
        (
            "02:00-04:00 EST",
            "02:00-02:20 EST",
            "regions.us-east-1.deployment_window",
            "baseline and deployment take 25m",
        ),
        ("priority: high", "priority: urgent", "regions.us-east-1.priority", "low, medium or high"),
        ("priority: high", "prority: high", "regions.us-east-1.prority", "did you mean priority?"),
        (
            'type: "rolling"',
            'type: "roling"',
            "deployment_strategy.type",
            "did you mean rolling?",
        ),
        ("  us-east-1:", "  useast1:", "regions.useast1", "match pattern"),
        (
            "error_rate: 0.05",
            "error_rate: 5",
            "deployment_strategy.rollback_threshold",
            "less than",
        ),
        (
            'metrics_collection_interval: "1m"',
            'metrics_collection_interval: "45s"',
            "deployment_strategy.monitoring.metrics_collection_interval",
            "10s, 20s, 30s or whole minutes",
        ),
        (
            'alert_evaluation_interval: "2m"',
            'alert_evaluation_interval: "90s"',
            "deployment_strategy.monitoring.alert_evaluation_interval",
            "a multiple",
        ),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_line_and_a_way_out(old, new, field, said):
    text = SPEC.read_text()
    assert old in text
    problem = problems_of(text.replace(old, new))[0]

    assert problem.field.startswith(field)
    assert said in problem.way_out
    assert problem.line is not None
    assert problem.line > 1


@pytest.mark.parametrize(
    ("old", "new", "field", "said"),
    [
        (
            "{stage: staging}",
            "{stage: staging, traffic_percentage: 5}",
            "regions.eu-west-3.traffic_percentage",
            "has no production traffic",
        ),
        (
            "{stage: staging}",
            "{stage: staging, primary: true}",
            "regions.eu-west-3.primary",
            "one of production",
        ),
        (
            "failover_regions: [us-west-2]",
            "failover_regions: [eu-west-3]",
            "regions.us-east-1.failover_regions.0",
            "does not take over from production",
        ),
        (
            "bake: {time: 1h, first_time: 12h}",
            "bake: {requests: 100}",
            "regions.eu-north-1.requests_per_minute",
            "how many the region gets",
        ),
        (
            "first_time: 12h",
            "first_time: 10m",
            "deployment_strategy.bake.first_time",
            "at least as long",
        ),
        ("2027-01-03", "2026-12-01", "freezes.0.last_day", "before 2026-12-21"),
        ("2026-12-21", "2026-12-32", "freezes.0.first_day", "write a day"),
        ("[us-west-2]}", "[us-west-9]}", "freezes.1.regions.0", "no region of that name"),
        ("zone: PST", "zone: IST", "freezes.1.zone", "Asia/Kolkata"),
        ("growth: 1.5", "growth: 0.5", "deployment_strategy.waves.growth", "greater than or equal"),
        ("days: [mon, tue]", "days: [monday]", "regions.us-east-1.deployment_window.days", "mon"),
        ("freezes:", "freeze:", "freeze", "did you mean freezes?"),
    ],
)
def test_a_mistake_in_what_is_beyond_it_is_named_too(old, new, field, said):
    assert old in WHOLE
    problem = problems_of(WHOLE.replace(old, new))[0]

    assert problem.field.startswith(field)
    assert said in problem.way_out


def test_traffic_may_be_rounded_by_half_a_percent():
    read_regions(WHOLE.replace("59.5", "59.9"))
    assert "adds up to 100.6" in problem_of(WHOLE.replace("59.5", "60.1")).way_out


def test_all_mistakes_are_told_at_once():
    text = SPEC.read_text().replace("EST", "IST").replace("PST", "PDT").replace("30s", "30")

    assert len(problems_of(text)) == 3


def test_the_primary_is_the_region_with_the_most_traffic_unless_it_is_said():
    text = SPEC.read_text()
    assert read_regions(text.replace("priority: high", "primary: false")).primaries == (
        "us-west-2",
    )
    equal = text.replace(": 40", ": 25").replace(": 10", ": 25")
    assert read_regions(equal).primaries == ("us-west-2",)
    assert read_regions(text.replace("priority: low", "primary: true")).primaries == (
        "ap-southeast-1",
    )


def test_a_window_of_all_day_is_no_window():
    text = SPEC.read_text().replace("02:00-04:00 SGT", "00:00-24:00 SGT")
    window = read_regions(text).window_of("ap-southeast-1")

    assert window.is_always
    assert window.days == EVERY_DAY
