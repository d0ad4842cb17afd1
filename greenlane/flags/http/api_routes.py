"""The routes of the HTTP API that are about feature flags."""

from collections.abc import Mapping
from typing import Any

from greenlane.flags.definitions.model import FLAG_KEY
from greenlane.flags.http import ofrep_shapes as ofrep
from greenlane.flags.http.api_models import (
    LONGEST_ID,
    AuditPage,
    AuditQuery,
    ChangeFlag,
    ChangeView,
    Deciding,
    FlagList,
    FlagView,
    IfMatch,
    Preconditions,
    ProposalList,
    ProposalQuery,
    PutFlag,
    RampQuery,
    Reason,
    ReasonQuery,
    StartRamp,
)
from greenlane.http.replies import GATEWAY_FAILED, REFUSED_KEY, THROTTLED, ok, problem
from greenlane.http.rooms import MOVED, Room
from greenlane.http.routes import Method, Reply, Route

LOOK_UP, MANAGE = "look_up_flags", "manage_flags"

_ETAG = {"ETag": "The flag's revision, for `If-Match`."}

_UNREADABLE = Reply(
    "There is no snapshot of the flags: the code's defaults count.",
    ofrep.BULK_FAILURE,
    headers={"Retry-After": "Whole seconds to wait."},
)


def _too_long(shape: Mapping[str, Any]) -> Reply:
    return Reply("The body is longer than 64 KiB.", shape)


_FLAGS = Room(
    MANAGE,
    "Flags",
    segments={
        "key": {"type": "string", "pattern": FLAG_KEY, "examples": ["new_checkout"]},
        "id": {"type": "string", "minLength": 1, "maxLength": LONGEST_ID},
    },
)


_NO_FLAG = {404: problem("There is no such flag.")}
_NO_PROPOSAL = {404: problem("There is no such proposal.")}
_CONFLICT = {409: problem("Somebody else changed it in between, or it is refused as things are.")}
_CHANGED = {
    **ok("What came of it.", ChangeView),
    202: Reply("Nothing changed yet: the change waits for a second person.", ChangeView),
}


def _flag(method: Method, path: str, name: str, about: str, *replies: Any, **more: Any) -> Route:
    return _FLAGS.route(method, f"/flags/{{key}}{path}", name, about, *replies, **more)


_KILL = (
    "Off for everybody, groups included, and its ramp is stopped. It is never held up by "
    "approvals, and applying a file does not undo it: only enabling does."
)

_TESTS = (
    "A key that is no flag's may be an A/B test's name: then the value is the name of a variant. "
    "To look a variant up does not say that the user saw it, see `/v1/exposures`."
)

LOOKUPS = (
    Route(
        "POST",
        "/ofrep/v1/evaluate/flags/{key+}",
        "evaluateFlag",
        "What one flag is for a user.",
        LOOK_UP,
        "api_key",
        {
            200: Reply("The flag.", ofrep.FLAG),
            400: Reply("The request is wrong, or the flag cannot be told.", ofrep.FAILURE),
            403: REFUSED_KEY,
            404: Reply("There is no such flag.", ofrep.NOT_FOUND),
            413: _too_long(ofrep.FAILURE),
            429: THROTTLED,
            **GATEWAY_FAILED,
            503: _UNREADABLE,
        },
        details=_TESTS,
        tag="Lookups",
        path_parameters={"key": ofrep.KEY},
        parameters=None,
        body=ofrep.REQUEST,
        public=True,
    ),
    Route(
        "POST",
        "/ofrep/v1/evaluate/flags",
        "evaluateFlags",
        "What every flag is for a user.",
        LOOK_UP,
        "api_key",
        {
            200: Reply(
                "All flags.", ofrep.BULK, headers={"ETag": "Covers the flags and the context."}
            ),
            304: Reply(
                "As `If-None-Match` has it.", headers={"ETag": "Covers the flags and the context."}
            ),
            400: Reply("The request is wrong.", ofrep.BULK_FAILURE),
            403: REFUSED_KEY,
            413: _too_long(ofrep.BULK_FAILURE),
            429: THROTTLED,
            **GATEWAY_FAILED,
            503: _UNREADABLE,
        },
        details=_TESTS,
        tag="Lookups",
        body=ofrep.REQUEST,
        public=True,
    ),
)

