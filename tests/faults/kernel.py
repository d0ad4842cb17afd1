"""Actors in virtual time, one at a time: every run with the same seed is the same run.

An actor is a thread that holds the baton while it runs. When it sleeps or waits it works off the
agenda up to the next actor's turn, and hands the baton to that one: what another actor does in
between happens at exactly these points, at AWS calls, and a turn costs one change of threads.
"""

import heapq
import itertools
import math
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.builders import NOW


class Killed(BaseException):
    """The process of an actor is gone. No code under test catches it."""


def _shut() -> threading.Lock:
    """A lock whose `acquire` waits for a `release`: a semaphore of 0 in a tenth of its time.

    Releases and acquires of each one alternate, for only the holder of the baton runs.
    """
    lock = threading.Lock()
    lock.acquire()
    return lock


class Signal:
    """Something to wait for; once set it stays set."""

    def __init__(self) -> None:
        self.is_set = False
        self.waiting: list[Actor] = []


class Actor:
    """One thread of control: a function's run or an execution."""

    def __init__(self, kernel: "Kernel", name: str, body: Callable[[], None]) -> None:
        self.name, self.killed, self.ended = name, False, False
        self._kernel, self._body = kernel, body
        self._go = _shut()
        self.turn = 0
        kernel.workers.run(self)

    def main(self) -> None:
        """What the worker thread runs."""
        self._go.acquire()
        try:
            if not self.killed:
                self._body()
        except Killed:
            self.killed = True
        except BaseException as error:
            self._kernel.crashed = error
        self.ended = True
        self._kernel.give(self._kernel.advance())

    def resume(self) -> None:
        """On the agenda: the next turn is its own, until it sleeps, waits or ends."""
        if not self.ended:
            self._kernel.turn = self

    def go(self) -> None:
        """Let its thread run, which has the baton now."""
        self._go.release()

    def pause(self) -> None:
        """Hand the baton on (called by the actor itself)."""
        following = self._kernel.advance()
        if following is self:
            self._kernel.running = self
        else:
            self._kernel.give(following)
            self._go.acquire()
        if self.killed:
            raise Killed

    def kill(self) -> None:
        """End it where it stands."""
        if not self.ended:
            self.killed = True
            self.turn += 1
            self._kernel.after(0, self.resume)


class Workers:
    """Threads that outlive a run: making one costs more than most runs of an actor."""

    def __init__(self) -> None:
        self._idle: list[tuple[threading.Lock, list[Actor]]] = []
        self._lock = threading.Lock()

    def run(self, actor: Actor) -> None:
        """Let a worker wait for the actor's first turn."""
        with self._lock:
            place = self._idle.pop() if self._idle else None
        if place is None:
            place = (_shut(), [])
            threading.Thread(target=self._serve, args=place, daemon=True).start()
        place[1].append(actor)
        place[0].release()

    def _serve(self, called: threading.Lock, box: list[Actor]) -> None:
        while True:
            called.acquire()
            box.pop().main()
            with self._lock:
                self._idle.append((called, box))


_WORKERS = Workers()


def _never() -> bool:
    return False


class Kernel:
    """The clock, the agenda and the baton."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.running: Actor | None = None
        self.turn: Actor | None = None
        self.crashed: BaseException | None = None
        self._raised: BaseException | None = None
        self._back = _shut()
        self.workers = _WORKERS
        self._agenda: list[tuple[float, int, Callable[[], Any]]] = []
        self._order = itertools.count()
        self._actors: list[Actor] = []
        self._until, self._done = 0.0, _never

    def now(self) -> datetime:
        """The virtual instant; makes the kernel a `Clock`."""
        return NOW + timedelta(seconds=self.seconds)

    def after(self, seconds: float, do: Callable[[], Any]) -> None:
        """Put something on the agenda."""
        heapq.heappush(self._agenda, (self.seconds + seconds, next(self._order), do))

    def spawn(self, name: str, body: Callable[[], None], *, delay: float = 0.0) -> Actor:
        """Begin an actor after a while."""
        actor = Actor(self, name, body)
        self._actors.append(actor)
        self.after(delay, actor.resume)
        return actor

    def sleep(self, seconds: float) -> None:
        """Let time pass for the actor that calls."""
        actor = self._own()
        actor.turn += 1
        if self._is_next(self.seconds + seconds):
            self.seconds += seconds
            return
        turn = actor.turn
        self.after(seconds, lambda: actor.resume() if actor.turn == turn else None)
        actor.pause()

    def wait(self, signal: Signal, seconds: float) -> bool:
        """Wait until the signal is set, at most so long; whether it was."""
        if signal.is_set:
            return True
        actor = self._own()
        signal.waiting.append(actor)
        self.sleep(seconds)
        if actor in signal.waiting:
            signal.waiting.remove(actor)
        return signal.is_set

    def set(self, signal: Signal) -> None:
        """Set a signal and let those who wait for it run next."""
        signal.is_set = True
        for actor in signal.waiting:
            actor.turn += 1
            self.after(0, actor.resume)
        signal.waiting = []

    def run(self, until: float, done: Callable[[], bool]) -> None:
        """Work off the agenda until `done`, or until that second."""
        self._until, self._done = until, done
        self._let(self.advance())
        raised, self._raised = self.crashed or self._raised, None
        if raised is not None:
            raise raised

    def advance(self) -> Actor | None:
        """Work off the agenda up to an actor's turn; None when it is over for now.

        Called by whoever has the baton.
        """
        self.running = self.turn = None
        try:
            while (
                self.crashed is None
                and self._agenda
                and self._agenda[0][0] <= self._until
                and not self._done()
            ):
                at, _, do = heapq.heappop(self._agenda)
                self.seconds = max(self.seconds, at)
                do()
                if self.turn is not None:
                    return self.turn
        except BaseException as error:  # whoever called `run` is to see it, not this actor
            self._raised = error
        return None

    def give(self, following: Actor | None) -> None:
        """Hand the baton to an actor, or to whoever called `run`."""
        self.running = following
        if following is None:
            self._back.release()
        else:
            following.go()

    def _let(self, actor: Actor | None) -> None:
        """Let an actor run, and whoever comes after it, until it is over for now."""
        if actor is not None:
            self.give(actor)
            self._back.acquire()

    def close(self) -> None:
        """End every actor that is left, so that its thread is free again."""
        self.crashed, self._until = None, -math.inf
        for actor in self._actors:
            if not actor.ended:
                actor.killed = True
                self._let(actor)

    def _is_next(self, at: float) -> bool:
        """Whether an event then would be the next one: its actor need not hand the baton back."""
        if self._agenda and self._agenda[0][0] <= at:
            return False
        return at <= self._until and self.crashed is None and not self._done()

    def _own(self) -> Actor:
        assert self.running is not None, "only an actor may wait"
        return self.running
