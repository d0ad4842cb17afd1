"""The other Regions, as one Region reaches them: over lines that may be cut."""

import json
import threading
from collections.abc import Mapping
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import urllib3

from greenlane.local.journal import Request
from greenlane.local.server import HttpReply

Cut = Literal["refuse", "hang"]
CUTS: tuple[Cut, ...] = get_args(Cut)

PREFIX = "/-/world/"
"""Where Regions talk to each other, and the world to them. No bucket has the name `-`."""

HANG_SECONDS = 60.0
"""Real; after so long a request that hangs loses its connection."""

_CALLER = "x-greenlane-caller"
_PER_HOP = frozenset({"connection", "transfer-encoding", "keep-alive"})

# Signed for us-east-1 wherever the caller is: each Region answers for itself.
_GLOBAL = frozenset({"iam", "route53", "cloudfront", "organizations"})


class Neighbours:
    """Sends requests to other Regions, unless the line to them is cut.

    Args:
        region: the one that this is part of.
    """

    def __init__(self, region: str) -> None:
        """See the class."""
        self._region = region
        self._pools: dict[str, urllib3.HTTPConnectionPool] = {}
        self._cut: dict[str, Cut] = {}
        self._changed = threading.Condition()
        self._closed = False

    @property
    def names(self) -> tuple[str, ...]:
        """The other Regions."""
        return tuple(self._pools)

    def meet(self, addresses: Mapping[str, str]) -> None:
        """Say where the other Regions' endpoints are."""
        self._pools = {
            name: urllib3.HTTPConnectionPool(*_place(url), maxsize=50, retries=False)
            for name, url in addresses.items()
            if name != self._region
        }

    def cut(self, lines: Mapping[str, Cut]) -> None:
        """Cut the lines to these Regions and no others: refuse at once, or hang."""
        with self._changed:
            self._cut = dict(lines)
            self._changed.notify_all()

    def is_cut(self, region: str) -> bool:
        """Whether nothing passes to a Region now."""
        return region in self._cut

    def close(self) -> None:
        """Let go whoever hangs, and close the connections."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for pool in self._pools.values():
            pool.close()

    def hand_on(self, request: Request) -> HttpReply | None:
        """A hook of the server: another Region's answer to a request that is signed for it.

        Raises:
            ConnectionError: the line is cut, or it was cut before the answer had passed.
        """
        if _CALLER in request.headers and request.region == self._region:
            request.caller = request.headers[_CALLER]
        if request.region not in self._pools or request.service in _GLOBAL:
            return None
        target = f"{request.path}?{request.query}" if request.query else request.path
        headers = {
            key: value
            for key, value in request.headers.items()
            if key not in {*_PER_HOP, "content-length"}
        }
        headers[_CALLER] = request.caller
        return self._send(request.region, request.method, target, headers, request.body)

    def tell(self, region: str, what: str, body: Any) -> None:
        """Tell another Region something: JSON, below `PREFIX`.

        Raises:
            ConnectionError: the line is cut, or the Region is gone.
            LookupError: it refuses, with its reason.
        """
        headers = {"content-type": "application/json"}
        reply = self._send(region, "POST", f"{PREFIX}{what}", headers, json.dumps(body).encode())
        if reply.status != 200:
            raise LookupError(f"{region}: {reply.body.decode(errors='replace')}")

    def send_event(self, region: str, bus: str, event: dict[str, Any]) -> None:
        """Put an event of here on a bus there, as it is.

        Raises:
            ConnectionError: the line is cut, or the Region is gone.
            LookupError: there is no such Region, or no such bus in it.
        """
        if region not in self._pools:
            raise LookupError(f"there is no {region} in this world")
        self.tell(region, "events", {"bus": bus, "event": event})

    def _send(
        self, region: str, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> HttpReply:
        self._pass(region)
        try:
            answer = self._pools[region].urlopen(
                method, target, body, dict(headers), redirect=False, decode_content=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionError(f"{region} does not answer: {error}") from error
        # What was done there is done; the answer has the same way to go.
        self._pass(region)
        kept = [
            (key, value) for key, value in answer.headers.items() if key.lower() not in _PER_HOP
        ]
        return HttpReply(answer.status, kept, answer.data)

    def _pass(self, region: str) -> None:
        """Nothing where the line holds; else wait, if it hangs, and fail."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._cut.get(region) != "hang", HANG_SECONDS
            )
            if self._closed or region in self._cut:
                raise ConnectionError(f"the line from {self._region} to {region} is cut")


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), parts.port or 80
