"""A page asks for all flags at once: that stays within what a page can wait for."""

import runpy
from pathlib import Path
from typing import Any

RUNNER = Path(__file__).resolve().parents[3] / "benchmarks" / "flag_peers.py"
MOST_MS = 5.0


def test_a_thousand_flags_are_answered_within_five_milliseconds() -> None:
    """The fastest of a hundred, which other work on the machine has disturbed least."""
    names: dict[str, Any] = runpy.run_path(str(RUNNER))

    took = names["bulk"]()

    assert names["BULK"] == 1000
    assert took["evaluated"] < took["answered"] <= MOST_MS
    assert took["unchanged"] < took["answered"] / 10
