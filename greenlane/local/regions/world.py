"""Several Regions on this machine, and the lines between them.

>>> with LocalWorld("build/world", ("eu-west-1", "us-east-1"), time_scale=30) as world:
...     world.partition("eu-west-1", "us-east-1")
...     world["us-east-1"].client("dynamodb").list_tables()["TableNames"]
[]
"""

import contextlib
import json
import socket
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError

import boto3
from pydantic import BaseModel

from greenlane.clock import ScaledClock
from greenlane.deployments.client import Greenlane
from greenlane.deployments.connection import Connection
from greenlane.deployments.workload import Workload
from greenlane.local import child_process
from greenlane.local.cloud import WORKLOAD_PARTS
from greenlane.local.errors import LocalCloudError
from greenlane.local.images import push_image
from greenlane.local.regions.neighbours import PREFIX, Cut
from greenlane.local.regions.region_process import Lines, Met, Settings, StageAsked
from greenlane.local.stage import CONFIGURATION, FIRST_VERSION

_START_SECONDS = 90.0
_STAGE_SECONDS = 240.0
_STOP_SECONDS = 20.0
_LOG_TAIL = 2000


@dataclass(frozen=True)
class RegionStage:
    """The sample in one Region, live under `url`."""

    greenlane: Greenlane
    workload: Workload
    url: str


