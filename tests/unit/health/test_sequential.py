import itertools
import math
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlane.health.sequential import (
    Count,
    Pair,
    against_limit,
    against_live,
    log_sum,
    lower_bound,
    mixed,
    standing,
    upper_bound,
)

# By scipy's betaln and brentq: where the Beta(1/2, 1/2) mixture is 100 times the likelihood.
UPPER_BOUNDS = {
    (20, 0): 0.28400531,
    (100, 1): 0.1004138,
    (1000, 1): 0.0117287,
    (1000, 10): 0.02863046,
    (5000, 50): 0.01723521,
}


def exact_crossing(limit, share, alpha, requests, worse="up"):
    """The exact chance that a version is ever failed when it is looked at after every request."""
    bound = -math.log(alpha)
    alive = {0: Fraction(1)}
    crossed = Fraction(0)
    p = Fraction(share)
    for samples in range(1, requests + 1):
        following: dict[int, Fraction] = {}
        for events, chance in alive.items():
            for more, part in ((1, p), (0, 1 - p)):
                seen = events + more
                if mixed([against_limit(Count(samples, seen), limit, worse)]) >= bound:
                    crossed += chance * part
                else:
                    following[seen] = following.get(seen, Fraction(0)) + chance * part
        alive = following
    return float(crossed)


@pytest.mark.parametrize("limit", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("alpha", [0.01, 0.2])
def test_looking_after_every_request_keeps_the_level_exactly(limit, alpha):
    assert exact_crossing(limit, limit, alpha, 60) <= alpha
    assert exact_crossing(limit, limit / 2, alpha, 60) <= exact_crossing(limit, limit, alpha, 60)


def test_a_lowest_share_is_the_mirror_of_a_highest():
    assert exact_crossing(0.7, 0.7, 0.1, 40, "down") == pytest.approx(
        exact_crossing(0.3, 0.3, 0.1, 40)
    )


@given(
    requests=st.integers(1, 9),
    live_requests=st.integers(1, 9),
    live_rate=st.floats(0.01, 0.9),
    permitted=st.sampled_from([0.0, 0.05, 0.5]),
    worse=st.sampled_from(["up", "down"]),
    better=st.sampled_from([1.0, 0.7]),
)
@settings(max_examples=60, deadline=None)
def test_the_mean_evidence_against_a_good_version_is_at_most_1(
    requests, live_requests, live_rate, permitted, worse, better
):
    ratio = 1 + permitted if worse == "up" else 1 - permitted
    rate = live_rate * ratio * (better if worse == "up" else 1 / better)
    rate = min(rate, 1.0)
    live_rate = min(live_rate, rate / ratio) if worse == "down" else live_rate
    if worse == "up" and rate > live_rate * ratio:
        return
    mean = 0.0
    for ours, theirs in itertools.product(range(requests + 1), range(live_requests + 1)):
        chance = binomial_pmf(ours, requests, rate) * binomial_pmf(theirs, live_requests, live_rate)
        pair = Pair(Count(requests, ours), Count(live_requests, theirs))
        mean += chance * math.exp(mixed([against_live([pair], permitted, worse)]))
    assert mean <= 1 + 1e-9


def binomial_pmf(events, samples, share):
    return math.comb(samples, events) * share**events * (1 - share) ** (samples - events)


@pytest.mark.parametrize("weight", [0.01, 0.1, 0.5])
def test_a_good_version_is_rarely_failed_over_all_steps_and_looks(weight):
    rng, alpha, runs = random.Random(1), 0.1, 150
    failed = 0
    for _ in range(runs):
        blocks: list[list[Pair]] = []
        for minute in range(30):
            if minute % 5 == 0:
                blocks.append([])
            rate = 0.02 * rng.lognormvariate(0, 0.5)
            blocks[-1].append(noisy_pair(rng, weight, rate, rate))
            if mixed([against_live(block) for block in blocks]) >= -math.log(alpha):
                failed += 1
                break
    assert failed / runs <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs)


def noisy_pair(rng, weight, rate, live_rate):
    ours, theirs = round(400 * weight), round(400 * (1 - weight))
    return Pair(
        Count(ours, sum(rng.random() < rate for _ in range(ours))),
        Count(theirs, sum(rng.random() < live_rate for _ in range(theirs))),
    )


def test_a_version_that_turns_bad_late_is_noticed_in_spite_of_its_good_past():
    good = against_limit(Count(20_000, 20), 0.01)
    bad = against_limit(Count(300, 30), 0.01)

    assert mixed([good, bad]) > math.log(1000)
    # One process from the first request on would not have noticed.
    assert mixed([[a + b for a, b in zip(good, bad, strict=True)]]) < 0


