"""What people and pipelines do with feature flags over HTTP; `keeping` has what it means.

Who is asking is the IAM principal whose signature API Gateway checked. A flag's ETag is its
revision: `If-Match` makes a change only if the flag is as it was seen, `If-None-Match: *` puts
one only if there is none.
"""

import os
import re
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from greenlane import __version__, aws
from greenlane.clock import Clock, current_clock
from greenlane.errors import InvalidInput, PreconditionFailed, UnknownProposal
from greenlane.experiments.namesakes import Names, check_new_flags, names_of_tests
from greenlane.flags.definitions.model import FLAG_KEY
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
from greenlane.flags.http.api_routes import ADMIN
from greenlane.flags.storing.keeping import (
    approve,
    delete,
    disable,
    enable,
    put_flag,
    reject,
    set_keys,
    start_ramp,
    stop_ramp,
)
from greenlane.flags.storing.state import StoredFlags
from greenlane.flags.storing.store import Changed, DynamoFlagStore, Edit, FlagStore
from greenlane.flags.storing.submitting import Kept, flag_in
from greenlane.http.all_routes import ROUTES, routes_of
from greenlane.http.fitting import that_fit
from greenlane.http.openapi import document
from greenlane.http.rest import Handler, Request, Response, respond
from greenlane.http.rooms import NoQuery
from greenlane.http.routes import Route
from greenlane.logs import logger


class FlagsApi:
    """The handlers of the routes, by the names of their operations.

    Args:
        store: where flags are kept.
        clock: tells when something is changed.
        tests: reads the names of all A/B tests, which new flags may not have.
    """

    def __init__(self, store: FlagStore, clock: Clock, tests: Names = tuple) -> None:
        """See the class."""
        self.store, self.clock, self._tests = store, clock, tests
        self.handlers: Mapping[str, Handler] = {
            "listFlags": self.list,
            "getFlag": self.get,
            "putFlag": self.put,
            "changeFlag": self.change,
            "deleteFlag": self.delete,
            "enableFlag": self.enable,
            "disableFlag": self.disable,
            "startRamp": self.start_ramp,
            "stopRamp": self.stop_ramp,
            "auditFlag": self.audit_one,
            "auditFlags": self.audit_all,
            "listProposals": self.proposals,
            "approveProposal": self.approve,
            "rejectProposal": self.reject,
            "describe": self.describe,
        }

    @classmethod
    def from_environment(cls) -> "FlagsApi":
        """As its template has it: `FLAGS_TABLE`, `EXPERIMENTS_TABLE`, `FLAGS_ENVIRONMENTS`.

        Raises:
            KeyError: the template did not set a table.
        """
        names = os.environ.get("FLAGS_ENVIRONMENTS", "")
        client = aws.client("dynamodb", read_timeout_seconds=5.0, attempts=3)
        store = DynamoFlagStore(
            client,
            os.environ["FLAGS_TABLE"],
            environments=tuple(name for name in names.split(",") if name),
        )
        tests = partial(names_of_tests, client, os.environ["EXPERIMENTS_TABLE"])
        return cls(store, current_clock(), tests)

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """One request, as API Gateway sends it, to its answer."""
        return respond(event, ADMIN, self.handlers)

    def list(self, request: Request) -> Response:
        """All flags."""
        request.parameters(NoQuery)
        flags = self.store.read()
        views = tuple(FlagView.of(key, one, flags) for key, one in sorted(flags.flags.items()))
        content = FlagList(version=flags.version, environments=flags.environments, flags=views)
        return Response(content=content)

    def get(self, request: Request) -> Response:
        """One flag, with its revision as ETag."""
        request.parameters(NoQuery)
        key, flags = _key(request), self.store.read()
        stored = flag_in(flags, key)
        return Response(
            content=FlagView.of(key, stored, flags), headers={"etag": f'"{stored.revision}"'}
        )

    def put(self, request: Request) -> Response:
        """Put a whole flag."""
        request.parameters(NoQuery)
        body, key = request.json(PutFlag), _key(request)
        store = self._if(key, request.conditions(Preconditions))
        check_new_flags([key], self.store.read().flags, self._tests, logger.warning)
        return _told(put_flag(store, key, body.flag, **self._who(request, body.reason)), key)

    def change(self, request: Request) -> Response:
        """Change some keys of a flag."""
        request.parameters(NoQuery)
        body, key = request.json(ChangeFlag), _key(request)
        store = self._if(key, request.conditions(IfMatch))
        who = self._who(request, body.reason)
        kept = set_keys(store, key, body.changes, environment=body.environment, **who)
        return _told(kept, key)

    def delete(self, request: Request) -> Response:
        """Take a flag out."""
        asked, key = request.parameters(ReasonQuery), _key(request)
        store = self._if(key, request.conditions(IfMatch))
        return _told(delete(store, [key], **self._who(request, asked.reason)), key)

    def enable(self, request: Request) -> Response:
        """Switch a flag on."""
        request.parameters(NoQuery)
        body, key = request.json(Deciding, optional=True), _key(request)
        store = self._if(key, request.conditions(IfMatch))
        who = self._who(request, body.reason)
        return _told(enable(store, key, body.environment, **who), key)

    def disable(self, request: Request) -> Response:
        """Switch a flag off."""
        request.parameters(NoQuery)
        body, key = request.json(Deciding, optional=True), _key(request)
        who = self._who(request, body.reason)
        return _told(disable(self.store, key, body.environment, **who), key)

    def start_ramp(self, request: Request) -> Response:
        """Begin a rollout in steps."""
        request.parameters(NoQuery)
        body, key = request.json(StartRamp), _key(request)
        kept = start_ramp(
            self._if(key, request.conditions(IfMatch)),
            key,
            body.environment,
            body.target,
            body.increment,
            body.interval,
            **self._who(request, body.reason),
        )
        return _told(kept, key)

    def stop_ramp(self, request: Request) -> Response:
        """Stop a rollout."""
        asked, key = request.parameters(RampQuery), _key(request)
        who = self._who(request, asked.reason)
        return _told(stop_ramp(self.store, key, asked.environment, **who), key)

    def audit_one(self, request: Request) -> Response:
        """What was changed of one flag."""
        return self._audit(request.parameters(AuditQuery), _key(request))

    def audit_all(self, request: Request) -> Response:
        """What was changed."""
        return self._audit(request.parameters(AuditQuery), None)

    def _audit(self, asked: AuditQuery, key: str | None) -> Response:
        found = self.store.audit(key, before=asked.before, limit=asked.limit + 1)
        page = that_fit(found[: asked.limit])
        more = page[-1].version if len(found) > len(page) else None
        return Response(content=AuditPage(entries=page, next=more))

    def proposals(self, request: Request) -> Response:
        """Changes that wait, and those decided."""
        asked = request.parameters(ProposalQuery)
        found = self.store.proposals(asked.status, asked.before, asked.limit + 1)
        page = that_fit(found[: asked.limit])
        more = page[-1].id if len(found) > len(page) else None
        return Response(content=ProposalList(proposals=page, next=more))

    def approve(self, request: Request) -> Response:
        """Carry out what somebody else has proposed."""
        request.parameters(NoQuery)
        body = request.json(Reason, optional=True)
        who = self._who(request, body.reason)
        return _told(approve(self.store, _id(request), **who), None, decided=True)

    def reject(self, request: Request) -> Response:
        """Refuse what was proposed."""
        request.parameters(NoQuery)
        body = request.json(Reason, optional=True)
        who = self._who(request, body.reason)
        proposal = reject(self.store, _id(request), **who)
        kept = Kept(version=self.store.read().version, proposal=proposal)
        return _told(kept, None, decided=True)

    def describe(self, request: Request) -> Response:
        """The document of the whole API."""
        request.parameters(NoQuery)
        content = document(_deployed(), server=request.url, version=__version__)
        return Response(content=content)

    def _who(self, request: Request, reason: str) -> dict[str, Any]:
        return {"by": request.by, "reason": reason, "at": self.clock.now()}

    def _if(self, key: str, asked: IfMatch) -> FlagStore:
        """The store as it is for a change that has preconditions."""
        absent = isinstance(asked, Preconditions) and asked.if_none_match == "*"
        if asked.if_match is None and not absent:
            return self.store
        return cast(FlagStore, _Conditional(self.store, key, asked.if_match, absent))


