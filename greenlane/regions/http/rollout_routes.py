"""The routes of the HTTP API that are about rollouts through several Regions."""

from typing import Any

from greenlane.deployments.declaring.config import SERVICE_NAME_PATTERN
from greenlane.http.idempotency import IdempotencyHeader
from greenlane.http.listing import EventsQuery
from greenlane.http.replies import ok, problem
from greenlane.http.rooms import KEY_REUSED, REFUSED, Room, begun
from greenlane.http.routes import Route
from greenlane.regions.coordinating.requesting import BegunRollout
from greenlane.regions.http.rollout_shapes import (
    CloseRollout,
    RolloutHistory,
    RolloutList,
    RolloutsQuery,
    RolloutView,
    StartRollout,
    Wish,
    WishTaken,
)

FUNCTION = "manage_rollouts"

_NONE = {404: problem("The service never had a rollout here.")}
_BEGUN = begun("It began.", BegunRollout)
_TAKEN = ok("It is asked, and heeded within minutes.", WishTaken)

_START = (
    "The plan is made anew, by the windows and freezes of now. In the home Region of the "
    "coordinator; it reaches the others. Refused while another rollout of the service is under "
    "way, and for a version that went back before."
)
_ROLLBACK = (
    "While it runs, or after it. Windows and freezes hold up nothing, and other versions are not "
    "touched."
)


_ROOM = Room(
    FUNCTION,
    "Rollouts",
    prefix="/v1/rollouts",
    segments={
        "service": {
            "type": "string",
            "pattern": SERVICE_NAME_PATTERN,
            "examples": ["claude-manager"],
        }
    },
)


def _wish(path: str, name: str, about: str, **more: Any) -> Route:
    given: dict[str, Any] = {"body": Wish, "body_optional": True, **more}
    return _ROOM.route("POST", f"/{{service}}/{path}", name, about, _TAKEN, _NONE, REFUSED, **given)


ROUTES = (
    _ROOM.route(
        "GET",
        "",
        "listRollouts",
        "The latest rollout of each service.",
        ok("A part of them.", RolloutList),
        parameters=RolloutsQuery,
    ),
    _ROOM.route(
        "POST",
        "",
        "startRollout",
        "Take a version through several Regions, wave by wave.",
        _BEGUN,
        REFUSED,
        KEY_REUSED,
        details=_START,
        headers=IdempotencyHeader,
        body=StartRollout,
    ),
    _ROOM.route(
        "GET",
        "/{service}",
        "getRollout",
        "Where a service's latest rollout stands, Region by Region.",
        ok("The rollout.", RolloutView),
        _NONE,
    ),
    _ROOM.route(
        "GET",
        "/{service}/history",
        "rolloutHistory",
        "What happened in a service's latest rollout, oldest first.",
        ok("A part of it.", RolloutHistory),
        _NONE,
        parameters=EventsQuery,
    ),
    _wish(
        "hold",
        "holdRollout",
        "Start no further Region.",
        details="Those under way go on, and go back if they fail.",
    ),
    _wish("resume", "resumeRollout", "Let a rollout go on that is held."),
    _wish(
        "rollback",
        "rollBackRollout",
        "Take every touched Region back to the version it had.",
        details=_ROLLBACK,
    ),
    _wish(
        "close",
        "closeRollout",
        "End the attempts to take back the Regions that did not go back.",
        body=CloseRollout,
        body_optional=False,
    ),
)
