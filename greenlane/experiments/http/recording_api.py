"""What services and pages do with A/B tests over HTTP: ask for variants, tell of users.

What is wrong with one thing in a request is the answer to that one, and what is slow or too busy is
to be sent again, it alone. Nothing that is known of a user is logged.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from greenlane import aws
from greenlane.clock import current_clock
from greenlane.deployments.storing.shapes import Document
from greenlane.errors import CountersBusy, InvalidInput, UnknownTest
from greenlane.experiments.counting.events import Assigned, Event, Exposure
from greenlane.experiments.counting.recording import Recorder
from greenlane.experiments.http.client_shapes import (
    LONGEST_NAME,
    MOST_BYTES,
    Assign,
    AssignmentsTold,
    AssignmentTold,
    AssignSeveral,
    EventGiven,
    Events,
    EventsTold,
    EventTold,
    ExposureGiven,
    Exposures,
    ExposuresTold,
    ExposureTold,
)
from greenlane.experiments.http.experiment_routes import CLIENTS
from greenlane.http.rest import Handler, Request, Response, may_pass, respond, told
from greenlane.http.rooms import NoQuery
from greenlane.logs import logger

BUDGET_SECONDS = 10.0
"""For one request; what was not begun by then is to be sent again. A call that hangs takes 8 more,
a write that hangs and the read after it 16, and API Gateway waits 29."""

BodyT = TypeVar("BodyT", bound=Document)
T = TypeVar("T")

Failed = BotoCoreError | ClientError

_LATE = "it was not tried, for the request took too long; send it again"
_DOWN = "the store did not answer; send it again"


class RecordingApi:
    """The handlers of the routes that are by API key.

    Args:
        recorder: what assigns and records.
        origin: which pages may read the answers, `*` for any.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        origin: str = "*",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """See the class."""
        self._recorder, self._monotonic = recorder, monotonic
        self._headers = {
            "access-control-allow-origin": origin,
            "access-control-expose-headers": "Retry-After",
        }
        self.handlers: Mapping[str, Handler] = {
            "assignSeveral": self.assign_several,
            "assignOne": self.assign_one,
            "recordExposures": self.expose,
            "recordEvents": self.record,
        }

    @classmethod
    def from_environment(cls) -> "RecordingApi":
        """As its template has it: `EXPERIMENTS_TABLE` and `API_ORIGIN`.

        Raises:
            KeyError: the template did not set the table.
        """
        client = aws.client(
            "dynamodb", connect_timeout_seconds=1.0, read_timeout_seconds=3.0, attempts=2
        )
        recorder = Recorder(client, os.environ["EXPERIMENTS_TABLE"], clock=current_clock())
        return cls(recorder, origin=os.environ.get("API_ORIGIN", "*"))

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """One request, as API Gateway sends it, to its answer."""
        answer = respond(event, CLIENTS, self.handlers, private=True)
        answer["headers"] |= self._headers
        return answer

    def assign_one(self, request: Request) -> Response:
        """What a user gets of one test."""
        asked = _body(request, Assign)
        if isinstance(asked, Response):
            return asked
        name = request.path["name"]
        if len(name) > LONGEST_NAME:  # which would be no key of the table
            raise UnknownTest(f"{name[:20]}...")
        return Response(content=self._assigned(name, asked))

    def assign_several(self, request: Request) -> Response:
        """What a user gets of some tests; one that cannot be told is an item of its own."""
        asked = _body(request, AssignSeveral)
        if isinstance(asked, Response):
            return asked
        patience = _Patience(self._monotonic)
        found: list[AssignmentTold] = []
        for test in asked.tests:
            try:
                told_of = patience.tried(partial(self._assigned, test, asked))
            except UnknownTest:
                told_of = _unassigned(test, "unknown_test")
            found.append(told_of or _unassigned(test, "unavailable", retry=True))
        if patience.failure is not None and all(one.why == "unavailable" for one in found):
            return _down(patience.failure)
        return Response(content=AssignmentsTold(assignments=tuple(found)))

    def _assigned(self, test: str, asked: Assign) -> AssignmentTold:
        assigned = self._recorder.assign(test, asked.context)
        if not asked.expose or not assigned.takes_part:
            return _assignment(test, assigned)
        # Of what is on record the record says by which weights it was dealt.
        epoch = None if assigned.why == "recorded" else assigned.epoch
        exposed = self._exposed(
            Exposure(test, None, assigned.variant, asked.context, epoch=epoch, run=assigned.run)
        )
        return _assignment(test, assigned).model_copy(
            update={
                "exposed": exposed.result,
                "problem": exposed.why if exposed.result in ("refused", "retry") else None,
                "retry": exposed.retry,
            }
        )

    def expose(self, request: Request) -> Response:
        """Record what users were shown."""
        given = _body(request, Exposures)
        if isinstance(given, Response):
            return given
        patience = _Patience(self._monotonic)
        results = []
        for one in given.exposures:
            done = patience.tried(partial(self._exposed, _exposure(one)))
            results.append(done or ExposureTold(result="retry", why=patience.why, retry=True))
        if patience.failure is not None and all(one.result == "retry" for one in results):
            return _down(patience.failure)
        again = sum(one.retry for one in results)
        return Response(content=ExposuresTold(results=tuple(results), retry=again))

    def _exposed(self, exposure: Exposure) -> ExposureTold:
        try:
            seen = self._recorder.expose(exposure)
        except InvalidInput as error:
            return ExposureTold(result="refused", why=str(error))
        except CountersBusy as error:
            return ExposureTold(result="retry", why=str(error), retry=True)
        return ExposureTold(result=seen.result, variant=seen.variant, why=seen.why)

    def record(self, request: Request) -> Response:
        """Record what users did."""
        given = _body(request, Events)
        if isinstance(given, Response):
            return given
        patience = _Patience(self._monotonic)
        results: dict[int, EventTold] = {}
        for numbers in _by_user(given.events):
            events = [_event(given.events[number]) for number in numbers]
            done = patience.tried(partial(self._recorder.record, events))
            for place, number in enumerate(numbers):
                if done is None:
                    results[number] = EventTold(result="retry", why=patience.why, retry=True)
                    continue
                result, why = done[place]
                results[number] = EventTold(result=result, why=why, retry=result == "retry")
        ordered = tuple(results[number] for number in range(len(given.events)))
        if patience.failure is not None and all(one.result == "retry" for one in ordered):
            return _down(patience.failure)
        return Response(content=EventsTold(results=ordered, retry=sum(it.retry for it in ordered)))


