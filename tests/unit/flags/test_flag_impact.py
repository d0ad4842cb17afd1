"""What a flag's level is judged to do: conditions, tests over all minutes, both variants."""

from datetime import timedelta
from decimal import Decimal

import pytest

from greenlane.flags.ramps.guards import Guard
from greenlane.flags.ramps.impact import Behind, Questions, Stretch, judge_impact
from greenlane.flags.ramps.impact_metrics import joined, needs_traffic
from greenlane.health.catalogue import CATALOGUE
from tests.builders import SERVICE, service_config
from tests.flag_town import VARIANT_METRIC
from tests.observations import at, requests, series

SHARES = "checkout_failures"


def guard(*rollback, signals=()):
    return Guard("checkout", "production", SERVICE, rollback, tuple(signals), "on", "off")


def questions(*rollback, signals=()):
    config = service_config(metrics=VARIANT_METRIC)
    assert config.workload is not None
    return Questions(guard(*rollback, signals=signals), Behind(config, config.workload))


def judged(asked, *given, minutes=5, level=10, since=0):
    """The impact of a level that began at minute `since`, and half a minute for it to arrive."""
    begun = at(0) - timedelta(minutes=1)
    stretch = Stretch(begun, at(since) - timedelta(minutes=1), Decimal(level))
    return judge_impact(asked, given, stretch, at(minutes))


def errors(each, count=2000):
    """The service's minutes with so many errors in each."""
    parts = [requests(count, one) for one in each]
    return [series(name, None, parts) for name in ("error_rate", "certain_error_rate")]


def variants(on, off, samples=(200, 1800), minutes=5):
    shares = (("green", on, samples[0]), ("blue", off, samples[1]))
    return [
        series(SHARES, slot, [{"value": share, "n": float(count)}] * minutes)
        for slot, share, count in shares
    ]


def test_a_service_that_keeps_its_conditions_passes():
    assert judged(questions("error_rate > 0.05"), *errors([10] * 5)).outcome == "pass"


def test_a_condition_that_is_true_of_what_users_see_fires():
    found = judged(questions("error_rate > 0.05"), *errors([10, 10, 10, 10, 300]))
    assert found.outcome == "fired"
    assert "0.15" in found.reason


def test_a_limit_that_is_shown_to_be_broken_fails_though_no_minute_fires():
    """Three of four minutes are needed at once; over all of them it is beyond doubt."""
    asked = questions("error_rate > 0.05 for 4/4")
    found = judged(asked, *errors([180, 190, 60, 180, 190, 60, 180, 190]), minutes=8)
    assert found.outcome == "fail"
    assert "requests failed" in found.reason


@pytest.mark.parametrize("which", ["no minute", "no requests", "few requests"])
def test_no_data_holds_and_never_passes(which):
    given = {
        "no minute": [],
        "no requests": errors([]),
        "few requests": errors([0] * 5, count=3),
    }[which]
    assert judged(questions("error_rate > 0.05"), *given).outcome == "hold"


def test_before_the_level_has_a_whole_minute_nothing_is_known():
    found = judged(questions("error_rate > 0.05"), *errors([10] * 5), since=5)
    assert (found.outcome, "no whole minute yet" in found.reason) == ("hold", True)


def test_a_signal_holds_where_a_rollback_condition_would_fire():
    given = errors([300] * 5)
    assert judged(questions(signals=["error_rate > 0.05"]), *given).outcome == "hold"
    assert judged(questions("error_rate > 0.05"), *given).outcome == "fired"


def test_what_could_not_be_read_holds():
    broken = [
        one.model_copy(update={"complete": False, "trouble": "throttled"}) for one in errors([9])
    ]
    found = judged(questions("error_rate > 0.05"), *broken)
    assert (found.outcome, "throttled" in found.reason) == ("hold", True)


def test_a_condition_on_a_metric_that_the_service_does_not_declare_holds_and_says_so():
    found = judged(questions("queue_age > 5"), *errors([0] * 5))
    assert (found.outcome, "there is no metric 'queue_age'" in found.reason) == ("hold", True)


