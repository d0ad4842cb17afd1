"""Actors in virtual time, one at a time: every run with the same seed is the same run.

An actor is a thread that holds the baton while it runs. It hands the baton back when it sleeps or
waits, so what another actor does in between happens at exactly these points: at AWS calls.
"""

import heapq
import itertools
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
        self._kernel.back.release()

    def resume(self) -> None:
        """Give it the baton until it sleeps, waits or ends."""
        if not self.ended:
            self._kernel.running = self
            self._go.release()
            self._kernel.back.acquire()
            self._kernel.running = None

    def pause(self) -> None:
        """Hand the baton back (called by the actor itself)."""
        self._kernel.back.release()
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
        self.crashed: BaseException | None = None
        self.back = _shut()
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
        while self._agenda and self._agenda[0][0] <= until and not done():
            at, _, do = heapq.heappop(self._agenda)
            self.seconds = max(self.seconds, at)
            do()
            if self.crashed is not None:
                raise self.crashed

    def close(self) -> None:
        """End every actor that is left, so that its thread is free again."""
        self.crashed = None
        for actor in self._actors:
            if not actor.ended:
                actor.killed = True
                actor.resume()

    def _is_next(self, at: float) -> bool:
        """Whether an event then would be the next one: its actor need not hand the baton back."""
        if self._agenda and self._agenda[0][0] <= at:
            return False
        return at <= self._until and self.crashed is None and not self._done()

    def _own(self) -> Actor:
        assert self.running is not None, "only an actor may wait"
        return self.running
