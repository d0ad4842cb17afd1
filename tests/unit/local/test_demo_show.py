import io

import pytest
from rich.console import Console

from greenlane.local.demo.measure import Result, Share
from greenlane.local.demo.scenes import SCENES
from greenlane.local.demo.show import details, summary_table


def result(name: str, **more: object) -> Result:
    values = {
        "scene": SCENES[name],
        "deployment_id": "d-1",
        "outcome": SCENES[name].ending,
        "reason": "",
        "seconds": 20.71,
        "virtual_seconds": 1200.0,
        "shares": [],
        "requests": {"v1": {"ok": 3000, "failed": 0}, "v5": {"ok": 93, "failed": 12}},
        "failures": {},
        "aws_calls": 303,
        "transitions": 12,
        "rollback_transitions": 19,
    }
    return Result(**(values | more))  # type: ignore[arg-type]


def test_the_table_has_one_line_for_each_scene_on_a_narrow_terminal() -> None:
    out = io.StringIO()
    Console(file=out, width=80).print(summary_table([result(name) for name in SCENES]))
    lines = [line for line in out.getvalue().splitlines() if "12+19" in line]
    assert len(lines) == len(SCENES)
    for name, line in zip(SCENES, lines, strict=True):
        assert name in line
        assert SCENES[name].ending.replace("_", " ") in line
        assert " 3105 " in line
        assert " 12 " in line


def test_the_shares_of_each_step_are_told_and_none_when_there_was_no_traffic() -> None:
    shares = [Share(0, 100, 0), Share(25, 400, 99)]
    assert "  weight → share seen at the balancer: 25 % → 24.75 %" in details(
        result("canary", shares=shares)
    )
    assert "  it never had traffic" in details(result("crashing"))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.36, "  0.36 s from the alarm to the bad slot's last request"),
        (-0.04, "  the bad slot got no request after the alarm"),
    ],
)
def test_the_bad_slots_last_request_is_told(seconds: float, words: str) -> None:
    assert words in details(result("bad-canary", alarm_to_no_traffic_seconds=seconds))


def test_a_broken_promise_is_told() -> None:
    assert "  PROMISE BROKEN: it lost 3 requests" in details(
        result("canary", broken=["it lost 3 requests"])
    )
