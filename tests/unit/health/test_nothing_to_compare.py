"""A comparison that can never be made is told, and waits for nothing."""

import pytest

from greenlane.health.catalogue import CATALOGUE
from greenlane.health.observed import Baseline
from greenlane.health.observing import summarise
from greenlane.health.verdicts import judge
from tests.observations import (
    CANDIDATE,
    LIVE,
    check,
    criteria,
    criterion,
    each,
    flow,
    observed,
    requests,
    series,
)

NONE_BEFORE = tuple(
    Baseline(metric=name, value=None, minutes=0, nothing=True)
    for name in ("throughput", "conversion_rate")
)
ERRORS = criterion("error_rate", "0.01")
LESS = criterion("throughput", "0.05", "live")
DROP = criterion("conversion_rate", "0.02", "live")


def converting(slot, *, minutes=5):
    return series("conversion_rate", slot, each(minutes, lambda _: {"b": 0.05, "n": 100.0}))


def judged(*given, asked=(LESS,), steps=((100, 5),), baseline=NONE_BEFORE, **more):
    """Healthy requests of the candidate, and what is given."""
    errors = series("error_rate", CANDIDATE, each(5, lambda _: requests(1_000)))
    seen = observed(errors, *given, steps=steps, baseline=baseline)
    return judge(seen, criteria(ERRORS, *asked, **more))


@pytest.mark.parametrize("against", ["live", "baseline"])
def test_all_at_once_with_nothing_before_passes_and_says_that_it_does_not_apply(against):
    asked = criterion("throughput", "0.05", against)
    found = judged(flow(CANDIDATE, [1_000.0] * 5), asked=[asked])
    assert found.verdict == "pass"
    told = check(found, f"throughput against {against}")
    assert told.reason.startswith("not applicable: there is nothing to compare with")
    assert not told.evidence


def test_a_metric_that_the_live_version_does_not_report_yet_does_not_hold_a_canary():
    given = [converting(CANDIDATE), series("conversion_rate", LIVE, [])]
    assert judged(*given, asked=[DROP], steps=[(10, 5)]).verdict == "pass"
    early = [converting(CANDIDATE, minutes=2), series("conversion_rate", LIVE, [])]
    assert judged(*early, asked=[DROP], steps=[(10, 5)]).verdict == "hold", "it may only be late"


def test_a_live_slot_too_quiet_for_a_rate_does_not_hold_the_first_deployment():
    given = [flow(CANDIDATE, [2.0] * 5), flow(LIVE, [18.0] * 5)]
    assert judged(*given, steps=[(10, 5)]).verdict == "pass"


def test_once_there_is_a_live_slot_to_compare_with_it_applies():
    given = [flow(CANDIDATE, [100.0] * 5), flow(LIVE, [9_000.0] * 5)]
    assert judged(*given, steps=[(10, 5)]).verdict == "fail"


@pytest.mark.parametrize("known", [(), (Baseline(metric="throughput", value=None, minutes=0),)])
def test_a_baseline_that_was_not_read_holds(known):
    assert judged(flow(CANDIDATE, [1_000.0] * 5), baseline=known).verdict == "hold"


def test_a_candidate_that_reports_nothing_itself_holds():
    assert judged(series("conversion_rate", CANDIDATE, []), asked=[DROP]).verdict == "hold"


def test_what_is_called_critical_still_needs_evidence():
    found = judged(flow(CANDIDATE, [1_000.0] * 5), rules={"throughput": {"critical": True}})
    assert (found.verdict, "throughput: it is critical" in found.reason) == ("hold", True)


@pytest.mark.parametrize("name", ["throughput", "conversion_rate", "response_time_p95"])
def test_nothing_before_and_nothing_read_are_told_apart(name):
    metric = CATALOGUE[name]
    assert summarise(metric, series(name, LIVE, []), 5).nothing
    assert not summarise(metric, series(name, LIVE, [], complete=False), 5).nothing


def test_a_baseline_with_a_value_is_not_nothing():
    assert not summarise(CATALOGUE["throughput"], flow(LIVE, [0.0]), 5).nothing
