import json
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.errors import InvalidInput
from greenlane.flags.evaluating.evaluation import STATIC, TARGETING_MATCH, Evaluation, failed
from greenlane.flags.reading.telemetry import MOST_KINDS, Telemetry
from tests.unit.flags.flagging import NOW
from tests.unit.flags.reading import Time

ON = Evaluation("checkout", True, "on", TARGETING_MATCH, "groups")


def telling(at: Time | None = None, **more: Any) -> tuple[Telemetry, list[str]]:
    lines: list[str] = []
    at = at or Time()
    return Telemetry("production", write=lines.append, clock=at.clock, **more), lines


def test_an_evaluation_is_told_under_openfeatures_names() -> None:
    telemetry, lines = telling(sampled=1, flush_seconds=0)

    telemetry.tell(ON, 7)

    assert json.loads(lines[0]) == {
        "_aws": {
            "Timestamp": int(NOW * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": "Greenlane/Flags",
                    "Dimensions": [
                        ["feature_flag.set.id", "feature_flag.key", "feature_flag.result.variant"]
                    ],
                    "Metrics": [{"Name": "Evaluations", "Unit": "Count"}],
                }
            ],
        },
        "feature_flag.key": "checkout",
        "feature_flag.result.reason": "targeting_match",
        "feature_flag.result.variant": "on",
        "feature_flag.set.id": "production",
        "feature_flag.version": "7",
        "Evaluations": 1,
    }


def test_an_error_is_a_metric_of_its_own_with_its_type() -> None:
    telemetry, lines = telling(sampled=1, flush_seconds=0)

    telemetry.tell(failed("nope", "FLAG_NOT_FOUND", "there is no such flag"), 7)

    told = json.loads(lines[0])
    assert (told["EvaluationErrors"], told["error.type"]) == (1, "flag_not_found")
    assert told["feature_flag.result.variant"] == "default"
    assert "there is no" not in lines[0]


def test_off_is_off() -> None:
    telemetry, lines = telling()

    for _ in range(1000):
        telemetry.tell(ON, 7)
    telemetry.flush()

    assert lines == []


@given(st.integers(1, 50), st.integers(0, 400))
def test_each_that_is_counted_stands_for_those_that_are_not(every: int, asked: int) -> None:
    drawn = [number % 97 / 97 for number in range(asked)]
    telemetry, lines = telling(sampled=1 / every, flush_seconds=1e9, draw=iter(drawn).__next__)
    for _ in range(asked):
        telemetry.tell(ON, 7)
    telemetry.flush()

    counted = sum(json.loads(line)["Evaluations"] for line in lines)

    assert counted == every * sum(one * every < 1 for one in drawn[:asked])


def test_a_sample_is_fair_to_flags_that_are_asked_for_in_the_same_order_each_time() -> None:
    telemetry, lines = telling(sampled=0.1, draw=random.Random(7).random)
    for _ in range(3_000):
        for number in range(10):
            telemetry.tell(ON._replace(key=f"f{number}"), 7)
    telemetry.flush()

    counted = {one["feature_flag.key"]: one["Evaluations"] for one in map(json.loads, lines)}

    assert len(counted) == 10
    assert all(2_300 < count < 3_700 for count in counted.values())


def test_many_short_lived_processes_count_no_more_than_there_was() -> None:
    draw, total = random.Random(8).random, 0
    for _ in range(2_000):
        telemetry, lines = telling(sampled=0.01, flush_seconds=0, draw=draw)
        for _ in range(5):
            telemetry.tell(ON, 7)
        total += sum(json.loads(line)["Evaluations"] for line in lines)

    assert 7_000 < total < 13_000


def test_counts_are_written_once_their_time_has_come() -> None:
    at = Time()
    telemetry, lines = telling(at, sampled=1)
    for _ in range(59):
        telemetry.tell(ON, 7)
        at.passes(1)
    assert lines == []
    at.passes(1)
    telemetry.tell(ON, 7)

    assert [json.loads(line)["Evaluations"] for line in lines] == [60]


def test_each_outcome_and_each_version_is_counted_apart() -> None:
    telemetry, lines = telling(sampled=1)
    off = Evaluation("checkout", False, "off", STATIC)
    for found, version in ((ON, 1), (off, 1), (ON, 2), (ON, 2)):
        telemetry.tell(found, version)
    telemetry.flush()

    told = [json.loads(line) for line in lines]
    assert [
        (one["feature_flag.result.variant"], one["feature_flag.version"], one["Evaluations"])
        for one in told
    ] == [("on", "1", 1), ("off", "1", 1), ("on", "2", 2)]


def test_keys_without_end_do_not_fill_the_memory() -> None:
    telemetry, lines = telling(sampled=1)
    for number in range(MOST_KINDS + 1):
        telemetry.tell(failed(f"f{number}", "FLAG_NOT_FOUND", ""), 1)

    assert len(lines) == MOST_KINDS


def test_threads_lose_no_count() -> None:
    telemetry, lines = telling(sampled=1)

    def telling_on() -> None:
        for _ in range(500):
            telemetry.tell(ON, 1)

    threads = [threading.Thread(target=telling_on) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    telemetry.flush()

    assert [json.loads(line)["Evaluations"] for line in lines] == [4000]


@pytest.mark.parametrize("sampled", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(sampled: float) -> None:
    with pytest.raises(InvalidInput, match="sampled"):
        Telemetry("production", sampled=sampled)


def test_lines_go_to_standard_output() -> None:
    code = (
        "from greenlane.flags.reading.telemetry import Telemetry\n"
        "from greenlane.flags.evaluating.evaluation import Evaluation\n"
        "Telemetry('qa', sampled=1, flush_seconds=0).tell(Evaluation('f', True, 'on', 'STATIC'), 1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert json.loads(done.stdout)["feature_flag.set.id"] == "qa"
