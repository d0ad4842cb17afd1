"""What the scene of A/B tests promises, and that it notices when that is not kept."""

from pathlib import Path
from typing import Any

import pytest

from greenlane.experiments.document import read_experiments
from greenlane.experiments.report.compose import compose
from greenlane.flags.definitions.document import read_flags
from greenlane.local.demo.experiment import (
    BEHAVIOUR,
    ENDINGS,
    FILE,
    FLAG,
    ExperimentResult,
    Found,
    broken_promises,
    lines,
)
from tests.unit.experiments.reported import CASES

DONE = {"flag": 1, "report": 1, "news": 1}


def found_of(case: str, name: str, **more: Any) -> Found:
    test, looks, watch, _ = CASES[case]()
    test = test.model_copy(update={"name": name, "settled": DONE, **more})
    written = compose(test, looks, watch)
    return Found(test, looks, watch, written, users=900, items=900)


def ended(**more: Any) -> ExperimentResult:
    """The result of a scene as promised."""
    result = ExperimentResult(seconds=20.0, ramped=True, requests=3000, failed=21)
    result.tests["one_page_setup"] = found_of("shipped", "one_page_setup", **more)
    result.tests["eager_summary"] = found_of("harmful", "eager_summary")
    return result


def test_a_scene_that_went_as_promised_has_no_broken_promise() -> None:
    result = ended()
    assert broken_promises(result) == []
    assert "  eager_summary: rollback, everybody has control; 1 look, 900 users" in lines(result)
    assert result.as_json()["tests"]["one_page_setup"]["verdict"] == "ship"


def test_each_promise_that_was_not_kept_is_noticed() -> None:
    def said(result: ExperimentResult) -> str:
        return "; ".join(broken_promises(result))

    assert "not done after its end: flag, report, news" in said(ended(settled={}))
    assert "instead of ship" in said(ended(verdict="futile", serve=None))
    assert "instead of ship" in said(ended(status="running", verdict=None, serve=None))
    result = ended()
    result.tests["one_page_setup"].items = 899
    assert "900 users are counted, and 899 were recorded" in said(result)
    result = ended()
    result.tests["one_page_setup"].written = None
    assert "its report is not what its looks give" in said(result)
    result = ended()
    result.ramped = False
    assert "the winning flag is not ramped" in said(result)
    result = ended()
    one = result.tests["eager_summary"]
    one.looks = [one.looks[0], one.looks[0]]
    assert "had 2 looks before it was stopped" in said(result)
    result = ended()
    looks = result.tests["one_page_setup"].looks
    looks[1] = looks[1].model_copy(update={"verdict": "hold"})
    assert "a look decided again is another" in said(result)


def test_the_files_of_the_scene_fit_each_other() -> None:
    tests = read_experiments(FILE.read_text(), str(FILE)).ab_tests
    assert set(tests) == set(ENDINGS) == {part.split(":")[0] for part in BEHAVIOUR.split(",")}
    winner = tests["one_page_setup"].winner_flag
    assert winner is not None
    assert winner.name in read_flags(FLAG).feature_flags
    assert winner.name not in tests  # lookups would answer for the flag alone
    app = Path("examples/claude_manager/app.py").read_text()
    assert all(f'"{name}"' in app for name in ENDINGS)


def test_the_sample_knows_the_clock_of_a_local_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend("examples/claude_manager")
    import trials  # type: ignore[import-not-found]

    from greenlane.clock import ScaledClock, SystemClock

    monkeypatch.delenv("LOCAL_CLOCK", raising=False)
    assert isinstance(trials.clock(), SystemClock)
    monkeypatch.setenv("LOCAL_CLOCK", "2026-03-02T00:00:00+00:00 60")
    clock = trials.clock()
    assert isinstance(clock, ScaledClock)
    assert (clock.scale, clock.origin.isoformat()) == (60, "2026-03-02T00:00:00+00:00")
