"""One Region's process: `python -m greenlane.local.regions.region_process SETTINGS`.

SETTINGS is `Settings` as JSON. It says over the socket that it inherits where it is, and runs until
that socket is closed, so it never outlives the world. Everything else is told over HTTP, below
`neighbours.PREFIX`.
"""

import json
import logging
import socket
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from greenlane.local.cloud import WORKLOAD_PARTS, LocalCloud
from greenlane.local.journal import Request
from greenlane.local.regions.neighbours import PREFIX, Cut, Neighbours
from greenlane.local.regions.replication import Change, Replica, Replication
from greenlane.local.server import HttpReply
from greenlane.local.stage import set_stage


class _Told(BaseModel):
    """What a Region is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Settings(_Told):
    """What a Region begins with; see `LocalWorld` for most.

    Args:
        channel: the number of an inherited socket.
        origin: of the virtual clock, with the Region's offset.
    """

    channel: int
    region: str
    directory: Path
    time_scale: float
    origin: datetime
    lag_seconds: float
    seed: int
    parts: tuple[str, ...] = WORKLOAD_PARTS


class Lines(_Told):
    """The lines of a Region: which are cut, and the lag of replication over all."""

    cut: dict[str, Cut]
    lag_seconds: float


class Met(_Told):
    """Where the endpoints of all Regions are."""

    addresses: dict[str, str]


class StageAsked(_Told):
    """Bring the sample up; see `set_stage`."""

    assembly: Path
    configuration: Path
    behaviour: str
    version: str


class EventSent(_Told):
    """An event for a bus of this Region."""

    bus: str
    event: dict[str, Any]


class RegionProcess:
    """A cloud that knows of the other Regions.

    Args:
        cloud: it runs.
        lag_seconds: of replication.
    """

    def __init__(self, cloud: LocalCloud, lag_seconds: float) -> None:
        """See the class."""
        self._cloud = cloud
        self._neighbours = Neighbours(cloud.region)
        self._replication = Replication(cloud, self._neighbours, lag_seconds)
        self._told: dict[str, Callable[[bytes], Any]] = {
            "neighbours": lambda body: self._meet(Met.model_validate_json(body)),
            "lines": lambda body: self._lines(Lines.model_validate_json(body)),
            "stage": lambda body: self._stage(StageAsked.model_validate_json(body)),
            "events": lambda body: self._event(EventSent.model_validate_json(body)),
            "changes": lambda body: self._replication.apply(
                [Change.model_validate(one) for one in json.loads(body)]
            ),
            "replicas": lambda body: self._replication.join(Replica.model_validate_json(body)),
        }

    def __enter__(self) -> Self:
        """Begin to hand requests on, and to be told things."""
        # First of all: what is for another Region is no business of the other hooks.
        self._cloud.server.before.insert(0, self._neighbours.hand_on)
        self._cloud.server.routes[PREFIX] = self._answer
        self._cloud.parts["events"].abroad = self._neighbours.send_event
        self._replication.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the other Regions."""
        self._neighbours.close()
        self._replication.stop()

    def _answer(self, request: Request) -> HttpReply:
        try:
            said = self._told[request.path.removeprefix(PREFIX)](request.body)
        except Exception as error:
            # To whoever asked, in the other process: it says what went wrong.
            logging.getLogger(__name__).exception("could not do %s", request.path)
            return HttpReply(500, body=f"{type(error).__name__}: {error}".encode())
        headers = [("Content-Type", "application/json")]
        return HttpReply(200, headers, json.dumps(said).encode())

    def _meet(self, met: Met) -> None:
        self._neighbours.meet(met.addresses)
        self._replication.connect()

    def _lines(self, lines: Lines) -> None:
        self._neighbours.cut(lines.cut)
        self._replication.set_lag(lines.lag_seconds)

    def _stage(self, asked: StageAsked) -> dict[str, Any]:
        stage = set_stage(
            self._cloud,
            assembly=asked.assembly,
            configuration=asked.configuration,
            behaviour=asked.behaviour,
            version=asked.version,
        )
        return {"url": stage.url, "workload": stage.workload.model_dump(mode="json")}

    def _event(self, sent: EventSent) -> None:
        self._cloud.parts["events"].receive(sent.bus, sent.event)


def main() -> None:
    """Run a Region until the world closes the socket."""
    settings = Settings.model_validate_json(sys.argv[1])
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    # The interpreter reports every caught error of a workflow; the history tells it better.
    logging.getLogger("moto").setLevel(logging.CRITICAL)
    channel = socket.socket(fileno=settings.channel)
    cloud = LocalCloud(
        settings.directory,
        settings.time_scale,
        region=settings.region,
        seed=settings.seed,
        parts=settings.parts,
        origin=settings.origin,
    )
    with cloud, RegionProcess(cloud, settings.lag_seconds):
        channel.sendall(json.dumps({"endpoint_url": cloud.endpoint_url}).encode() + b"\n")
        channel.recv(1)


if __name__ == "__main__":
    main()