class _Patience:
    """Carries one request's parts out one after the other, until time or the store fails."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic, self._began = monotonic, monotonic()
        self.failure: Failed | None = None
        self.why = _LATE

    def tried(self, part: Callable[[], T]) -> T | None:
        """What a part came to; None when it is to be sent again.

        A store that refuses once may take the next; one that does not answer is asked no more.

        Raises:
            ClientError: what waiting does not mend.
        """
        silent = self.failure is not None and not isinstance(self.failure, ClientError)
        if silent or self._monotonic() - self._began > BUDGET_SECONDS:
            return None
        try:
            return part()
        except (BotoCoreError, ClientError) as error:
            if not may_pass(error):
                raise
            self.failure, self.why = error, _DOWN
            return None


def _body(request: Request, model: type[BodyT]) -> BodyT | Response:
    """The body of a request, or what is wrong with its length; raises `InvalidInput`."""
    request.parameters(NoQuery)
    if len(request.body) > MOST_BYTES:
        said = f"body: it is longer than {MOST_BYTES} bytes; send less at once"
        return told(413, "TooLong", said)
    return request.json(model)


def _down(failure: Failed) -> Response:
    """The store did not answer for any part of a request."""
    logger.warning(str(failure), error=type(failure).__name__)
    later = "DynamoDB did not answer; send it again: what got in does not count twice"
    return told(503, "StoreUnavailable", later, retry=True)


def _by_user(events: Sequence[EventGiven]) -> Iterable[list[int]]:
    """The numbers of events by test and user, for those of one are one transaction."""
    groups: dict[tuple[str, str], list[int]] = {}
    for number, event in enumerate(events):
        groups.setdefault((event.test, event.unit), []).append(number)
    return groups.values()


def _event(given: EventGiven) -> Event:
    return Event(
        test=given.test,
        unit=given.unit,
        metric=given.metric,
        value=given.value,
        id=given.event_id,
        at=given.at,
        variant=given.variant,
    )


def _exposure(given: ExposureGiven) -> Exposure:
    return Exposure(
        given.test,
        given.unit,
        given.variant,
        given.context,
        at=given.at,
        epoch=given.epoch,
        run=given.run,
    )


def _assignment(test: str, assigned: Assigned) -> AssignmentTold:
    return AssignmentTold(
        test=test,
        variant=assigned.variant,
        why=assigned.why,
        takes_part=assigned.takes_part,
        run=assigned.run,
        epoch=assigned.epoch,
    )


def _unassigned(test: str, why: str, *, retry: bool = False) -> AssignmentTold:
    return AssignmentTold(test=test, variant=None, why=why, takes_part=False, retry=retry)
