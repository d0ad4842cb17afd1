"""Whether a database has room for a backfill: how late its replicas are, and how busy it is."""

from collections import deque
from collections.abc import Callable
from datetime import datetime

from greenlane.clock import Clock
from greenlane.migrations.running.model import Limits
from greenlane.migrations.running.session import Row, Session

EVERY_SECONDS = 0.5
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 3.0
"""Waited out at once; longer waits are the workflow's."""

_POSITION = """
SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS written,
  to_regproc('aurora_replica_status') IS NOT NULL AS aurora,
  (SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()
   AND backend_type = 'client backend')::int AS active
"""
_REPLICAS = """
SELECT pid, coalesce(application_name, '') AS name, replay_lsn - '0/0'::pg_lsn AS replayed,
  coalesce(extract(epoch FROM replay_lag), 0)::float8 AS seconds
FROM pg_stat_replication WHERE state = 'streaming'
"""
_AURORA = """
SELECT 0 AS pid, server_id AS name, NULL::numeric AS replayed,
  coalesce(replica_lag_in_msec, 0)::float8 / 1000 AS seconds
FROM aurora_replica_status() WHERE session_id <> 'MASTER_SESSION_ID'
"""


class Lateness:
    """How late a replica is, by when this session saw the position that it has come to.

    `replay_lag` alone keeps its last value, or none, while replay stands still.
    """

    def __init__(self, longest: int = 2000) -> None:
        """See the class."""
        self._seen: deque[tuple[datetime, int]] = deque(maxlen=longest)

    def note(self, now: datetime, written: int) -> None:
        """The server's own position, in bytes."""
        self._seen.append((now, written))

    def of(self, now: datetime, replayed: int) -> float:
        """Seconds since the server was where the replica is; 0 where it never was, in sight."""
        late = [at for at, written in self._seen if written > replayed]
        return (now - late[0]).total_seconds() if late else 0.0


class Load:
    """Looks now and then, not at each batch."""

    def __init__(self, session: Session, clock: Clock, limits: Limits) -> None:
        """See the class."""
        self._session, self._clock, self._limits = session, clock, limits
        self._lateness = Lateness()
        self._looked: datetime | None = None
        self._written = 0
        self._replicas: list[Row] = []
        self._first: int | None = None
        self._places: dict[int, int] = {}

    def too_high(self, sleep: Callable[[float], None]) -> str:
        """Why rows cannot be filled now, after some patience; empty if they can."""
        now = self._clock.now()
        if self._looked and (now - self._looked).total_seconds() < EVERY_SECONDS:
            return ""
        waited = 0.0
        while why := self.look() or self._standing():
            if waited >= PATIENCE_SECONDS:
                return why
            sleep(POLL_SECONDS)
            waited += POLL_SECONDS
        return ""

    def look(self) -> str:
        """Why it is too high, by one look."""
        now = self._looked = self._clock.now()
        (row,) = self._session.rows(_POSITION)
        self._written = int(row["written"])
        self._lateness.note(now, self._written)
        self._replicas = self._session.rows(_AURORA if row["aurora"] else _REPLICAS)
        for one in self._replicas:
            late = self._late(now, one)
            if late > self._limits.replica_lag_seconds:
                return f"the replica {one['name']} is {late:.1f} s late"
        if row["active"] > self._limits.active_sessions:
            return f"{row['active']} other sessions are active"
        return ""

    def _standing(self) -> str:
        """Why rows wait for a replica that nobody has seen move: how late it is, nobody knows.

        It is behind where the server was at the first look, and is where it was then. A new slice
        would otherwise fill rows until that is late by itself.
        """
        if self._first is None:
            self._first = self._written
        for one in self._replicas:
            if one["replayed"] is None:
                continue
            at = int(one["replayed"])
            if at < self._first and at <= self._places.setdefault(int(one["pid"]), at):
                return f"the replica {one['name']} does not come nearer"
        return ""

    def _late(self, now: datetime, replica: Row) -> float:
        told = float(replica["seconds"])
        if replica["replayed"] is None:
            return told
        return max(told, self._lateness.of(now, int(replica["replayed"])))