class LocalRegion:
    """One Region of a world, as the world's own process sees it."""

    def __init__(self, name: str, directory: Path, clock: ScaledClock) -> None:
        """See the class."""
        self.name, self.directory, self.clock = name, directory, clock
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._session: Any = boto3.Session(
            region_name=name, aws_access_key_id="local", aws_secret_access_key="local"
        )
        self.endpoint_url = ""

    @property
    def connection(self) -> Connection:
        """What the Python API takes."""
        return Connection(self._session, endpoint_url=self.endpoint_url, clock=self.clock)

    def client(self, service: str, **arguments: Any) -> Any:
        """A boto3 client of a person who asks this Region's endpoint.

        `arguments` go to boto3; with another `region_name` the call passes through this Region,
        as a function's would.
        """
        return self._session.client(service, endpoint_url=self.endpoint_url, **arguments)

    def push(self, workload: Workload, version: str, behaviour: str) -> str:
        """Push a version that behaves so here; its digest."""
        return push_image(self.client("ecr"), workload.repository, version, behaviour)

    def calls(self) -> Iterator[dict[str, Any]]:
        """Every call of the AWS API so far, as `ApiCall` has it; those of other Regions too."""
        with (self.directory / "cloud" / "calls.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield json.loads(line)

    def set_stage(
        self,
        assembly: Path,
        *,
        configuration: Path = CONFIGURATION,
        behaviour: str = "good",
        version: str = FIRST_VERSION,
    ) -> RegionStage:
        """Deploy templates that were synthesized for this Region, and bring the sample up.

        Args:
            assembly: where they are.
            configuration: of the service.
            behaviour: of the first version.
            version: what the first version is called.

        Raises:
            LocalCloudError: it could not be done, and why.
        """
        asked = StageAsked(
            assembly=assembly.resolve(),
            configuration=configuration.resolve(),
            behaviour=behaviour,
            version=version,
        )
        said = self.tell("stage", asked, seconds=_STAGE_SECONDS)
        greenlane = Greenlane.connect(
            region=self.name,
            endpoint_url=self.endpoint_url,
            clock=self.clock,
            credentials=("local", "local"),
        )
        return RegionStage(greenlane, Workload.model_validate(said["workload"]), said["url"])

    def tell(self, what: str, body: BaseModel, *, seconds: float = 30.0) -> Any:
        """Tell the Region's process something.

        Raises:
            LocalCloudError: it could not do that.
        """
        request = urllib.request.Request(
            f"{self.endpoint_url}{PREFIX}{what}", body.model_dump_json().encode(), method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return json.load(answer)
        except HTTPError as error:
            said = error.read().decode(errors="replace")
            raise LocalCloudError(f"{self.name} could not do {what}: {said}") from error
        except OSError as error:
            raise LocalCloudError(f"{self.name} does not answer: {error}{self._log()}") from error

    def begin(self, **settings: Any) -> None:
        """Start the process; `await_ready` says when it is there."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._channel, theirs = socket.socketpair()
        given = Settings(
            channel=theirs.fileno(),
            region=self.name,
            directory=self.directory / "cloud",
            time_scale=self.clock.scale,
            origin=self.clock.origin,
            **settings,
        )
        command = ["python", "-m", "greenlane.local.regions.region_process"]
        with theirs, (self.directory / "region.log").open("wb") as log:
            self._process = child_process.start(
                [*command, given.model_dump_json()], {}, output=log, pass_fds=[theirs.fileno()]
            )

    def await_ready(self) -> None:
        """Wait until its endpoint is there.

        Raises:
            LocalCloudError: it did not come up; the message has the end of its log.
        """
        assert self._channel is not None, "begin comes first"
        self._channel.settimeout(_START_SECONDS)
        try:
            with self._channel.makefile("rb") as lines:
                line = lines.readline()
        except TimeoutError:
            line = b""
        if not line:
            raise LocalCloudError(f"{self.name} did not come up{self._log()}")
        self.endpoint_url = json.loads(line)["endpoint_url"]

    def let_go(self) -> None:
        """Ask the process to end."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def end(self) -> None:
        """Wait until it has ended; it is killed if it does not."""
        self.let_go()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
            child_process.end(self._process, 1.0)
            self._process = None

    def _log(self) -> str:
        path = self.directory / "region.log"
        text = path.read_text(errors="replace")[-_LOG_TAIL:] if path.exists() else ""
        return f":\n{text}" if text else ""


class LocalWorld:
    """Regions side by side; a context manager, or `start` and `stop` by hand.

    Each has an endpoint of its own, with its own balancer, functions, tables and clock. A request
    that is signed for another Region of the world is handed on to it, so the ordinary client of a
    function reaches it by that Region's name.

    Args:
        directory: one folder for each Region goes there.
        regions: their names.
        time_scale: virtual seconds for each real second, of all.
        offsets: virtual seconds by which a Region's clock is fast (or slow, below 0).
        lag_seconds: virtual seconds until a write to a replicated table is seen elsewhere.
        seed: makes what is random repeatable.
        parts: see `LocalCloud`.

    Raises:
        LocalCloudError: clocks cannot differ like that.
    """

    def __init__(
        self,
        directory: Path | str,
        regions: Sequence[str],
        *,
        time_scale: float = 60,
        offsets: Mapping[str, float] | None = None,
        lag_seconds: float = 1.0,
        seed: int = 7,
        parts: tuple[str, ...] = WORKLOAD_PARTS,
    ) -> None:
        """See the class."""
        offsets, origin = offsets or {}, datetime.now(UTC)
        if unknown := set(offsets) - set(regions):
            raise LocalCloudError(f"offsets: {', '.join(sorted(unknown))} is no region of these")
        folder = Path(directory).resolve()
        self.regions = {
            name: LocalRegion(
                name,
                folder / name,
                ScaledClock(_moved(origin, time_scale, offsets, name), time_scale),
            )
            for name in regions
        }
        self.lag_seconds = lag_seconds
        self._seed, self._parts = seed, parts
        self._cut: dict[frozenset[str], Cut] = {}

    def __getitem__(self, region: str) -> LocalRegion:
        """A Region by its name; raises `KeyError` for another one."""
        return self.regions[region]

    def start(self) -> None:
        """Start all Regions.

        Raises:
            LocalCloudError: one did not come up; none is left running.
        """
        try:
            for region in self.regions.values():
                region.begin(lag_seconds=self.lag_seconds, seed=self._seed, parts=self._parts)
            for region in self.regions.values():
                region.await_ready()
            addresses = {name: region.endpoint_url for name, region in self.regions.items()}
            for region in self.regions.values():
                region.tell("neighbours", Met(addresses=addresses))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all Regions; harmless when none runs."""
        for region in self.regions.values():
            region.let_go()
        for region in self.regions.values():
            region.end()

    def partition(self, one: str, other: str, how: Cut = "refuse") -> None:
        """Let nothing pass between two Regions, either way.

        Args:
            one: a Region.
            other: another one.
            how: connections are refused at once, or hang until the partition heals, a minute at
                most.
        """
        self._cut[self._line(one, other)] = how
        self._tell_lines(one, other)

    def isolate(self, region: str, how: Cut = "refuse") -> None:
        """Cut a Region off from all others; people reach it still."""
        for other in self.regions.keys() - {region}:
            self._cut[self._line(region, other)] = how
        self._tell_lines(*self.regions)

    def heal(self, one: str | None = None, other: str | None = None) -> None:
        """Mend the line between two Regions; all lines of one, or of everybody, if left out."""
        wanted = {name for name in (one, other) if name is not None}
        for name in wanted:
            self[name]
        self._cut = {line: how for line, how in self._cut.items() if not wanted <= line}
        self._tell_lines(*self.regions)

    def set_lag(self, seconds: float) -> None:
        """Virtual seconds until a write is seen elsewhere; for those under way, too."""
        self.lag_seconds = seconds
        self._tell_lines(*self.regions)

    def at_once(self, calls: Mapping[str, Any]) -> dict[str, Any]:
        """What functions without arguments give, by name, all called at the same time."""
        with ThreadPoolExecutor(len(calls)) as pool:
            running = {name: pool.submit(call) for name, call in calls.items()}
            return {name: call.result() for name, call in running.items()}

    def _line(self, one: str, other: str) -> frozenset[str]:
        line = frozenset({self[one].name, self[other].name})
        if len(line) != 2:
            raise LocalCloudError(f"{one} has no line to itself: name two regions")
        return line

    def _tell_lines(self, *names: str) -> None:
        for name in names:
            cut = {
                other: how
                for line, how in self._cut.items()
                if name in line
                for other in line - {name}
            }
            self[name].tell("lines", Lines(cut=cut, lag_seconds=self.lag_seconds))

    def __enter__(self) -> Self:
        """Start all Regions."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all Regions."""
        self.stop()


def _moved(origin: datetime, scale: float, offsets: Mapping[str, float], region: str) -> datetime:
    """The origin at which a scaled clock shows what the others show, and its offset besides.

    A clock is a straight line through its origin, where it shows the real instant.
    """
    offset = offsets.get(region, 0.0)
    if not offset:
        return origin
    if scale == 1:
        raise LocalCloudError(f"{region}: clocks differ at a time scale other than 1 only")
    return origin + timedelta(seconds=offset) / (1 - scale)
