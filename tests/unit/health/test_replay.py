from greenlane.cli.judging import lines_of
from greenlane.deployments.model import Verdict
from greenlane.health.replay import Replay, replay, until
from tests.builders import service_config
from tests.observations import at, each, observed, requests, series

CONFIG = service_config(judge={"error_rate": 0.01})


def given(errors_from=None, *, steps=((10, 5), (50, 5)), count=400, **more):
    """Requests of both slots; from some minute on the candidate fails a third of them."""
    minutes = sum(length for _, length in steps)

    def candidate(number):
        bad = errors_from is not None and number >= errors_from
        return requests(count, count // 3 if bad else 0)

    seen = [
        series("error_rate", "green", each(minutes, candidate)),
        series("error_rate", "blue", each(minutes, lambda _: requests(4000))),
    ]
    for slot in ("blue", "green"):
        parts = each(minutes, lambda _: {"r": float(count), "p": 0.1})
        seen.append(series("response_time_p95", slot, parts))
        share = each(minutes, lambda _: {"r": float(count), "s": 0.0})
        seen.append(series("slower_than_2000", slot, share))
        seen.append(series("connection_errors", slot, each(minutes, lambda _: {})))
    return observed(*seen, steps=steps, **more)


def test_good_data_passes_each_step_and_says_from_when_on():
    found = replay(given(), CONFIG)
    errors = [one.last.verdict.reason for one in found.stretches]
    assert found.failed is None, errors
    assert found.looks == 10
    assert [one.weight for one in found.stretches] == [10, 50]
    assert found.stretches[0].passed_at is not None


def test_bad_data_fails_at_the_minute_in_which_it_shows():
    found = replay(given(errors_from=6), CONFIG)
    assert found.failed.at == at(7)
    assert found.failed.verdict.verdict == "fail"
    assert len(found.stretches) == 2
    assert found.stretches[1].last == found.failed
    assert not found.passed


def test_a_look_sees_nothing_later():
    seen = given(errors_from=6)
    early = until(seen, at(6), "during")
    assert early.end == at(6)
    assert [segment.end for segment in early.segments] == [at(5), at(6)]
    assert all(minute.at < at(6) for one in early.series for minute in one.minutes)
    assert len(until(seen, at(3), "during").segments) == 1


def test_other_criteria_show_what_they_would_have_done():
    loose = service_config(metrics={"error_rate": {"dry_run": True}})
    assert replay(given(errors_from=6), loose).failed is None


def test_after_promotion_the_last_stretch_is_the_watch():
    found = replay(given(phase="post"), CONFIG)
    assert [one.phase for one in found.stretches] == ["during", "post"]
    found = replay(given(phase="extended"), CONFIG)
    assert {one.phase for one in found.stretches} == {"extended"}


def test_a_condition_takes_it_back_in_a_replay_too():
    config = service_config(judge={"error_rate": 0.9}, rollback_triggers=["error_rate > 0.05"])
    assert "rollback trigger" in replay(given(errors_from=6), config).failed.verdict.reason


def test_nothing_observed_is_no_pass():
    assert not Replay().passed
    none = replay(given(count=0), CONFIG)
    assert not none.passed
    assert none.failed is None
    assert Verdict(verdict="hold").would is None


def test_what_is_asked_and_was_not_observed_is_said():
    seen = given()
    seen = seen.model_copy(
        update={
            "series": (
                *(one for one in seen.series if not one.metric.startswith("slower")),
                *(series("slower_than_2000ms", slot, []) for slot in ("blue", "green")),
            )
        }
    )
    assert replay(seen, CONFIG).notes == ()

    other = service_config(
        judge={"response_time_p95": 1500},
        success_criteria={
            "system": {"cpu_usage": 80},
            "performance": {"throughput_degradation": 0.05},
        },
    )
    found = replay(seen, other)

    assert [note.split(": ")[:2] for note in found.notes] == [
        ["throughput", "was not observed"],
        ["cpu_usage", "was not observed"],
        ["slower_than_1500ms", found.notes[2].split(": ")[1]],
        ["throughput", "what it was before the deployment was not observed"],
    ]
    assert "the minutes' own percentiles are compared instead" in found.notes[2]
    assert f"note: {found.notes[0]}" in list(lines_of(found))
