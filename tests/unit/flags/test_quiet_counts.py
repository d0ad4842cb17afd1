"""A count that is only reported when something happens: no data in a healthy service."""

import pytest

from greenlane.flags.ramps.impact import Behind, Questions
from tests.builders import service_config
from tests.flag_town import FLAG, VARIANT_METRIC, Town, no_pauses  # noqa: F401
from tests.observations import series
from tests.unit.flags.test_flag_impact import SHARES, guard, judged, variants

COUNT = "connection_errors"
RULE = {COUNT: {"on_no_data": "pass"}}


def questions(text, metrics):
    config = service_config(metrics=metrics)
    assert config.workload is not None
    return Questions(guard(text), Behind(config, config.workload))


def traffic(count=2000, minutes=5, **more):
    return series("throughput", None, [{"r": float(count)}] * minutes, **more)


def silent():
    return series(COUNT, None, [])


def test_it_holds_a_ramp_unless_its_author_says_what_no_data_means():
    found = judged(questions(f"{COUNT} > 5", {}), silent(), traffic())
    assert (found.outcome, f"{COUNT}: no data" in found.reason) == ("hold", True)
    assert judged(questions(f"{COUNT} > 5", RULE), silent(), traffic()).outcome == "pass"


@pytest.mark.parametrize("rule", ["hold", "fail"])
def test_any_other_rule_holds(rule):
    asked = questions(f"{COUNT} > 5", {COUNT: {"on_no_data": rule}})
    assert judged(asked, silent(), traffic()).outcome == "hold"


@pytest.mark.parametrize(
    "served",
    [None, traffic(0), traffic(minutes=0), traffic(complete=False, trouble="throttled")],
    ids=["not read", "no requests", "no minutes", "read in part"],
)
def test_it_holds_while_nobody_knows_that_the_service_served_anybody(served):
    given = [silent(), *([served] if served is not None else [])]
    found = judged(questions(f"{COUNT} > 5", RULE), *given)
    assert (found.outcome, "no requests either" in found.reason) == ("hold", True)


def test_it_holds_when_the_services_own_requests_stopped_coming():
    asked = questions(f"{COUNT} > 5", RULE)
    assert judged(asked, silent(), traffic(), minutes=7).outcome == "pass"
    assert judged(asked, silent(), traffic(), minutes=60).outcome == "hold"


def test_what_happens_after_all_still_counts():
    busy = series(COUNT, None, [{"k": 9.0}] * 5)
    assert judged(questions(f"{COUNT} > 5", RULE), busy, traffic()).outcome == "fired"


def test_it_could_not_be_read_is_never_taken_for_nothing_happened():
    broken = series(COUNT, None, [], complete=False, trouble="throttled")
    found = judged(questions(f"{COUNT} > 5", RULE), broken, traffic())
    assert (found.outcome, "throttled" in found.reason) == ("hold", True)


def test_those_who_have_a_flag_have_to_be_seen_whatever_the_rule():
    rule = {SHARES: {**VARIANT_METRIC[SHARES], "on_no_data": "pass"}}
    asked = questions(f"{SHARES} > 0.1", rule)
    assert judged(asked, *variants(0.01, 0.01, samples=(0, 0), minutes=0), traffic()).outcome == (
        "hold"
    )


@pytest.mark.parametrize(("rule", "ended"), [({}, "held"), (RULE, "done")])
def test_a_ramp_with_it_reaches_its_end_only_by_the_rule(rule, ended):
    text = FLAG.replace('"error_rate > 0.05"', f'"error_rate > 0.05", "{COUNT} > 5"')
    town = Town(text, config={"metrics": rule})
    town.ramp(20, 10)
    town.run(2, done=lambda: town.ramp_of().status != "running")
    assert town.ramp_of().status == ended