def test_steps_of_different_weight_count_together():
    step = Pair(Count(100, 4), Count(9_900, 40))
    other = Pair(Count(500, 12), Count(9_500, 60))

    together = mixed([against_live([step, other])])

    assert together > mixed([against_live([step])])
    assert together > mixed([against_live([other])])


def test_noise_that_both_slots_share_is_no_evidence():
    quiet = [Pair(Count(1_000, 1), Count(9_000, 9))] * 5
    storm = [Pair(Count(1_000, 200), Count(9_000, 1_800))] * 5

    assert mixed([against_live(quiet + storm)]) < 0


def test_what_is_permitted_is_no_evidence():
    pairs = [Pair(Count(10_000, 140), Count(10_000, 100))] * 5

    assert mixed([against_live(pairs, 0.5)]) < 0
    assert mixed([against_live(pairs, 0.0)]) > math.log(100)


def test_one_minute_full_of_events_does_not_prove_by_their_number():
    """A slot's own wandering of some percent is not a fault, however many requests show it."""
    pairs = [Pair(Count(100_000, 5_200), Count(100_000, 5_000))] * 5

    assert mixed([against_live(pairs)]) < math.log(100)


def test_a_limit_of_0_is_broken_by_one_event_and_a_limit_of_1_by_none():
    assert mixed([against_limit(Count(10, 1), 0.0)]) == math.inf
    assert mixed([against_limit(Count(10, 0), 0.0)]) <= 0
    assert mixed([against_limit(Count(10, 10), 1.0)]) <= 0


def test_nothing_is_no_evidence():
    assert mixed([]) == 0.0
    assert mixed([against_limit(Count(0, 0), 0.01)]) == pytest.approx(0.0)
    assert mixed([against_live([Pair(Count(0, 0), Count(100, 1))])]) == pytest.approx(0.0)
    assert log_sum([]) == -math.inf


@pytest.mark.parametrize(("counts", "bound"), UPPER_BOUNDS.items())
def test_the_upper_bound_is_where_the_mixture_of_binomials_says_so(counts, bound):
    assert upper_bound(Count(*counts), 0.01) == pytest.approx(bound, rel=1e-5)


def test_the_lower_bound_is_the_mirror_of_the_upper():
    assert lower_bound(Count(100, 99), 0.01) == pytest.approx(1 - upper_bound(Count(100, 1), 0.01))
    assert upper_bound(Count(0, 0), 0.01) == 1.0
    assert upper_bound(Count(5, 5), 0.01) == 1.0


def test_the_upper_bound_covers_at_every_look():
    rng, runs, level, share = random.Random(3), 300, 0.1, 0.03
    missed = 0
    for _ in range(runs):
        events = 0
        for samples in range(1, 401):
            events += rng.random() < share
            if samples % 10 == 0 and upper_bound(Count(samples, events), level) < share:
                missed += 1
                break
    assert missed / runs <= level + 3 * math.sqrt(level * (1 - level) / runs)


@pytest.mark.parametrize(
    ("samples", "events", "expected"),
    [(50, 0, "unproven"), (2_000, 2, "ok"), (200, 20, "breached"), (1_000, 12, "unproven")],
)
def test_a_limit_is_kept_broken_or_open(samples, events, expected):
    counts = Count(samples, events)
    log_e = mixed([against_limit(counts, 0.01)])

    assert standing(counts, 0.01, "up", log_e=log_e, level=0.01) == expected
    mirrored = Count(samples, samples - events)
    log_e = mixed([against_limit(mirrored, 0.99, "down")])
    assert standing(mirrored, 0.99, "down", log_e=log_e, level=0.01) == expected


def test_a_jump_to_5_percent_is_noticed_within_150_requests():
    rng, needed = random.Random(11), []
    for _ in range(200):
        ours = theirs = samples = 0
        while samples < 2_000:
            samples += 5
            ours += sum(rng.random() < 0.05 for _ in range(5))
            theirs += sum(rng.random() < 0.001 for _ in range(45))
            mine = Count(samples, ours)
            pair = Pair(mine, Count(9 * samples, theirs))
            evidence = max(mixed([against_limit(mine, 0.01)]), mixed([against_live([pair], 0.5)]))
            if evidence >= math.log(2 / 0.01):
                break
        needed.append(samples)
    assert sorted(needed)[100] <= 150