def test_those_who_have_the_flag_are_compared_with_those_who_do_not():
    """Far below the limit, and still much worse than without the flag."""
    asked = questions(f"{SHARES} > 0.5")
    worse = judged(asked, *variants(0.2, 0.01))
    assert worse.outcome == "fail"
    assert "beside those without it" in worse.reason
    assert judged(asked, *variants(0.011, 0.01)).outcome == "pass"


def test_a_trouble_that_both_variants_have_is_not_the_flags():
    found = judged(questions(f"{SHARES} > 0.1"), *variants(0.3, 0.3))
    assert (found.outcome, "true with and without it" in found.reason) == ("hold", True)


def test_a_condition_that_is_true_of_those_who_have_the_flag_alone_fires():
    assert judged(questions(f"{SHARES} > 0.1"), *variants(0.3, 0.01)).outcome == "fired"


def test_minutes_of_earlier_steps_count_against_a_flag_and_never_for_its_present_level():
    asked = questions("error_rate > 0.05 for 6/6")
    assert judged(asked, *errors([10] * 5), minutes=8, since=5).outcome == "hold"
    assert judged(asked, *errors([180] * 5), minutes=8, since=5).outcome == "fail"


def test_a_flag_without_conditions_has_nothing_to_judge():
    assert judged(questions()).outcome == "pass"


@pytest.mark.parametrize(
    ("name", "blue", "green", "together"),
    [
        ("error_rate", {"r": 90.0, "c5": 9.0}, {"r": 10.0}, 0.09),
        ("response_time_p95", {"r": 90.0, "p": 0.1}, {"r": 30.0, "p": 0.5}, 200.0),
        ("healthy_hosts", {"h": 2.0}, {"h": 3.0}, 5.0),
        ("throughput", {"r": 90.0}, {"r": 10.0}, 100.0),
        ("user_satisfaction", {"b": 4.0, "n": 30.0}, {"b": 2.0, "n": 10.0}, 3.5),
    ],
)
def test_both_slots_together_are_what_the_users_see(name, blue, green, together):
    metric = CATALOGUE[name]
    both = joined(metric, [series(name, "blue", [blue]), series(name, "green", [green])])
    assert both.slot is None
    parts = dict(both.minutes[0].parts)
    value = metric.value(parts) if name != "error_rate" else parts["c5"] / parts["r"]
    assert value == pytest.approx(together)


def test_one_slot_that_was_read_in_part_makes_the_whole_incomplete():
    metric = CATALOGUE["throughput"]
    one = series("throughput", "blue", [{"r": 1.0}], complete=False, trouble="throttled")
    both = joined(metric, [one, series("throughput", "green", [])])
    assert (both.complete, both.trouble) == (False, "throttled")
    assert not joined(metric, []).complete


@pytest.mark.parametrize(
    "text",
    ["response_time_p95 > 1500", "error_rate > 0.05 and response_time_p95 > 500", "cpu_usage > 80"],
)
def test_numbers_that_stopped_coming_hours_ago_are_no_evidence_for_going_on(text):
    given = [
        series("response_time_p95", None, [{"r": 100.0, "p": 0.1}] * 5),
        series("cpu_usage", None, [{"u": 1.0, "v": 2.0}] * 5),
        *errors([1] * 5),
    ]
    assert judged(questions(text), *given, minutes=7).outcome == "pass"
    found = judged(questions(text), *given, minutes=300)
    assert (found.outcome, "the newest data began 296 minutes ago" in found.reason) == (
        "hold",
        True,
    )


def test_a_slot_that_only_stands_by_does_not_make_a_busy_service_look_idle():
    metric = CATALOGUE["cpu_usage"]
    levels = [
        series("cpu_usage", "blue", [{"u": 95.0, "v": 100.0}]),
        series("cpu_usage", "green", [{"u": 3.0, "v": 100.0}]),
    ]
    serving = [series("throughput", "blue", [{"r": 2000.0}])]
    assert needs_traffic(metric)
    assert not needs_traffic(CATALOGUE["response_time_p95"])
    both = joined(metric, levels, serving)
    assert metric.value(dict(both.minutes[0].parts)) == pytest.approx(95)
    unknown = joined(metric, levels)
    assert metric.value(dict(unknown.minutes[0].parts)) == pytest.approx(49)
