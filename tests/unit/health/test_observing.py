from datetime import timedelta
from decimal import Decimal

import pytest

from greenlane.deployments.model import Shift
from greenlane.deployments.phases import Phase
from greenlane.health.catalogue import CATALOGUE
from greenlane.health.declared import MetricDeclaration, known_metrics
from greenlane.health.observing import missing, observe, read_baseline, segments
from tests.builders import NOW, plan, record, workload
from tests.unit.health.datapoints import Cloudwatch, failing, runtime


def minutes(n):
    return NOW + timedelta(minutes=n)


def seconds(n):
    return NOW + timedelta(seconds=n)


def spans(found):
    return [(one.weight, one.start, one.end) for one in found]


def test_each_weight_has_the_whole_minutes_after_its_propagation():
    shifts = (Shift(at=seconds(5), weight=10), Shift(at=seconds(305), weight=50))
    stands = record(shifts=shifts, shifted_at=seconds(305), weight=50)

    found = segments(plan(), stands, seconds(8 * 60 + 15))

    assert spans(found) == [(10, minutes(1), minutes(5)), (50, minutes(6), minutes(8))]


def test_the_last_minute_waits_until_its_metrics_are_there():
    stands = record(shifts=(Shift(at=NOW, weight=10),), shifted_at=NOW, weight=10)

    assert spans(segments(plan(), stands, seconds(129))) == [(10, minutes(1), minutes(1))]
    assert spans(segments(plan(), stands, seconds(130))) == [(10, minutes(1), minutes(2))]


def test_a_record_of_before_has_the_last_shift_only():
    stands = record(shifted_at=minutes(10), weight=50, shifts=())

    assert spans(segments(plan(), stands, minutes(13))) == [(50, minutes(11), minutes(12))]


@pytest.mark.parametrize(
    ("phase", "steps"),
    [
        (Phase.PROMOTED, [(10, minutes(1), minutes(9)), (100, minutes(10), minutes(20))]),
        (Phase.WATCHING, []),
    ],
)
def test_the_watch_is_a_stretch_of_its_own_after_the_steps(phase, steps):
    stands = record(
        phase=phase,
        shifts=(Shift(at=NOW, weight=10), Shift(at=minutes(9), weight=100)),
        weight=100,
        promoted_at=minutes(20),
    )

    assert spans(segments(plan(), stands, seconds(23 * 60 + 10))) == [
        *steps,
        (100, minutes(21), minutes(23)),
    ]


@pytest.mark.parametrize(
    ("phase", "promoted", "stage"),
    [
        (Phase.SHIFTING, None, "during"),
        (Phase.PROMOTED, NOW, "post"),
        (Phase.WATCHING, NOW, "extended"),
    ],
)
def test_the_phase_says_which_criteria_count(phase, promoted, stage):
    stands = record(phase=phase, promoted_at=promoted, shifted_at=NOW, weight=10)
    observed = observe(runtime(Cloudwatch(), at=minutes(5)), plan(), stands, [])

    assert observed.phase == stage


def test_everything_is_read_at_once_since_the_first_shift():
    shifts = (Shift(at=NOW, weight=10), Shift(at=minutes(5), weight=50))
    stands = record(shifts=shifts, shifted_at=minutes(5), weight=50)
    cloudwatch = Cloudwatch({("RequestCount", "Sum", "green"): {minutes(2): 5, minutes(5): 6}})
    metrics = [CATALOGUE["throughput"], CATALOGUE["error_rate"]]

    observed = observe(runtime(cloudwatch, at=seconds(490)), plan(), stands, metrics)

    (asked,) = cloudwatch.asked
    assert (asked["StartTime"], asked["EndTime"]) == (minutes(1), minutes(8))
    assert (observed.candidate, observed.live) == ("green", "blue")
    series = observed.of("throughput", "green")
    assert series is not None
    # The minute in which the weight changed belongs to no segment.
    assert [minute.at for _, minute in observed.judged(series)] == [minutes(2)]


def test_what_adds_up_is_read_since_the_first_traffic_after_promotion_too():
    stands = record(
        phase=Phase.WATCHING,
        shifts=(Shift(at=seconds(5), weight=10), Shift(at=minutes(9), weight=100)),
        weight=100,
        promoted_at=minutes(20),
    )
    complaints = [CATALOGUE["user_complaints"], CATALOGUE["throughput"]]
    cloudwatch = Cloudwatch({("user_complaints", "Sum", "green"): {minutes(1): 2, minutes(21): 3}})

    observed = observe(runtime(cloudwatch, at=seconds(23 * 60 + 10)), plan(), stands, complaints)

    assert cloudwatch.asked[0]["StartTime"] == minutes(1)
    assert (observed.start, observed.segments[0].start) == (minutes(21), minutes(21))
    series = observed.of("user_complaints", "green")
    assert series is not None
    assert [minute.parts["b"] for minute in series.minutes] == [2, 3]
    assert [minute.at for _, minute in observed.judged(series)] == [minutes(21)]


