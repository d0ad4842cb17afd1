"""What the scene of three Regions promises, and that its file is what the scene needs."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from greenlane.local.demo.regions_bad import BAD_IN
from greenlane.local.demo.regions_result import (
    LostHomeResult,
    RegionResult,
    WorldResult,
    broken_promises,
    failures_of,
    shortly,
)
from greenlane.local.demo.regions_setting import FILE, HAD, HOME, STANDBY, VERSION
from greenlane.local.loadgen import Count, Snapshot
from greenlane.regions.declaring.document import read_regions
from greenlane.regions.planning.planner import plan_regions

Counts = Mapping[str, Mapping[str, int]]


def region(name: str, wave: int, state: str, requests: Counts, **more: Any) -> RegionResult:
    return RegionResult(
        region=name,
        wave=wave,
        had="v1",
        state=state,
        reason="",
        weights={"v1": 100},
        requests={"v1": {"ok": 90, "failed": 0}, **requests},
        after={"v1": {"ok": 9, "failed": 0}},
        **{"failures": {}, **more},
    )


FIRST = region("eu-north-1", 1, "rolled_back", {VERSION: {"ok": 50, "failed": 0}})
SECOND = region(
    BAD_IN,
    2,
    "rolled_back",
    {VERSION: {"ok": 40, "failed": 3}},
    failures={f"{VERSION}: 500": 3},
    back_seconds=0.0,
)
THIRD = region("us-east-1", 3, "waiting", {})
KEPT = WorldResult(
    scene="",
    title="",
    version=VERSION,
    bad_in=BAD_IN,
    phase="rolled_back",
    cause=f"{BAD_IN}: too many errors",
    cause_region=BAD_IN,
    seconds=1.0,
    virtual_seconds=20.0,
    regions=[FIRST, SECOND, THIRD],
)


def test_nothing_is_broken_where_all_is_as_promised() -> None:
    assert broken_promises(KEPT) == []
    assert KEPT.lost_by_switching() == {}
    assert "lost by the switching itself: 0 of 363 requests" in KEPT.lines()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"phase": "partial"}, "it ended partial"),
        ({"cause_region": "eu-north-1"}, "because of eu-north-1, instead of"),
        ({"regions": [replace(FIRST, state="held"), SECOND, THIRD]}, "eu-north-1 is held"),
        ({"regions": [FIRST, SECOND, replace(THIRD, state="baking")]}, "us-east-1 is baking"),
        (
            {"regions": [replace(FIRST, requests={"v1": {"ok": 9, "failed": 0}}), SECOND, THIRD]},
            "v2 had no traffic in eu-north-1",
        ),
        (
            {"regions": [FIRST, SECOND, replace(THIRD, requests={"v2": {"ok": 1, "failed": 0}})]},
            "v2 got to us-east-1",
        ),
        (
            {"regions": [replace(FIRST, weights={"v1": 90, "v2": 10}), SECOND, THIRD]},
            "eu-north-1 has {'v1': 90, 'v2': 10}",
        ),
        (
            {"regions": [FIRST, replace(SECOND, after={"v2": {"ok": 1, "failed": 0}}), THIRD]},
            "at the end eu-west-1 was answered by ['v2']",
        ),
        (
            {"regions": [replace(FIRST, failures={"v1: 502": 1}), SECOND, THIRD]},
            "{'eu-north-1: v1: 502': 1}",
        ),
        (
            {"regions": [FIRST, replace(SECOND, failures={"v2: 500": 3, "v2: timeout": 2}), THIRD]},
            "{'eu-west-1: v2: timeout': 2}",
        ),
        ({"regions": [FIRST, replace(SECOND, failures={}), THIRD]}, "v2 failed no request in"),
        (
            # The version is good there: a failure of it is the switching's.
            {"regions": [replace(FIRST, failures={"v2: 500": 1}), SECOND, THIRD]},
            "{'eu-north-1: v2: 500': 1}",
        ),
    ],
)
def test_each_promise_that_is_not_kept_is_named(change: dict[str, Any], said: str) -> None:
    (broken,) = broken_promises(replace(KEPT, **change))
    assert said in broken


LOST = LostHomeResult(
    scene="",
    title="",
    version=VERSION,
    bad_in="",
    phase="rolled_back",
    cause="somebody asked",
    cause_region="",
    seconds=1.0,
    virtual_seconds=30.0,
    regions=[
        FIRST,
        replace(
            SECOND,
            requests={"v1": {"ok": 9, "failed": 0}, "v2": {"ok": 9, "failed": 0}},
            failures={},
        ),
        THIRD,
    ],
    home="us-east-1",
    took_over_virtual_seconds=900.0,
    standby_phase="rolled_back",
)


def test_nothing_is_broken_where_the_standby_did_as_promised() -> None:
    assert LOST.broken_promises() == []
    assert LOST.lines()[0] == "the standby took over after 15 virtual minutes"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"took_over_virtual_seconds": None}, "took over after None"),
        ({"took_over_virtual_seconds": 3600.0}, "took over after 3600"),
        ({"phase": "held"}, "home ended held"),
        ({"standby_phase": "partial"}, "the standby ended partial"),
        ({"regions": [FIRST, replace(THIRD, requests={"v2": {"ok": 1, "failed": 0}})]},
         "v2 got to us-east-1"),
        ({"regions": [replace(FIRST, requests={}), THIRD]}, "v2 had no traffic in eu-north-1"),
        ({"regions": [FIRST, replace(SECOND, failures={"v2: 500": 1}), THIRD]}, "v2: 500"),
        ({"regions": [FIRST, replace(THIRD, weights={"v2": 100})]}, "has {'v2': 100}"),
    ],
)  # fmt: skip
def test_each_promise_that_the_standby_does_not_keep_is_named(
    change: dict[str, Any], said: str
) -> None:
    (broken,) = replace(LOST, **change).broken_promises()
    assert said in broken


def test_a_failure_is_counted_by_version_and_outcome() -> None:
    counts = (
        Count(1, "", "v1", "200", ok=True, count=5),
        Count(1, "", "v2", "500", ok=False, count=2),
        Count(2, "after", "v2", "500", ok=False, count=1),
        Count(2, "", "", "timeout", ok=False, count=1),
    )
    assert failures_of(Snapshot(9, counts)) == {"v2: 500": 3, "no version: timeout": 1}


def test_a_long_reason_is_cut_for_the_terminal_alone() -> None:
    assert shortly("short") == "short"
    assert len(shortly("x" * 500)) < 100


def test_the_examples_file_puts_the_regions_of_the_scene_into_its_waves() -> None:
    document = read_regions(FILE.read_text(encoding="utf-8"), str(FILE))
    plan = plan_regions(document, now=datetime(2026, 11, 30, 14, tzinfo=UTC))
    waves = [[one.region for one in wave.regions] for wave in plan.waves]
    assert waves == [["eu-north-1"], [BAD_IN], ["us-east-1"]]
    assert set(HAD) == set(document.regions) >= {HOME, STANDBY}
    assert document.primaries == ("us-east-1",)
