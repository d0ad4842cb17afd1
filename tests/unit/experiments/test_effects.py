import math
import random
from dataclasses import replace

import pytest

from greenlane.experiments.model import MetricShape
from greenlane.experiments.statistics.bayesian import of_difference, of_proportions
from greenlane.experiments.statistics.comparison import Arm, compare, information
from greenlane.experiments.statistics.counts import compare_counts
from greenlane.experiments.statistics.effects import Effect
from greenlane.experiments.statistics.means import (
    Estimate,
    fieller,
    of_cuped,
    of_mean,
    slope_of,
    welch,
)
from greenlane.experiments.statistics.proportions import (
    compare_proportions,
    fisher,
    score_interval,
    score_lift,
)
from greenlane.experiments.statistics.quantiles import (
    bucket_of,
    change_of_buckets,
    compare_quantiles,
)
from greenlane.experiments.statistics.special import two_sided
from tests.unit.experiments.experimenting import ORACLES, Z95, arm, moments, succeeded

CLOSE = 1e-6


def metric(kind: str, **keys: object) -> MetricShape:
    return MetricShape.model_validate({"name": "m", "kind": kind, "direction": "higher", **keys})


def test_the_score_test_agrees_with_statsmodels() -> None:
    for (xc, nc, xt, nt), (z, p_value, low, high) in ORACLES["score"]:
        found = compare_proportions((xc, nc), (xt, nt), Z95)
        assert found.statistic == pytest.approx(z, rel=CLOSE)
        assert two_sided(found.statistic or 0) == pytest.approx(p_value, rel=CLOSE)
        lift = score_lift((xc, nc), (xt, nt), Z95)
        assert (lift.low + 1, lift.high + 1) == pytest.approx((low, high), rel=CLOSE)


def test_the_interval_of_a_difference_is_the_printed_one() -> None:
    # Newcombe (1998), table II, Mee's method, contrast (a) 56/70 - 48/80 and (e) 5/56 - 0/29.
    assert score_interval((48, 80), (56, 70), Z95) == pytest.approx((0.0533, 0.3377), abs=5e-5)
    assert score_interval((0, 29), (5, 56), Z95) == pytest.approx((-0.0313, 0.1926), abs=1e-3)


def test_fishers_test_agrees_with_scipy() -> None:
    for (xc, nc, xt, nt), p_value in ORACLES["fisher"]:
        assert fisher((xc, nc), (xt, nt)) == pytest.approx(p_value, rel=CLOSE)


def test_welchs_test_agrees_with_scipy() -> None:
    for (mc, sc, nc, mt, st, nt), (t, p_value, low, high) in ORACLES["welch"]:
        one = Estimate(mc, sc**2 / nc, nc - 1, nc)
        two = Estimate(mt, st**2 / nt, nt - 1, nt)
        found = welch(one, two, Z95, "Welch")
        assert (found.statistic, found.p_value) == pytest.approx((t, p_value), rel=CLOSE)
        assert found.difference_interval == pytest.approx((low, high), rel=CLOSE)


def test_moments_say_what_the_rows_say() -> None:
    raw = ORACLES["raw"]
    t, p_value, _, low, high = raw["welch"]
    found = compare(metric("mean"), [(arm(raw["control"]), arm(raw["treatment"]))], Z95)

    assert (found.statistic, found.p_value) == pytest.approx((t, p_value), rel=1e-12)
    assert found.difference_interval == pytest.approx((low, high), rel=1e-9)


def test_the_exact_test_of_counts_agrees_with_scipy() -> None:
    for (xc, ec, xt, et), (p_value, low, high) in ORACLES["count"]:
        found = compare_counts((xc, ec), (xt, et), (1, 1), Z95)
        assert found.p_value == pytest.approx(p_value, rel=CLOSE)
        if xc:
            assert [1 + (end or 0) for end in found.lift_interval or ()] == pytest.approx(
                [low, high], rel=CLOSE
            )


