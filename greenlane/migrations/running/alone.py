"""A statement that no transaction takes: begun, run, looked at, written down.

The backend of a killed process goes on with it and keeps the session's advisory lock, so nobody is
here before it has ended. What it left tells how.
"""

from greenlane.migrations.running import ledger, leftovers, locking
from greenlane.migrations.running.fence import application_name, fresh
from greenlane.migrations.running.ledger import as_json
from greenlane.migrations.running.leftovers import Before
from greenlane.migrations.running.session import (
    DEADLOCK,
    LOCK_NOT_AVAILABLE,
    ConnectionLost,
    Row,
    StatementFailed,
    StillRunning,
)
from greenlane.migrations.running.slices import DONE, Job, Slice, Step, raise_if_lost
from greenlane.migrations.running.transactions import (
    WAIT_SECONDS,
    detach,
    gave_up,
    out_of_time,
    write_down,
)
from greenlane.migrations.sql.parsing import Statement, parse_script

TRIES = 4
"""Within a slice, after a deadlock or a lock that was not free."""

OLD_SECONDS = 30.0
"""A transaction of that age is waited for outside: inside, it would be paid for."""

LOCK_MS = 100
"""For one that takes a lock that writers wait for: it must not queue for longer."""

_OLD = """
SELECT pid, coalesce(nullif(application_name, ''), usename, 'a session') AS who, state,
  extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
AND backend_type = 'client backend' AND xact_start < clock_timestamp() - make_interval(secs => {})
ORDER BY xact_start LIMIT 1
"""


def run(slice_: Slice, job: Job) -> Step:
    """Run a job once; whoever calls again after a crash finds out what there is left to do."""
    (statement,) = parse_script(job.sql).statements
    fresh(slice_.session, application_name(job.row.migration, job.row.statement))
    one = _Alone(slice_, job, statement)
    try:
        return one.steps()
    except StillRunning as error:
        return detach(slice_, job, error)


class _Alone:
    def __init__(self, slice_: Slice, job: Job, statement: Statement) -> None:
        self._slice, self._job, self._statement = slice_, job, statement
        self._session = slice_.session

    def steps(self) -> Step:
        before, mark = self._job.row.before, self._job.mark
        was_begun = before is not None and before["of"] == mark
        if before is None or not was_begun:
            before = {"of": mark} | leftovers.look(self._session, self._statement)
        if was_begun and self._is_done(before) and not self._invalid(before):
            return self._done()
        if waiting := self._old_transaction() or self._cleared(before):
            return waiting
        if was_begun and self._is_done(before):
            return self._done()
        if given_up := gave_up(self._slice, self._job):
            return given_up
        if not was_begun:
            state = "state = 'started', " if self._job.part is None else ""
            write_down(self._slice, self._job, f"{state}before = {as_json(before)}")
        return self._tried(before)

    def _is_done(self, before: Before) -> bool:
        """Whether the attempt before has done it."""
        row = self._job.row
        makes = row.inverse.makes if row.inverse is not None and self._job.part is None else ()
        return leftovers.is_done(self._session, self._statement, before, makes)

    def _invalid(self, before: Before) -> list[Row]:
        return leftovers.invalid(self._session, self._statement, before)

    def _tried(self, before: Before) -> Step:
        for number in range(TRIES):
            try:
                self._attempt()
            except ConnectionLost:
                raise
            except StatementFailed as error:
                raise_if_lost(error)
                if waiting := self._cleared(before):
                    return waiting
                if error.sqlstate not in (DEADLOCK, LOCK_NOT_AVAILABLE):
                    return self._job.failed(error, sent=self._job.sql)
                if number == TRIES - 1:
                    return self._later(error)
                self._slice.sleep(self._slice.chance.uniform(0.2, 1.0))
            else:
                if wrong := leftovers.problem(self._session, self._statement):
                    return self._job.failed("IndexNotValid", wrong)
                return self._done()
        raise AssertionError("the last try has returned")

    def _attempt(self) -> None:
        holds_up = any(lock.mode.blocks_writes for lock in self._job.locks)
        self._session.run(f"SET lock_timeout = {LOCK_MS if holds_up else 0}")
        text = leftovers.completed(self._session, self._statement) or self._job.sql
        self._session.run(text, self._slice.left_to_wait())

    def _done(self) -> Step:
        fresh(self._session, application_name(self._job.row.migration, self._job.row.statement))
        self._session.run(ledger.whole(self._slice.request.epoch, *self._job.record))
        self._slice.changed()
        return DONE

    def _cleared(self, before: Before) -> Step | None:
        """Take INVALID indexes away; a step where somebody is building one of them."""
        for row in self._invalid(before):
            if row["building"]:
                return Step("waiting", WAIT_SECONDS, leftovers.told(row))
            self._session.run("SET lock_timeout = 0")
            self._session.run(leftovers.dropping(row), self._slice.left_to_wait())
            self._slice.changed()
        return None

    def _old_transaction(self) -> Step | None:
        if not leftovers.waits_for_transactions(self._statement):
            return None
        found = self._session.rows(_OLD.format(OLD_SECONDS))
        if not found:
            return None
        (row,) = found
        said = (
            f"pid {row['pid']} ({row['who']}, {row['state']}) is in a transaction for "
            f"{row['seconds']:.0f} s, which it would wait for"
        )
        waited = self._job.row.lock_wait_ms / 1000 + WAIT_SECONDS
        if waited > self._slice.lock_budget():
            return out_of_time(self._slice, self._job, said, said)
        write_down(self._slice, self._job, f"lock_wait_ms = {int(waited * 1000)}")
        return Step("waiting", WAIT_SECONDS, said)

    def _later(self, error: StatementFailed) -> Step:
        """Its lock is not free, or it met deadlocks: that counts as asking."""
        found = locking.told(locking.blockers(self._session, self._job.locks))
        waited = self._job.row.lock_wait_ms / 1000 + WAIT_SECONDS
        if waited > self._slice.lock_budget():
            return out_of_time(self._slice, self._job, f"{error.told}; {found}", found)
        write_down(self._slice, self._job, f"lock_wait_ms = {int(waited * 1000)}")
        return Step("waiting", WAIT_SECONDS, f"{error.condition}: {found}")
