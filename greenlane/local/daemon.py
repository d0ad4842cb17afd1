"""A local cloud that keeps running: `python -m greenlane.local.daemon --directory build/local`.

It runs in the foreground until SIGTERM or Ctrl-C; `start_daemon` puts it into the background. A
lock that only a living daemon holds tells whether one runs, so a crash leaves no stale state.

In the directory: `state.json` while it is ready, `daemon.log`, and under `cloud` what the cloud
itself writes (`calls.jsonl`, `logs/<function>.log`).
"""

import argparse
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType

from pydantic import BaseModel, ConfigDict

import greenlane
from greenlane.local.cloud import LocalCloud
from greenlane.local.errors import LocalCloudError
from greenlane.local.stage import ASSEMBLY, check_sources, set_stage

STATE_FILE = "state.json"
LOG_FILE = "daemon.log"
_LOCK_FILE = "lock"
_START_SECONDS = 120.0
_STOP_SECONDS = 30.0
_LOOK_SECONDS = 0.05
_log = logging.getLogger("greenlane.local")


class DaemonState(BaseModel):
    """A daemon that is ready.

    `origin` and `time_scale` make its clock: `ScaledClock(origin, time_scale)`. `balancers` are
    the load balancers' listeners by name and port, `{"claude-manager": {80: "http://..."}}`, `apis`
    the stages of REST APIs by name, `{"greenlane": {"production": "http://..."}}`.
    """

    model_config = ConfigDict(frozen=True)

    pid: int
    endpoint_url: str
    region: str
    origin: datetime
    time_scale: float
    balancers: dict[str, dict[int, str]]
    apis: dict[str, dict[str, str]] = {}


def start_daemon(
    directory: Path | str,
    *,
    time_scale: float = 60,
    sample: bool = True,
    assembly: Path | str = ASSEMBLY,
) -> DaemonState:
    """Start a daemon in the background and wait until it is ready.

    Args:
        directory: where its state, its log and its cloud go.
        time_scale: virtual seconds for each real second.
        sample: deploy the templates of `assembly` and bring the sample service up.
        assembly: the synthesized templates.

    Raises:
        InvalidInput: the templates or the sample's configuration are not there.
        LocalCloudError: one runs there already, or it did not come up (with the log's end).
    """
    if sample:
        check_sources(Path(assembly))
    directory = Path(directory).resolve()
    if (running := read_state(directory)) is not None:
        raise LocalCloudError(
            f"a local cloud runs in {directory} already (process {running.pid}): end it first"
        )
    directory.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "greenlane.local.daemon", "--directory", str(directory)]
    command += ["--time-scale", str(time_scale), "--assembly", str(assembly)]
    command += [] if sample else ["--bare"]
    root = str(Path(greenlane.__file__).resolve().parent.parent)
    with (directory / LOG_FILE).open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": root},
            start_new_session=True,
        )
    try:
        state = _await_ready(directory, process)
    except BaseException:
        process.terminate()
        process.wait(_STOP_SECONDS)
        raise
    # It outlives this process on purpose: nobody here waits for it any more.
    process.returncode = 0
    return state


def _await_ready(directory: Path, process: "subprocess.Popen[bytes]") -> DaemonState:
    deadline = time.monotonic() + _START_SECONDS
    while (state := read_state(directory)) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            end = (directory / LOG_FILE).read_text(errors="replace")[-2000:]
            raise LocalCloudError(f"the local cloud did not come up:\n{end}")
        time.sleep(_LOOK_SECONDS)
    return state


def stop_daemon(directory: Path | str) -> bool:
    """End the daemon of a directory and wait until everything of it is gone.

    Returns:
        Whether one ran.

    Raises:
        LocalCloudError: it does not end.
    """
    directory = Path(directory).resolve()
    state = read_state(directory)
    if state is None:
        return False
    os.kill(state.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while _is_locked(directory):
        if time.monotonic() > deadline:
            raise LocalCloudError(f"the local cloud (process {state.pid}) does not end")
        time.sleep(_LOOK_SECONDS)
    return True


def read_state(directory: Path | str) -> DaemonState | None:
    """The daemon that is ready in a directory, or None."""
    directory = Path(directory)
    if not _is_locked(directory):
        return None
    try:
        return DaemonState.model_validate_json((directory / STATE_FILE).read_text())
    except FileNotFoundError:
        return None


def _is_locked(directory: Path) -> bool:
    path = directory / _LOCK_FILE
    if not path.exists():
        return False
    with path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock, and have no state file but one's own."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / _LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalCloudError(f"a local cloud runs in {directory} already") from error
        state = directory / STATE_FILE
        state.unlink(missing_ok=True)
        try:
            yield
        finally:
            state.unlink(missing_ok=True)


def serve(directory: Path, time_scale: float, assembly: Path | None) -> None:
    """Run a cloud until SIGTERM or SIGINT.

    Args:
        directory: see the module.
        time_scale: virtual seconds for each real second.
        assembly: the templates of the sample; None for an empty account.
    """
    ended, ready = threading.Event(), threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, signal.SIG_IGN)
        ended.set()
        if not ready.is_set():
            raise SystemExit("ended while starting")

    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, end)
    with _locked(directory), LocalCloud(directory / "cloud", time_scale) as cloud:
        if assembly is not None:
            set_stage(cloud, assembly=assembly)
        state = DaemonState(
            pid=os.getpid(),
            endpoint_url=cloud.endpoint_url,
            region=cloud.region,
            origin=cloud.clock.origin,
            time_scale=cloud.clock.scale,
            balancers=_balancers(cloud),
            apis=cloud.gateway.urls(),
        )
        partial = directory / f"{STATE_FILE}.partial"
        partial.write_text(state.model_dump_json(indent=2))
        partial.replace(directory / STATE_FILE)
        ready.set()
        _log.info("ready at %s", cloud.endpoint_url)
        ended.wait()
        _log.info("ending")


def _balancers(cloud: LocalCloud) -> dict[str, dict[int, str]]:
    elb = cloud.client("elbv2")
    found: dict[str, dict[int, str]] = {}
    for balancer in elb.describe_load_balancers()["LoadBalancers"]:
        name = balancer["LoadBalancerName"]
        listeners = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])
        ports = [listener["Port"] for listener in listeners["Listeners"]]
        found[name] = {port: cloud.parts["elb"].url(name, port) for port in ports}
    return found


def main() -> None:
    """Run a daemon in the foreground."""
    parser = argparse.ArgumentParser(prog="python -m greenlane.local.daemon")
    parser.add_argument("--directory", type=Path, default=Path("build/local"))
    parser.add_argument("--time-scale", type=float, default=60)
    parser.add_argument("--assembly", type=Path, default=ASSEMBLY)
    parser.add_argument("--bare", action="store_true", help="deploy nothing")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    _log.setLevel(logging.INFO)
    try:
        serve(given.directory.resolve(), given.time_scale, None if given.bare else given.assembly)
    except LocalCloudError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
