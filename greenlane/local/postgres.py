"""A real PostgreSQL of one's own, for as long as a `with` block: nothing to install or configure.

::

    with LocalPostgres.start() as server:
        dsn = server.create_database("shop")

It listens on a Unix socket in a temporary folder and on no port. The folder goes with it, also
when this process is killed. Root runs it as another user, who exists already. Linux only.

What is committed survives a kill of the server, but not of the machine: `fsync` is off.
"""

import re
import signal
import subprocess
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from greenlane.errors import InvalidInput
from greenlane.local.errors import PostgresFailed
from greenlane.local.postgres_binaries import Binaries, find_binaries
from greenlane.local.postgres_folder import (
    PORT,
    Account,
    Place,
    copy_programs,
    make_place,
    server_account,
)
from greenlane.local.postgres_process import Guard, PostgresProcess, environment, run_as_server

Settings = Mapping[str, str | int | float | bool]

SUPERUSER = "postgres"
NAME_BYTES = 63
"""PostgreSQL cuts longer names off (NAMEDATALEN)."""

_STREAMING_SECONDS = 30.0
_FIXED = {
    "listen_addresses": "",
    "fsync": "off",
    # In the data directory: a killed server leaves nothing in /dev/shm, which may also be small.
    "dynamic_shared_memory_type": "mmap",
}
_DECIDED_HERE = {*_FIXED, "port", "data_directory", "unix_socket_directories", "logging_collector"}
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_$]*)?")