def test_a_covariate_takes_off_what_it_explains() -> None:
    raw = ORACLES["raw"]
    before = raw["before"]
    pair = arm(raw["control"], before[:200]), arm(raw["treatment"], before[200:])
    plain = compare(metric("mean"), [pair], Z95)
    found = compare(metric("mean", covariate="x"), [pair], Z95)
    theta = slope_of([(200, one.moments) for one in pair])

    assert found.test == "Welch, CUPED"
    assert (found.error or 9) < 0.5 * (plain.error or 0)
    # By hand: the variance of y - theta x over the rows.
    rest = [y - float(theta) * x for y, x in zip(raw["control"], before[:200], strict=True)]
    straight = of_mean(200, moments(rest))
    assert of_cuped(200, pair[0].moments, theta, theta * 0).variance == pytest.approx(
        straight.variance, rel=1e-6
    )


def test_fieller_gives_no_lift_of_a_control_that_could_be_zero() -> None:
    assert fieller(Estimate(1, 1, 9, 10), Estimate(5, 1, 9, 10), 2.0) is None
    assert fieller(Estimate(-9, 1, 9, 10), Estimate(5, 1, 9, 10), 2.0) is None
    low, high = fieller(Estimate(10, 1, 9, 10), Estimate(11, 1, 9, 10), 2.0) or (0, 0)
    for ratio in (1 + low, 1 + high):
        assert abs(11 - ratio * 10) / math.sqrt(1 + ratio**2) == pytest.approx(2.0)


def coherent(found: Effect) -> bool:
    intervals = [one for one in (found.difference_interval, found.lift_interval) if one]
    outside = [
        (one[0] is not None and one[0] > 0) or (one[1] is not None and one[1] < 0)
        for one in intervals
    ]
    below = found.p_value is not None and found.level is not None and found.p_value <= found.level
    return all(one == found.significant for one in outside) and below == found.significant


def test_decision_and_intervals_never_disagree() -> None:
    chance = random.Random(11)
    disagreeing = []
    for _ in range(1500):
        critical = chance.choice([Z95, 2.8, 4.0, 8.0, chance.uniform(0.5, 5)])
        nc, nt = (int(10 ** chance.uniform(0.5, 6)) for _ in range(2))
        rate = 10 ** chance.uniform(-4, -0.01)
        away = (
            critical * chance.uniform(0.9, 1.1) * math.sqrt(rate * (1 - rate) * (1 / nc + 1 / nt))
        )
        xc, xt = round(nc * rate), max(0, min(nt, round(nt * (rate + away))))
        one, two = Estimate(5, 1 / nc, nc, nc), Estimate(5, 2 / nt, nt, nt)
        two = two._replace(value=5 + critical * math.sqrt(1 / nc + 2 / nt))
        events = (min(xc, 3000), float(nc)), (min(xt, 3000), float(nt))
        found = [
            compare_proportions((xc, nc), (xt, nt), critical),
            welch(one, two, critical, "w"),
            compare_counts(*events, (nc, nt), critical),
        ]
        disagreeing += [one for one in found if not coherent(one)]
    assert disagreeing == []


def test_a_statistic_right_at_its_critical_value_is_one_thing() -> None:
    found = compare_proportions((100, 1000), (130, 1000), 2.0)
    border = compare_proportions((100, 1000), (130, 1000), abs(found.statistic or 0))

    assert border.significant
    assert coherent(replace(border, p_value=border.level))


def test_small_counts_need_fishers_consent() -> None:
    found = compare_proportions((1, 20), (6, 20), Z95)

    assert two_sided(found.statistic or 0) < 0.05 < (found.p_value or 0)
    assert not found.significant
    assert (found.difference_interval or (1, 1))[0] == 0.0
    assert found.test == "score and Fisher"


def test_nobody_or_everybody_is_no_difference() -> None:
    for count in (0, 500):
        found = compare_proportions((count, 500), (count, 500), Z95)
        assert (found.outcome, found.p_value, found.significant) == ("compared", 1.0, False)


@pytest.mark.parametrize(
    ("kind", "control", "treatment", "outcome"),
    [
        ("proportion", Arm(0), Arm(100, succeeded(3)), "empty_arm"),
        ("mean", Arm(1, succeeded(1)), Arm(100, succeeded(3)), "empty_arm"),
        ("proportion", Arm(100), Arm(100), "not_sent"),
        ("proportion", Arm(100, succeeded(101)), Arm(100), "not_exposed"),
        ("mean", arm([2.0] * 9), arm([3.0] * 9), "no_variance"),
        ("mean", arm([2.0] * 9), arm([1.0, 2.0, 3.0] * 3), "compared"),
        ("quantile", Arm(9, histogram={3: 9}), Arm(9, histogram={3: 9}), "too_few"),
    ],
)
def test_what_cannot_be_compared_is_declared(
    kind: str, control: Arm, treatment: Arm, outcome: str
) -> None:
    keys = {"quantile": 0.95} if kind == "quantile" else {}
    found = compare(metric(kind, **keys), [(control, treatment)], Z95)

    assert found.outcome == outcome
    assert not found.significant


