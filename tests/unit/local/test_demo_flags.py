"""What the scene of feature flags promises, and that it notices when that is not kept."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from greenlane.flags.definitions.document import read_flags
from greenlane.flags.storing.state import FlagState, Ramp, StoredFlag, StoredFlags
from greenlane.local.demo.flags import ENDINGS, FILE, STOPPED, FlagResult, broken_promises, lines

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LEVELS = {"new_search": (0, 25, 50, 75, 100), "new_summary": (0, 25, 0), STOPPED: (0, 25, 0)}


def ended(levels: Any = LEVELS, owed: Any = "", **endings: str) -> tuple[StoredFlags, FlagResult]:
    """The flags and the result of a scene, as promised but for what a test changes."""
    flags = StoredFlags()
    result = FlagResult(seconds=26.0, requests=3000, failed=21)
    for key, flag in read_flags(FILE.read_text()).feature_flags.items():
        status: Any = endings.get(key, ENDINGS[key])
        ramp = Ramp(
            id=key,
            started_at=NOW,
            by="the demo",
            target=Decimal(100),
            increment=Decimal(25),
            interval=timedelta(minutes=3),
            status=status,
        )
        state = FlagState(ramp=ramp, stopped=key == STOPPED, owed=owed)
        stored = StoredFlag(flag=flag, states={"production": state})
        flags = flags.with_flag(key, stored)
        result.endings[key], result.reasons[key] = status, "because"
        result.levels[key] = [Decimal(one) for one in levels[key]]
    return flags, result


def test_a_scene_that_went_as_promised_is_told_without_a_broken_promise() -> None:
    flags, result = ended()
    assert broken_promises(flags, result) == []
    assert "  new_search: 0 -> 25 -> 50 -> 75 -> 100 percent, done" in lines(result)
    assert result.as_json()["flags"]["new_summary"]["levels_percent"] == [0, 25, 0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"new_summary": "done"}, "new_summary ended done instead of retreated"),
        ({"levels": LEVELS | {"new_search": (0, 100)}}, "more than one step at once"),
        ({"levels": LEVELS | {"new_summary": (0, 25)}}, "new_summary did not go back"),
        ({"levels": LEVELS | {STOPPED: (0, 25, 50, 75, 0)}}, "reached 75 percent before"),
        ({"owed": "stopped"}, "nobody was told"),
    ],
)
def test_a_promise_that_was_not_kept_is_noticed(changes: dict[str, Any], said: str) -> None:
    assert any(said in words for words in broken_promises(*ended(**changes)))
