"""Where a local PostgreSQL lives, and as whom it runs.

PostgreSQL refuses to run as root. Root therefore starts it as `postgres`, or else as `nobody`,
through `subprocess`: no user is made, and no mode or owner changes outside of a folder of our own.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenlane.local.errors import PostgresFailed
from greenlane.local.postgres_binaries import VARIABLE, Binaries, version_of

PORT = 5432
"""Of the socket's name; a folder of one's own makes it unique, and nothing listens on TCP."""

SOCKET_PATH_BYTES = 107
"""Linux's limit, unix(7): `sun_path` has 108 bytes, one of them the end."""

TMPFS = Path("/dev/shm")
USERS = ("postgres", "nobody")
_PREFIX = "greenlane-pg-"
_NEEDED_OF_AN_INSTALLATION = ("bin", "lib", "share")


@dataclass(frozen=True)
class Account:
    """As whom the server runs; `name` is None for whoever runs this process."""

    name: str | None = None
    uid: int = -1
    gid: int = -1

    @property
    def called(self) -> str:
        """In messages."""
        return self.name or "this user"

    @property
    def arguments(self) -> dict[str, Any]:
        """For `subprocess`."""
        if self.name is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def may_enter(self, folder: Path) -> bool:
        """Whether this user reaches what is in a folder."""
        done = subprocess.run(
            ["/bin/sh", "-c", 'test -x "$1"', "sh", str(folder)], cwd="/", **self.arguments
        )
        return done.returncode == 0


def server_account() -> Account:
    """This process's user, or for root the first of `USERS` that there is.

    Raises:
        PostgresFailed: this root may not start a process as somebody else.
    """
    if os.geteuid() != 0:
        return Account()
    known = {entry.pw_name: entry for entry in pwd.getpwall() if entry.pw_name in USERS}
    chosen = next((known[name] for name in USERS if name in known), None)
    if chosen is None:
        raise PostgresFailed(
            f"PostgreSQL does not run as root, and here is no user {' or '.join(USERS)}: "
            "run this as an ordinary user"
        )
    account = Account(chosen.pw_name, chosen.pw_uid, chosen.pw_gid)
    try:
        subprocess.run(["/bin/sh", "-c", ":"], check=True, cwd="/", **account.arguments)
    except OSError as error:
        raise PostgresFailed(
            f"PostgreSQL does not run as root, and root may not become {account.name} here "
            f"({error.strerror}): run this as an ordinary user"
        ) from error
    return account


@dataclass(frozen=True)
class Place:
    """The folders of one server.

    Args:
        folder: its data, its socket and its log; nobody but the server's user may enter it.
        on_tmpfs: `folder` is in memory.
        programs: the folder of programs that the server's user can run.
        copied: a folder with a copy of the programs, if one had to be made.
    """

    folder: Path
    on_tmpfs: bool
    programs: Path
    copied: Path | None

    @property
    def data(self) -> Path:
        """The server's data directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server and the programs that made it said."""
        return self.folder / "postgres.log"

    def remove(self) -> None:
        """Delete everything; harmless when repeated."""
        for folder in (self.folder, self.copied):
            if folder is not None and folder.exists():
                shutil.rmtree(folder)


def make_place(
    account: Account,
    binaries: Binaries,
    *,
    tmpfs_bytes: int | None = None,
    programs: Path | None = None,
) -> Place:
    """Make the empty folders of a server.

    Args:
        account: who will run it.
        binaries: what it will run; `copy_programs` follows if `copied` is given.
        tmpfs_bytes: use memory if that much is free there; None for never.
        programs: a folder of programs that this user is known to be able to run.

    Raises:
        PostgresFailed: no temporary folder that the server's user can use.
    """
    temporary = _temporary(account)
    copied = None
    if programs is None:
        programs = binaries.folder
        if version_of(programs, **account.arguments) is None:
            copied = _new_folder(temporary, account)
            programs = copied / programs.relative_to(_around(binaries))
    on_tmpfs = tmpfs_bytes is not None and _has_room(account, tmpfs_bytes)
    folder = _new_folder(TMPFS if on_tmpfs else temporary, account)
    return Place(folder, on_tmpfs, programs, copied)


def copy_programs(place: Place, account: Account, binaries: Binaries) -> None:
    """Copy an installation to `place.copied`, if there is such a folder, for the server's user.

    PostgreSQL finds its other files relative to its programs, and a wheel's libraries are in
    `<package>.libs` beside the package, so what is copied keeps its place to each other.

    Raises:
        PostgresFailed: it cannot be copied, or does not run there.
    """
    if (target := place.copied) is None:
        return
    installation = binaries.folder.parent
    package = installation.parent
    parts = [installation / name for name in _NEEDED_OF_AN_INSTALLATION]
    libraries = package.with_name(f"{package.name}.libs")
    try:
        for part in [*parts, *([libraries] if libraries.is_dir() else [])]:
            copy = target / part.relative_to(_around(binaries))
            shutil.copytree(part, copy, symlinks=True, ignore=shutil.ignore_patterns("*.a"))
        _open_to_all(target, account)
    except OSError as error:
        raise PostgresFailed(
            f"{account.called} cannot run {binaries.folder}, and it cannot be copied ({error}): "
            f"let {VARIABLE} name programs that {account.called} can run"
        ) from error
    if version_of(place.programs, **account.arguments) is None:
        raise PostgresFailed(
            f"{account.called} can run neither {binaries.folder} nor a copy of it in "
            f"{target.parent}: let {VARIABLE} name programs that it can run"
        )


def _around(binaries: Binaries) -> Path:
    """The folder of the package of an installation: `site-packages` of a wheel."""
    return binaries.folder.parent.parent.parent


def _new_folder(base: Path, account: Account) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    os.chown(folder, account.uid, account.gid)
    return folder


def _has_room(account: Account, needed_bytes: int) -> bool:
    if not TMPFS.is_dir() or not account.may_enter(TMPFS):
        return False
    return shutil.disk_usage(TMPFS).free >= needed_bytes


def _temporary(account: Account) -> Path:
    """The first temporary folder that the user may enter and that leaves a socket's path short."""
    choices = [Path(tempfile.gettempdir()).absolute(), Path("/tmp"), Path("/var/tmp")]
    for choice in choices:
        socket = choice / f"{_PREFIX}12345678" / f".s.PGSQL.{PORT}"
        short = len(os.fsencode(socket)) <= SOCKET_PATH_BYTES
        if short and os.access(choice, os.W_OK) and account.may_enter(choice):
            return choice
    raise PostgresFailed(
        f"no temporary folder with a short path that {account.called} may enter, out of "
        f"{', '.join(map(str, choices))}: let TMPDIR name one"
    )


def _open_to_all(copied: Path, account: Account) -> None:
    """Let everybody run our copy, whatever the original's modes are, and its user delete it."""
    for path in (copied, *copied.rglob("*")):
        if path.is_symlink():
            continue
        if path.is_dir():
            path.chmod(0o755)
            os.chown(path, account.uid, account.gid)
        else:
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