class _Conditional:
    """A store that is changed only if a flag is as it was seen; else it is the store itself."""

    def __init__(self, store: FlagStore, key: str, if_match: str | None, absent: bool) -> None:
        self._store, self._key, self._if_match, self._absent = store, key, if_match, absent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def change(self, edit: Edit, **given: Any) -> Changed:
        """As the store's; what is checked is what is written over.

        Raises:
            PreconditionFailed: the flag is not as it was seen.
        """

        def checked(flags: StoredFlags) -> StoredFlags:
            self._check(flags.revision(self._key))
            return edit(flags)

        return self._store.change(checked, **given)

    def _check(self, revision: int) -> None:
        if self._absent and revision:
            said = f"there is such a flag, at revision {revision}; leave out If-None-Match"
            raise PreconditionFailed(f"{self._key}: {said} to change it")
        if self._if_match is not None and not revision:
            raise PreconditionFailed(f"{self._key}: there is no such flag (any more)")
        if self._if_match not in (None, "*", f'"{revision}"'):
            said = f"it is at revision {revision} now; look at it again and repeat your change"
            raise PreconditionFailed(f"{self._key}: {said}")


def _deployed() -> tuple[Route, ...]:
    """The routes that are there: the template says which functions it has."""
    functions = os.environ.get("API_FUNCTIONS")
    return ROUTES if functions is None else routes_of(functions.split(","))


def _key(request: Request) -> str:
    """The flag of a path.

    Raises:
        InvalidInput: no flag can have such a key.
    """
    key = request.path["key"]
    if not re.fullmatch(FLAG_KEY, key):
        way_out = "use letters, digits, dots, dashes and underscores, at most 128"
        raise InvalidInput("key", key, way_out)
    return key


def _id(request: Request) -> str:
    """The proposal of a path.

    Raises:
        UnknownProposal: no proposal can have such an id, and a longer one is no key of the table.
    """
    id = request.path["id"]
    if len(id) > LONGEST_ID:
        raise UnknownProposal(f"{id[:20]}...")
    return id


def _told(kept: Kept, key: str | None, *, decided: bool = False) -> Response:
    """What a change came to; 202 when it waits for a second person."""
    revisions = {name: one.revision for name, one in kept.flags.items() if one is not None}
    content = ChangeView(
        version=kept.version,
        keys=kept.keys,
        environments=kept.environments,
        revisions=revisions,
        proposal=kept.proposal,
    )
    headers = {"etag": f'"{revisions[key]}"'} if key in revisions else {}
    waits = kept.proposal is not None and not decided
    return Response(202 if waits else 200, content, headers)
