"""How much of what could be tried is tried: some in each run, all of it by `make proofs`.

A proof over everything (each zone and day, each fault at each call, 10,000 plans) takes longer than
anybody waits for. Each run of the tests takes a fair part of it, and the same one each time.
"""

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

WHOLE = os.environ.get("GREENLANE_WHOLE", "") not in ("", "0")
"""Whether everything is tried."""


def examples(usually: int, whole: int) -> int:
    """How many examples a property is tried with."""
    return whole if WHOLE else usually


def part(everything: Sequence[T], every: int, offset: int = 0) -> Sequence[T]:
    """Each `every`-th of a sequence, beginning with the one at `offset`; all in a whole run."""
    return everything if WHOLE else everything[offset % every :: every]
