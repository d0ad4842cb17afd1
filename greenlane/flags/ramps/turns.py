"""Whose turn it is in a minute that has no time for all.

What has to be looked at is a ring, in the order of names. Where a minute ends too early, the table
keeps with whom the next one begins. So whoever has waited longest comes first, none is passed over,
and how long a round takes follows from how many there are.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from threading import Lock
from typing import NamedTuple, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.clock import Clock
from greenlane.errors import GreenlaneError
from greenlane.logs import logger

AT_ONCE = 5
"""Flags that are looked at beside each other."""

Look = tuple[str, Callable[[], None]]
"""A name and what is done; the name tells it apart from all others in its ring."""


class Places(Protocol):
    """What keeps where the next minute begins, by the name of a ring."""

    def turn(self, ring: str) -> str:
        """With whom; nothing where it begins with the first."""
        ...

    def next_turn(self, ring: str, name: str) -> None:
        """Keep with whom."""
        ...


class Taken(NamedTuple):
    """What came of a minute's turns: what went wrong, and who was not reached, in order."""

    problems: list[str]
    left: list[str]


def from_on(looks: Sequence[Look], first: str) -> list[Look]:
    """The ring, beginning with `first`, or with whoever follows where that is gone."""
    ring = sorted(looks, key=lambda look: look[0])
    return [one for one in ring if one[0] >= first] + [one for one in ring if one[0] < first]


def take_turns(looks: Sequence[Look], clock: Clock, until: datetime | None = None) -> Taken:
    """Do all of it in this order, some beside each other, as long as there is time to begin.

    None is in another's way, and the first has its turn in any case.

    Args:
        looks: what to do.
        clock: tells the time.
        until: no look but the first begins later; without it all of them have their turn.
    """
    waiting = iter(looks)
    lock = Lock()
    begun = False

    def next_one() -> Look | None:
        nonlocal begun
        with lock:
            if begun and until is not None and clock.now() >= until:
                return None
            begun = True
            return next(waiting, None)

    def work() -> list[str]:
        problems: list[str] = []
        while (look := next_one()) is not None:
            problems += _done(look)
        return problems

    if len(looks) < 2:  # nobody beside whom it could be done
        return Taken(work(), [name for name, _ in waiting])
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        workers = [pool.submit(work) for _ in range(min(AT_ONCE, len(looks)))]
        problems = [problem for worker in workers for problem in worker.result()]
    return Taken(problems, [name for name, _ in waiting])


@dataclass(frozen=True)
class Ring:
    """Looks of which a round may take more than one minute.

    `name` is under what `records` keep where the next minute begins.
    """

    name: str
    looks: Sequence[Look]
    records: Places

    def take(self, clock: Clock, until: datetime, first: Sequence[Look] = ()) -> list[str]:
        """Go on where the last minute ended; what went wrong.

        Args:
            clock: tells the time.
            until: no look but the very first begins later.
            first: what comes before all others, every minute.
        """
        problems: list[str] = []
        all_at_once = len(first) + len(self.looks) <= AT_ONCE
        begin = "" if all_at_once else self._place(problems)
        taken = take_turns([*first, *from_on(self.looks, begin)], clock, until)
        mine = {name for name, _ in self.looks}
        left = [name for name in taken.left if name in mine]
        if left:
            logger.info("some wait for the next minute", ring=self.name, left=len(left))
            problems += _done((f"turns of {self.name}", partial(self._keep, left[0])))
        return problems + taken.problems

    def _place(self, problems: list[str]) -> str:
        try:
            return self.records.turn(self.name)
        except (ClientError, BotoCoreError) as error:
            # Anywhere is fairer than always at the beginning.
            logger.error("where to begin is not known", ring=self.name, error=str(error))
            problems.append(f"turns of {self.name}: {type(error).__name__}")
            return random.choice(self.looks)[0] if self.looks else ""

    def _keep(self, name: str) -> None:
        self.records.next_turn(self.name, name)


def _done(look: Look) -> Iterator[str]:
    """Do it; what went wrong."""
    name, act = look
    try:
        act()
    except (GreenlaneError, ClientError, BotoCoreError) as error:
        logger.error("a flag was not looked at", about=name, error=str(error))
        yield f"{name}: {type(error).__name__}"
    except Exception as error:  # such as a state of another version
        logger.exception("a flag was not looked at", about=name)
        yield f"{name}: {type(error).__name__}"
