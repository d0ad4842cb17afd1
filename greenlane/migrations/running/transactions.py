"""A statement with its line of the ledger in one transaction, sent as one message.

Between the lock and the COMMIT there is no way to the server and back, and a killed process leaves
either nothing or all of it.
"""

from greenlane.migrations.running import ledger, locking
from greenlane.migrations.running.fence import application_name, fresh
from greenlane.migrations.running.ledger import changed
from greenlane.migrations.running.locking import Attempt, Blocker, LockWait
from greenlane.migrations.running.session import (
    ALREADY_DONE,
    DEADLOCK,
    LOCK_NOT_AVAILABLE,
    QUERY_CANCELED,
    WRITTEN,
    ConnectionLost,
    StatementFailed,
    StillRunning,
)
from greenlane.migrations.running.slices import DONE, Job, Slice, Step, raise_if_lost

GUARD_MS = 2000
"""A statement that is to be over in a moment is cancelled after it: the judgement was wrong."""

GUARDED_TRIES = 3
DEADLOCK_TRIES = 5
MOST_DETACHED = 2
"""So often a statement is left to run on by itself, before it is given up."""

POLLING_SECONDS = 20.0
"""Of one slice; after it the workflow waits, which costs nothing."""

WAIT_SECONDS = 3.0
"""Between two slices, for a lock."""

ROW_WAIT_MS = 200
"""For whatever a statement waits for besides its tables: below `deadlock_timeout`, so that this
side gives way."""


def run(slice_: Slice, job: Job) -> Step:
    """Run a job once, with the locks that it takes: until it ran or failed, or time is over."""
    if given_up := gave_up(slice_, job):
        return given_up
    fresh(slice_.session, application_name(job.row.migration, job.row.statement))
    attempts = _Attempts(slice_, job)
    attempt = Attempt(0)
    while True:
        slice_.sleep(attempt.pause_seconds)
        try:
            attempts.make(attempt)
        except StillRunning as error:
            return detach(slice_, job, error)
        except ConnectionLost:
            raise
        except StatementFailed as error:
            found = attempts.after(error)
            if isinstance(found, Step):
                return found
            attempt = found
        else:
            slice_.changed()
            return DONE


class _Attempts:
    """At one job, within one slice."""

    def __init__(self, slice_: Slice, job: Job) -> None:
        self._slice, self._job = slice_, job
        self._wait = LockWait(job.row.lock_wait_ms / 1000, slice_.clock.now())
        self._queued = self._cancelled = self._deadlocks = 0
        self._lockable = locking.lockable(slice_.session, job.locks)
        self._sent = ""

    def make(self, attempt: Attempt) -> None:
        """Make one."""
        job, slice_ = self._job, self._slice
        waited = int(self._wait.counted * 1000)
        text = ";\n".join(
            [
                "BEGIN",
                f"SET LOCAL lock_timeout = {attempt.timeout_ms or ROW_WAIT_MS}",
                f"SET LOCAL statement_timeout = {GUARD_MS if job.guarded else 0}",
                *locking.lock_text(job.locks, self._lockable, attempt.timeout_ms),
                ledger.owned(slice_.request.epoch),
                *(_proven(query) for query in job.proof),
                f"{job.sql}\n",
                # What the statement has set for itself does not hold for the ledger.
                "RESET ROLE",
                *job.record,
                *([changed(job.row, f"lock_wait_ms = {waited}")] if waited else []),
                "COMMIT",
            ]
        )
        self._sent = text
        slice_.session.run(text, slice_.left_to_wait())

    def after(self, error: StatementFailed) -> Step | Attempt:
        """What follows from an error: the next attempt, or the end."""
        raise_if_lost(error)
        if error.sqlstate == LOCK_NOT_AVAILABLE:
            return self._blocked()
        if error.sqlstate == DEADLOCK and self._deadlocks < DEADLOCK_TRIES:
            self._deadlocks += 1
            return Attempt(self._slice.chance.uniform(0.1, 0.5))
        if error.sqlstate == QUERY_CANCELED and self._job.guarded:
            return self._too_long(error)
        if error.sqlstate == ALREADY_DONE:
            return DONE
        return self._job.failed(error, sent=self._sent)

    def _too_long(self, error: StatementFailed) -> Step | Attempt:
        self._cancelled += 1
        if self._cancelled < GUARDED_TRIES:
            return Attempt(self._slice.chance.uniform(1, 3))
        return self._job.failed(
            error,
            f"it was to be over in a moment, and held its locks for {GUARD_MS / 1000:g} s, "
            f"{GUARDED_TRIES} times; it was rolled back each time",
        )

    def _blocked(self) -> Step | Attempt:
        slice_, job, wait = self._slice, self._job, self._wait
        found = locking.blockers(slice_.session, job.locks)
        wait.note(slice_.clock.now(), found)
        if wait.counted > slice_.lock_budget():
            message = f"it did not get its lock in {wait.counted:.0f} s; {locking.told(found)}"
            return out_of_time(slice_, job, message, locking.told(found))
        if wait.asked > POLLING_SECONDS or slice_.left() <= 0:
            return self._later(found)
        attempt = locking.next_attempt(wait.counted, self._queued, found, slice_.chance.random())
        self._queued += attempt.timeout_ms is not None
        return attempt

    def _later(self, found: list[Blocker]) -> Step:
        idle = any(one.autovacuum for one in found)
        counted = self._wait.counted + (0 if idle else WAIT_SECONDS)
        write_down(self._slice, self._job, f"lock_wait_ms = {int(counted * 1000)}")
        return Step("waiting", WAIT_SECONDS, f"waits for its lock: {locking.told(found)}")


def write_down(slice_: Slice, job: Job, sets: str) -> None:
    """Change a statement's row, by itself."""
    slice_.session.run(ledger.whole(slice_.request.epoch, changed(job.row, sets)))


def detach(slice_: Slice, job: Job, error: StillRunning) -> Step:
    """Note that a backend goes on by itself; how it ended is seen by what it left."""
    name = application_name(job.row.migration, job.row.statement) + "/note"
    with slice_.connect(name) as other:
        fresh(other, name)
        update = changed(job.row, "detached = detached + 1")
        try:
            other.run(f"SET lock_timeout = '1s'; {ledger.whole(slice_.request.epoch, update)}")
        except StatementFailed as found:
            # It has come as far as its own line of the ledger, so it ends.
            if found.sqlstate != LOCK_NOT_AVAILABLE:
                raise
    return Step("waiting", WAIT_SECONDS, f"backend {error.pid} goes on with it by itself")


def out_of_time(slice_: Slice, job: Job, message: str, blocker: str) -> Step:
    """It has asked for its locks for as long as it may; whoever runs it again asks anew."""
    write_down(slice_, job, "lock_wait_ms = 0")
    return job.failed("LockNotAvailable", message, blocker=blocker)


def gave_up(slice_: Slice, job: Job) -> Step | None:
    """Whether it was left to itself too often without coming to its end."""
    if job.row.detached < MOST_DETACHED:
        return None
    write_down(slice_, job, "detached = 0")
    return job.failed(
        "NotFinished",
        f"{job.row.detached} times it ran on by itself and did not come to its end; "
        "the server's log says why",
    )


def _proven(query: str) -> str:
    said = ledger.raised("it is in use: what undoing it would lose was written", WRITTEN)
    return ledger.block(f"IF (SELECT ({query}\n)) IS NOT TRUE THEN {said} END IF;")