def test_before_a_whole_minute_nothing_is_read():
    cloudwatch = Cloudwatch()
    stands = record(shifted_at=NOW, weight=10)

    observed = observe(runtime(cloudwatch, at=seconds(60)), plan(), stands, [CATALOGUE["revenue"]])

    assert not cloudwatch.asked
    assert spans(observed.segments) == [(10, minutes(1), minutes(1))]
    assert observed.series == ()


def test_a_step_without_a_whole_minute_is_an_empty_stretch_of_its_own():
    stands = record(shifts=(Shift(at=NOW, weight=10), Shift(at=minutes(5), weight=50)), weight=50)

    judged = segments(plan(), stands, seconds(315))

    assert spans(judged) == [(10, minutes(1), minutes(5)), (50, minutes(6), minutes(6))]


def before(points, *names, count=5, declared=None, **more):
    """The baseline of the five minutes before NOW."""
    cloudwatch = Cloudwatch(
        {
            key: {NOW - timedelta(minutes=5 - n): value for n, value in enumerate(values) if value}
            for key, values in points.items()
        },
        **more,
    )
    known = known_metrics(
        {name: MetricDeclaration.model_validate(one) for name, one in (declared or {}).items()}
    )
    world = runtime(cloudwatch, at=NOW + timedelta(seconds=10))
    found = read_baseline(world, workload(), "blue", [known[name] for name in names], minutes=count)
    assert len(cloudwatch.asked) == 1
    start = NOW - timedelta(minutes=count)
    assert (cloudwatch.asked[0]["StartTime"], cloudwatch.asked[0]["EndTime"]) == (start, NOW)
    return found


def test_a_proportions_baseline_is_the_ratio_over_all_its_requests():
    points = {
        ("RequestCount", "Sum", "blue"): [100, 10, 100, 100, 90],
        ("HTTPCode_Target_2XX_Count", "Sum", "blue"): [95, 10, 105, 96, 90],
        ("HTTPCode_Target_5XX_Count", "Sum", "blue"): [0, 0, 0, 4, 0],
    }

    (known,) = before(points, "error_rate")

    # What is answered in the minute after its request is not missing; small minutes count, too.
    assert (known.events, known.samples, known.minutes) == (4, 400, 5)
    assert known.value == Decimal("0.01")


def test_the_baseline_of_a_mean_of_events_weighs_by_samples():
    points = {
        ("conversion_rate", "Average", "blue"): [0.1, 0.2],
        ("conversion_rate", "SampleCount", "blue"): [100, 300],
    }

    (known,) = before(points, "conversion_rate")

    assert (known.events, known.samples, known.value) == (70, 400, Decimal("0.175"))
    assert missing([known]) == ("conversion_rate",)


def test_a_percentiles_baseline_is_the_median_of_minutes_with_enough_requests():
    points = {
        ("RequestCount", "Sum", "blue"): [100, 100, 5, 100, 100],
        ("TargetResponseTime", "p95", "blue"): [0.1, 0.2, 9.0, 0.3, 0.25],
    }

    (known,) = before(points, "response_time_p95")

    assert known.value == Decimal("225.0")
    assert known.minutes == 4


def test_a_minute_without_requests_counts_as_none_in_the_throughput():
    (known,) = before({("RequestCount", "Sum", "blue"): [100, 0, 0, 100, 100]}, "throughput")

    assert (known.value, known.minutes) == (Decimal("60.0"), 5)


def test_a_gauges_baseline_is_the_mean_of_the_minutes_it_has():
    points = {
        ("CpuUtilized", "Average", "blue"): [64, 0, 128],
        ("CpuReserved", "Average", "blue"): [256, 0, 256],
    }

    (known,) = before(points, "cpu_usage")

    assert (known.value, known.minutes) == (Decimal("37.5"), 2)


def test_a_means_baseline_weighs_by_samples():
    points = {
        ("user_satisfaction", "Average", "blue"): [4.0, 5.0],
        ("user_satisfaction", "SampleCount", "blue"): [30, 10],
    }

    (known,) = before(points, "user_satisfaction")

    assert (known.value, known.samples) == (Decimal("4.25"), 40)


def test_a_baseline_without_data_has_no_value_and_is_missing():
    found = before({}, "throughput", "error_rate", "cpu_usage", "response_time_p95")

    assert [one.value for one in found] == [None] * 4
    assert missing(found) == ("throughput", "error_rate", "cpu_usage", "response_time_p95")


def test_what_came_in_part_is_no_baseline():
    points = {("RequestCount", "Sum", "blue"): [100] * 5}

    (known,) = before(points, "throughput", status={"RequestCount": "PartialData"})

    assert (known.value, known.minutes) == (None, 0)


def test_a_throttled_baseline_raises_nothing():
    cloudwatch = Cloudwatch()
    cloudwatch.fails = [failing("Throttling")]

    (known,) = read_baseline(runtime(cloudwatch), workload(), "blue", [CATALOGUE["throughput"]])

    assert known.value is None
