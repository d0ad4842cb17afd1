"""What Claude Code Manager has in A/B tests: who gets what is known at once, and told in passing.

A visit never waits for the table: a thread tells what visitors were shown and did, and what it
could not tell is tried again.
"""

import os
import queue
import random
import threading
import time
from datetime import datetime

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from greenlane.clock import Clock, ScaledClock, SystemClock
from greenlane.errors import CountersBusy, InvalidInput
from greenlane.experiments.counting.events import Event, Exposure
from greenlane.experiments.counting.recording import Recorder

ORDERS = 0.10
"""The share of visitors who order, whatever they are shown."""

FAILS = "eager_summary"
"""The test whose treatment fails for some; that of any other has more orders."""

WORKERS = 2
MOST_WAITING = 10_000
KNOWN_SECONDS = 30.0
AGAIN_SECONDS, AWAY_SECONDS = 0.2, 0.5


def clock() -> Clock:
    """The machine's, or the local cloud's, which runs faster: `LOCAL_CLOCK` is origin and scale."""
    told = os.environ.get("LOCAL_CLOCK", "").split()
    if not told:
        return SystemClock()
    return ScaledClock(datetime.fromisoformat(told[0]), float(told[1]))


class Trials:
    """The tests of a version; `levels` say what their treatments change, by test.

    Args:
        levels: more orders, or failures, as shares of the treatment's visitors.
    """

    def __init__(self, levels: dict[str, float]) -> None:
        table = os.environ.get("EXPERIMENTS_TABLE", "greenlane-experiments")
        self.levels = levels
        client = boto3.client("dynamodb", region_name=os.environ.get("AWS_REGION"))
        self._recorder = Recorder(client, table, clock=clock(), known_seconds=KNOWN_SECONDS)
        self._asked_again = dict.fromkeys(levels, 0.0)
        self._told: set[tuple[str, str]] = set()
        self._waiting: queue.Queue[tuple[Exposure, list[Event]]] = queue.Queue(MOST_WAITING)
        for _ in range(WORKERS):
            threading.Thread(target=self._tell, daemon=True).start()

    def visit(self, visitor: str) -> bool:
        """Whether the visit went well, in all tests that this visitor is in."""
        well = True
        for test, level in self.levels.items():
            if time.monotonic() < self._asked_again[test]:
                continue
            try:
                dealt = self._recorder.assign(test, {"targetingKey": visitor})
            except (InvalidInput, ClientError, BotoCoreError):
                # Nobody has made it yet, or the table is away: for a while as without the test.
                self._asked_again[test] = time.monotonic() + AWAY_SECONDS
                continue
            treated = dealt.takes_part and dealt.variant != "control"
            failed = test == FAILS and treated and random.random() < level
            well = well and not failed
            if dealt.takes_part and (test, visitor) not in self._told:
                self._told.add((test, visitor))
                more = level if treated and test != FAILS else 0.0
                self._note(test, visitor, dealt.variant, random.random() < ORDERS + more, failed)
        return well

    def _note(self, test: str, visitor: str, variant: str, ordered: bool, failed: bool) -> None:
        done = {"conversion_rate": ordered, "error_rate": failed}
        # Who did not order needs no record: that he was shown it makes him a 0. Of a guardrail that
        # nobody ever records nothing is known, so that it went well is recorded too.
        events = [
            Event(test, visitor, metric, int(did), id=f"{visitor}/{metric}")
            for metric, did in done.items()
            if did or metric == "error_rate"
        ]
        try:
            self._waiting.put_nowait((Exposure(test, visitor, variant), events))
        except queue.Full:
            self._told.discard((test, visitor))  # at the next visit, then

    def _tell(self) -> None:
        while True:
            exposure, events = self._waiting.get()
            try:
                self._recorder.expose(exposure)
                if any(one.result == "retry" for one in self._recorder.record(events)):
                    raise CountersBusy("some counters were busy")
            except (CountersBusy, ClientError, BotoCoreError):
                # What got in before does not count twice.
                time.sleep(AGAIN_SECONDS)
                self._waiting.put((exposure, events))
            except InvalidInput as error:
                print(f"not recorded: {error}", flush=True)