class LocalPostgres:
    """A server that `start` or `replica` has started; a context manager that stops it."""

    def __init__(self, place: Place, account: Account, binaries: Binaries) -> None:
        """See the class."""
        self.binaries = binaries
        self._place = place
        self._account = account
        self._guard = Guard(place, account)
        fixed = [f"{name}={value}" for name, value in _FIXED.items()]
        self._process = PostgresProcess(place, account, fixed)
        self._replicas: list[LocalPostgres] = []

    @classmethod
    def start(
        cls,
        settings: Settings | None = None,
        *,
        binaries: Binaries | None = None,
        tmpfs_bytes: int | None = None,
    ) -> "LocalPostgres":
        """Make a new server and start it; it is ready when this returns.

        Args:
            settings: of postgresql.conf, such as `{"autovacuum": False, "max_connections": 20}`.
                Locale and collation are C, the encoding is UTF-8, the time zone is UTC.
            binaries: which installation; the first that `find_binaries` finds if None.
            tmpfs_bytes: keep everything in memory (/dev/shm) if that has so many bytes free.

        Raises:
            InvalidInput: a setting's name is none, or is decided here.
            PostgresMissing: there is no PostgreSQL on this machine.
            PostgresFailed: it did not start; the message has the end of its log.
        """
        written = _configuration(settings or {})
        found = binaries or find_binaries()
        account = server_account()
        place = make_place(account, found, tmpfs_bytes=tmpfs_bytes)
        server = cls(place, account, found)
        initdb = [
            *(place.programs / "initdb", "-D", place.data, "-U", SUPERUSER, "--auth=trust"),
            *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        ]
        server._make(initdb, written)
        return server

    def replica(self, name: str = "replica", settings: Settings | None = None) -> "LocalPostgres":
        """Start a streaming replica, which answers queries; it stops when this server does.

        The replica keeps no slot: give this server `wal_keep_size` if one is to come back after it
        missed much. `pg_wal_replay_pause()` on the replica makes it lag.

        Args:
            name: what `pg_stat_replication` calls it, in `application_name`.
            settings: of postgresql.conf, over those of this server.

        Raises:
            InvalidInput: a setting's name is none, or is decided here.
            PostgresFailed: the copy or the replica failed.
        """
        written = _configuration(settings or {})
        place = make_place(
            self._account,
            self.binaries,
            tmpfs_bytes=0 if self._place.on_tmpfs else None,
            programs=self._place.programs,
        )
        replica = LocalPostgres(place, self._account, self.binaries)
        copy = [
            *(place.programs / "pg_basebackup", "-D", place.data),
            *("-d", self.dsn(SUPERUSER, application_name=name)),
            *("-R", "-X", "stream", "-c", "fast", "--no-sync"),
        ]
        replica._make(copy, written)
        self._replicas.append(replica)
        self._await_streaming(name)
        return replica

    def __enter__(self) -> "LocalPostgres":
        """Nothing: it runs already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def version(self) -> str:
        """Such as `15.18`."""
        return self.binaries.version

    @property
    def socket_folder(self) -> str:
        """The folder of the Unix socket, libpq's `host`; root and the server's user enter it."""
        return str(self._place.folder)

    @property
    def on_tmpfs(self) -> bool:
        """Whether everything is in memory."""
        return self._place.on_tmpfs

    @property
    def user(self) -> str | None:
        """The system's user as whom root runs the server; None where this process's user does."""
        return self._account.name

    @property
    def pid(self) -> int | None:
        """The server's first process; None while it is down."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What the server has written to its log so far."""
        return self._place.log.read_text(errors="replace")

    def dsn(self, database: str = SUPERUSER, **options: str | int) -> str:
        """How libpq connects, as the superuser unless `options` have another `user`.

        Args:
            database: its name.
            options: more of libpq's parameters, such as `application_name`.
        """
        own: dict[str, Any] = {
            "host": self.socket_folder,
            "port": PORT,
            "user": SUPERUSER,
            "dbname": database,
        }
        return make_conninfo(**(own | options))

    def binary(self, name: str) -> str:
        """The path of a program of this server's version, such as `pg_dump`.

        Raises:
            PostgresMissing: this installation does not have it.
        """
        return str(self.binaries.program(name))

    def run(self, name: str, *arguments: str, timeout_seconds: float = 120) -> str:
        """Run a program that is a client of this server, such as `pg_dump -s shop`.

        Returns:
            Its standard output.

        Raises:
            PostgresMissing: this installation does not have it.
            PostgresFailed: it failed or took too long.
        """
        reach = {"PGHOST": self.socket_folder, "PGPORT": str(PORT), "PGUSER": SUPERUSER}
        command = [self.binary(name), *arguments]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                env=environment() | reach,
                timeout=timeout_seconds,
            )
        except subprocess.TimeoutExpired as error:
            raise PostgresFailed(f"{name} took longer than {timeout_seconds:g} s") from error
        if done.returncode != 0:
            raise PostgresFailed(f"{name} failed: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database and return its DSN.

        Args:
            name: at most 63 bytes.
            template: a database to copy, to which nobody is connected.

        Raises:
            InvalidInput: the name is empty or too long.
            psycopg.Error: what PostgreSQL has against it.
        """
        statement = sql.SQL("CREATE DATABASE {}").format(_identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(_identifier(template))
        if self.binaries.major >= 15:
            # What older versions do anyway: half the time, for databases of a few megabytes.
            statement += sql.SQL(" STRATEGY FILE_COPY")
        self._execute(statement)
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, and the connections to it.

        Raises:
            psycopg.Error: what PostgreSQL has against it.
        """
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(_identifier(name)))

    def crash(self) -> None:
        """Kill every process of the server at once; `restart` brings it back."""
        self._process.kill()

    def restart(self) -> None:
        """Shut down, if it runs, and start again with the same data.

        Raises:
            PostgresFailed: it did not come back.
        """
        if self.pid is not None:
            self._process.end(signal.SIGINT)
        self._process.start()

    def stop(self) -> None:
        """End the server and its replicas at once and delete all; harmless when repeated."""
        try:
            for replica in self._replicas:
                replica.stop()
            self._process.end(signal.SIGQUIT)
        finally:
            self._place.remove()
            self._guard.dismiss()

    def _make(self, command: list[Any], configuration: str) -> None:
        """Let a program make the data directory, and start."""
        try:
            copy_programs(self._place, self._account, self.binaries)
            run_as_server(self._place, self._account, command)
            with (self._place.data / "postgresql.conf").open("a") as file:
                file.write(configuration)
            self._process.start()
        except BaseException:
            # Whatever it was, Ctrl-C too, there will be no `with` block to stop it.
            self.stop()
            raise

    def _await_streaming(self, name: str) -> None:
        """A replica answers queries a moment before it asks for what is new."""
        states = "SELECT state FROM pg_stat_replication WHERE application_name = %s"
        deadline = time.monotonic() + _STREAMING_SECONDS
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            while ("streaming",) not in (found := connection.execute(states, [name]).fetchall()):
                if time.monotonic() > deadline:
                    raise PostgresFailed(f"the replica {name} does not stream: {found}")
                time.sleep(0.005)

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(statement)


def _identifier(name: str) -> sql.Identifier:
    if not name or len(name.encode()) > NAME_BYTES:
        raise InvalidInput("database", name, f"a name has 1 to {NAME_BYTES} bytes")
    return sql.Identifier(name)


def _configuration(settings: Settings) -> str:
    """Lines of postgresql.conf; the last line of a name counts there."""
    lines = []
    for name, value in settings.items():
        if not _SETTING.fullmatch(name):
            raise InvalidInput(f"settings.{name}", value, "a setting is called like `work_mem`")
        if name.lower() in _DECIDED_HERE:
            raise InvalidInput(f"settings.{name}", value, "this is decided here; leave it out")
        text = ("on" if value else "off") if isinstance(value, bool) else str(value)
        if "\n" in text or "\0" in text:
            raise InvalidInput(f"settings.{name}", value, "a value is one line")
        lines.append("{} = '{}'\n".format(name, text.replace("\\", "\\\\").replace("'", "''")))
    return "".join(["\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n", *lines])