ADMIN = (
    _FLAGS.route("GET", "/flags", "listFlags", "All flags.", ok("All flags.", FlagList)),
    _flag("GET", "", "getFlag", "One flag.", ok("The flag.", FlagView, **_ETAG), _NO_FLAG),
    _flag(
        "PUT",
        "",
        "putFlag",
        "Put a flag as a whole.",
        _CHANGED,
        _CONFLICT,
        MOVED,
        headers=Preconditions,
        body=PutFlag,
    ),
    _flag(
        "PATCH",
        "",
        "changeFlag",
        "Change some keys of a flag, everywhere or in one environment.",
        _CHANGED,
        _NO_FLAG,
        _CONFLICT,
        MOVED,
        headers=IfMatch,
        body=ChangeFlag,
    ),
    _flag(
        "DELETE",
        "",
        "deleteFlag",
        "Take a flag out.",
        _CHANGED,
        _NO_FLAG,
        _CONFLICT,
        MOVED,
        headers=IfMatch,
        parameters=ReasonQuery,
    ),
    _flag(
        "POST",
        "/enable",
        "enableFlag",
        "Switch a flag on, in one environment or everywhere.",
        _CHANGED,
        _NO_FLAG,
        _CONFLICT,
        MOVED,
        headers=IfMatch,
        body=Deciding,
        body_optional=True,
    ),
    _flag(
        "POST",
        "/disable",
        "disableFlag",
        "Switch a flag off, in one environment or everywhere: the kill switch.",
        _CHANGED,
        _NO_FLAG,
        _CONFLICT,
        details=_KILL,
        body=Deciding,
        body_optional=True,
    ),
    _flag(
        "POST",
        "/ramp",
        "startRamp",
        "Begin a rollout in steps.",
        _CHANGED,
        _NO_FLAG,
        _CONFLICT,
        MOVED,
        headers=IfMatch,
        body=StartRamp,
    ),
    _flag(
        "DELETE",
        "/ramp",
        "stopRamp",
        "Stop a rollout where it is.",
        _CHANGED,
        _NO_FLAG,
        _CONFLICT,
        parameters=RampQuery,
    ),
    _flag(
        "GET",
        "/audit",
        "auditFlag",
        "Who changed a flag, when and why; newest first.",
        ok("A part of it.", AuditPage),
        details="Also of a flag that is gone.",
        parameters=AuditQuery,
    ),
    _FLAGS.route(
        "GET",
        "/flag-audit",
        "auditFlags",
        "Who changed which flag, when and why; newest first.",
        ok("A part of it.", AuditPage),
        parameters=AuditQuery,
    ),
    _FLAGS.route(
        "GET",
        "/flag-proposals",
        "listProposals",
        "Changes that wait for a second person, and those decided; newest first.",
        ok("A part of them.", ProposalList),
        parameters=ProposalQuery,
    ),
    _FLAGS.route(
        "POST",
        "/flag-proposals/{id}/approve",
        "approveProposal",
        "Carry out what somebody else has proposed.",
        ok("What came of it.", ChangeView),
        _NO_PROPOSAL,
        _CONFLICT,
        body=Reason,
        body_optional=True,
    ),
    _FLAGS.route(
        "POST",
        "/flag-proposals/{id}/reject",
        "rejectProposal",
        "Refuse what was proposed.",
        ok("What came of it.", ChangeView),
        _NO_PROPOSAL,
        _CONFLICT,
        body=Reason,
        body_optional=True,
    ),
    Room(MANAGE, "Flags", prefix="", auth="api_key").route(
        "GET",
        "/openapi.json",
        "describe",
        "This document.",
        {200: Reply("OpenAPI 3.1.", {"type": "object"})},
    ),
)

ROUTES = LOOKUPS + ADMIN
