"""What people and pipelines do with rollouts over HTTP; `requesting` has what it means.

Who is asking is the IAM principal whose signature API Gateway checked.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from greenlane.deployments.connection import Connection
from greenlane.deployments.declaring.config import SERVICE_NAME_PATTERN
from greenlane.errors import InvalidInput, UnknownRollout
from greenlane.http.idempotency import Beginning, Once
from greenlane.http.listing import EventsQuery, events_page
from greenlane.http.rest import Handler, Request, Response, respond
from greenlane.http.rooms import NoQuery
from greenlane.pipelines.book import Book
from greenlane.pipelines.model import RolloutAsked
from greenlane.pipelines.request import NoFiles, read_asked
from greenlane.pipelines.runtime import PipelineRuntime
from greenlane.problems import InvalidDocument
from greenlane.regions.coordinating.model import Rollout
from greenlane.regions.coordinating.requesting import (
    BegunRollout,
    RegionalRollouts,
    check_reason,
)
from greenlane.regions.coordinating.store import Kept
from greenlane.regions.http.rollout_routes import FUNCTION, ROUTES
from greenlane.regions.http.rollout_shapes import (
    CloseRollout,
    RolloutHistory,
    RolloutList,
    RolloutsQuery,
    RolloutSummary,
    RolloutView,
    StartRollout,
    Wish,
    WishTaken,
)
from greenlane.regions.planning.model import Override
from greenlane.runtime import Settings

_SET_ASIDE = {"despite_windows", "despite_freezes"}


class RolloutsApi:
    """The handlers of the routes, by the names of their operations.

    Args:
        connection: to the Region of the coordinator.
        book: where it is kept what was asked under a key.
    """

    def __init__(self, connection: Connection, book: Book) -> None:
        """See the class."""
        self.connection, self.book = connection, book
        self.rollouts = RegionalRollouts(connection)
        self._starts = Once("startRollout", "rollout", BegunRollout, "id")
        self.handlers: Mapping[str, Handler] = {
            "listRollouts": self.list,
            "startRollout": self.start,
            "getRollout": self.get,
            "rolloutHistory": self.history,
            "holdRollout": self.hold,
            "resumeRollout": self.resume,
            "rollBackRollout": self.roll_back,
            "closeRollout": self.close,
        }

    @classmethod
    def from_environment(cls) -> "RolloutsApi":
        """As its template has it.

        Raises:
            KeyError: the template did not set a variable of all functions.
        """
        runtime = PipelineRuntime(settings=Settings.from_environment(), actor=FUNCTION)
        return cls(runtime.connection, runtime.requests)

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """One request, as API Gateway sends it, to its answer."""
        return respond(event, ROUTES, self.handlers)

    def list(self, request: Request) -> Response:
        """The latest rollout of each service."""
        asked = request.parameters(RolloutsQuery)
        store = self.rollouts.rollouts
        names = store.services(limit=asked.limit + 1, after=asked.after)
        page = names[: asked.limit]
        found = [kept.record for name in page if (kept := store.kept(name)) is not None]
        more = page[-1] if len(names) > len(page) else None
        summaries = tuple(RolloutSummary.of(record) for record in found)
        return Response(content=RolloutList(rollouts=summaries, next=more))

    def start(self, request: Request) -> Response:
        """Take a version through several Regions."""
        request.parameters(NoQuery)
        body = request.json(StartRollout)
        asked = _asked(body, request.by)
        return self._starts.begin(
            request,
            self.book,
            self.connection.clock.now(),
            asked=body,
            parts=(body.service,),
            start=lambda beginning: self._start(body, asked, beginning),
        )

    def _start(self, body: StartRollout, asked: RolloutAsked, beginning: Beginning) -> BegunRollout:
        if beginning.id is not None and beginning.again:
            begun = self.rollouts.begun(body.service, beginning.id)
            # One from before it was asked is that of another door, which chose the same id.
            events = self.rollouts.history(beginning.id) if begun is not None else []
            if begun is not None and events[0].at >= beginning.since:
                return begun
        named = {"deployment_id": beginning.id, "requested_by": beginning.by}
        try:
            return self.rollouts.deploy(
                asked.source,
                asked.request.model_copy(update=named),
                kind=asked.kind,
                policy=asked.policy,
                overrides=_overrides(body, beginning.by),
                despite_hold=asked.despite_hold,
                name=asked.name,
            )
        except InvalidDocument as error:
            if asked.source is None:
                raise
            # Lines are those of a text that nobody has seen.
            found = [InvalidInput(one.field, one.value, one.way_out) for one in error.problems]
            raise InvalidDocument("body", found) from None

    def get(self, request: Request) -> Response:
        """Where a service's latest rollout stands."""
        request.parameters(NoQuery)
        kept = self._latest(request)
        content = RolloutView(
            rollout=kept.record,
            wish=kept.asked if kept.unheeded else None,
            waits_until=kept.due_at,
        )
        return Response(content=content)

    def history(self, request: Request) -> Response:
        """What happened in a service's latest rollout."""
        asked = request.parameters(EventsQuery)
        rollout_id = self._latest(request).record.rollout_id
        page = events_page(self.rollouts.rollouts, f"ROLLOUT#{rollout_id}", asked)
        content = RolloutHistory(rollout_id=rollout_id, events=page.events, next=page.next)
        return Response(content=content)

    def hold(self, request: Request) -> Response:
        """Start no further Region."""
        return self._wish(request, Wish, "hold", self.rollouts.hold)

    def resume(self, request: Request) -> Response:
        """Let a held rollout go on."""
        return self._wish(request, Wish, "resume", self.rollouts.resume)

    def roll_back(self, request: Request) -> Response:
        """Take every touched Region back."""
        return self._wish(request, Wish, "rollback", self.rollouts.rollback)

    def close(self, request: Request) -> Response:
        """End the attempts to take back what did not go back."""
        return self._wish(request, CloseRollout, "close", self.rollouts.close)

    def _wish(
        self, request: Request, model: type[Wish], what: str, ask: Callable[..., Rollout]
    ) -> Response:
        request.parameters(NoQuery)
        body = request.json(model, optional=True)
        service = self._latest(request).record.service
        reason = body.reason or f"{what} over HTTP"
        record = ask(service, by=request.by, reason=reason, rollout_id=body.rollout_id)
        return Response(content=WishTaken(rollout_id=record.rollout_id, asked=what))

    def _latest(self, request: Request) -> Kept:
        service = request.path["service"]
        if not re.fullmatch(SERVICE_NAME_PATTERN, service):
            way_out = "use lower case letters, digits and dashes, as its file has it"
            raise InvalidInput("service", service, way_out)
        kept = self.rollouts.rollouts.kept(service)
        if kept is None:
            raise UnknownRollout(service)
        return kept


def _asked(body: StartRollout, by: str) -> RolloutAsked:
    """The request, read as a pipeline's is.

    Raises:
        InvalidInput: with everything that is wrong with its keys.
    """
    given = body.model_dump(exclude_none=True, exclude=_SET_ASIDE)
    found = read_asked({"pipeline_execution_id": "http", **given}, NoFiles(), by=by).subject
    assert isinstance(found, RolloutAsked), "it has regions"
    return found


def _overrides(body: StartRollout, by: str) -> tuple[Override, ...]:
    given = (("windows", body.despite_windows), ("freezes", body.despite_freezes))
    found = [(what, reason) for what, reason in given if reason is not None]
    for what, reason in found:
        check_reason(f"despite_{what}", reason)
    return tuple(
        Override.model_validate({"what": what, "reason": reason.strip(), "by": by})
        for what, reason in found
    )