def test_after_a_change_of_weights_days_are_not_compared_with_each_other() -> None:
    # Conversion doubles on the second day, when most users go to the treatment: no effect at all.
    epochs = [
        (Arm(9000, succeeded(900)), Arm(1000, succeeded(100))),
        (Arm(1000, succeeded(200)), Arm(9000, succeeded(1800))),
    ]
    heaped = compare_proportions((1100, 10_000), (1900, 10_000), Z95)
    found = compare(metric("proportion"), epochs, Z95)

    assert heaped.significant
    assert found.difference == pytest.approx(0, abs=1e-12)
    assert "post-stratified" in found.test
    assert 0 < information(epochs) < information([(Arm(10_000), Arm(10_000))])


def test_records_of_one_user_count_as_alike() -> None:
    chance = random.Random(5)
    users = [(chance.gauss(10, 3), chance.randint(1, 9)) for _ in range(400)]
    ys = [level * count for level, count in users]
    pair = [arm(ys[a : a + 200], [float(n) for _, n in users[a : a + 200]]) for a in (0, 200)]
    found = compare(metric("mean", per="record"), [(pair[0], pair[1])], Z95)
    records = sum(count for _, count in users) / 2

    assert found.test == "ratio, delta method"
    # As if records were independent, the error would be about 3 / sqrt(records) for each arm.
    assert (found.error or 0) > 1.5 * 3 * math.sqrt(2 / records)


def histogram(chance: random.Random, users: int, factor: float) -> dict[int, int]:
    found: dict[int, int] = {}
    for _ in range(users):
        key = bucket_of(chance.lognormvariate(5, 0.5) * factor)
        found[key] = found.get(key, 0) + 1
    return found


def test_the_interval_of_a_quantiles_lift_holds_the_true_one_in_95_of_100() -> None:
    chance, held, rounds = random.Random(3), 0, 120
    for _ in range(rounds):
        arms = histogram(chance, 400, 1.0), histogram(chance, 400, 1.2)
        low, high = compare_quantiles(*arms, 0.9, Z95).lift_interval or (9, 9)
        held += (low or 9) < 0.2 < (high or 0)

    assert held / rounds > 0.95 - 3 * (0.95 * 0.05 / rounds) ** 0.5


def test_a_quantile_is_read_to_a_percent() -> None:
    one, two = (histogram(random.Random(seed), 20_000, 1.0) for seed in (1, 2))
    found = compare_quantiles(one, two, 0.5, Z95)

    assert found.control == pytest.approx(math.exp(5), rel=0.02)
    assert change_of_buckets(None, 3.0) == {bucket_of(3.0): 1}
    assert change_of_buckets(3.0, 3.001) == {}
    assert change_of_buckets(3.0, 30.0) == {bucket_of(3.0): -1, bucket_of(30.0): 1}
    with pytest.raises(ValueError, match="between 0 and"):
        bucket_of(-1.0)


def test_the_bayesian_summary_is_the_integral() -> None:
    # P(B > A) for Beta(1, 4) and Beta(3, 2), summed exactly: 13/14.
    found = of_proportions((0, 3), (2, 3))
    assert found.chance == pytest.approx(13 / 14, rel=1e-9)
    assert of_proportions((0, 3), (2, 3), higher=False).chance == pytest.approx(1 / 14, rel=1e-8)
    many = of_proportions((5000, 50_000), (5100, 50_000))
    error = math.sqrt(0.1 * 0.9 / 50_000 + 0.102 * 0.898 / 50_000)
    plain = of_difference(0.002, error)
    assert many == pytest.approx(plain, rel=2e-3)
    assert of_difference(0.002, error, higher=False).chance == pytest.approx(1 - plain.chance)
