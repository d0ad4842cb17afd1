"""`Idempotency-Key`: what a POST begins, it begins once, however often it is sent.

The id of what begins is made of the key, so that AWS itself begins nothing twice; the entry that
pipelines keep of what they asked (`greenlane.pipelines.book`) holds what was asked and answered.
A key counts for 90 days, for one operation, in one account and Region, whoever sends it. What was
refused began nothing: the same request may be sent again under the same key.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from greenlane.errors import IdempotencyKeyReused, InvalidInput, NotFinished, Refused
from greenlane.http.rest import Request, Response
from greenlane.pipelines.book import Book, End, Entry
from greenlane.pipelines.model import Kind
from greenlane.pipelines.request import LARGEST
from greenlane.pipelines.serving import id_of
from greenlane.problems import Excerpt

ModelT = TypeVar("ModelT", bound=BaseModel)

KEY = r"^[A-Za-z0-9._-]{1,64}$"

_TRIES = 5
"""Of writing an entry that somebody else writes meanwhile."""


class IdempotencyHeader(BaseModel):
    """The header of a POST that begins something."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        pattern=KEY,
        examples=["3137f7cb-7cf7-4abc-9f1f-d7e03example"],
        description="The same request under the same key begins once: 201 first, then 200 with "
        "the same answer. Left out, each request begins something new.",
    )


@dataclass(frozen=True)
class Beginning:
    """What is to begin.

    Args:
        id: of it; None where no key was sent: choose one.
        by: who is recorded as having asked: the first who did, so that repeats are equal.
        again: it may have begun before, for an earlier try was cut off, or goes on at this moment.
        since: when it was asked first.
    """

    id: str | None
    by: str
    again: bool
    since: datetime


@dataclass(frozen=True)
class Once(Generic[ModelT]):
    """One operation that begins something.

    Args:
        operation: its name in the HTTP API.
        kind: of what begins.
        answers: the model of what it answers.
        id_is: what errors call the id of what begins.
    """

    operation: str
    kind: Kind
    answers: type[ModelT]
    id_is: str = "deployment_id"

    def begin(
        self,
        request: Request,
        book: Book,
        now: datetime,
        *,
        asked: object,
        parts: tuple[str, ...],
        start: Callable[[Beginning], ModelT],
    ) -> Response:
        """Begin it, or answer what was answered before.

        Args:
            request: whose header may have a key.
            book: where it is kept what was asked.
            now: the instant.
            asked: all of it, as JSON or a model, without who asks.
            parts: what its id begins with, such as the service's name; the key follows.
            start: begins it under an id. Called again with the same, it begins nothing more.

        Returns:
            201 with the answer when it begins; 200 with the same answer ever after.

        Raises:
            IdempotencyKeyReused: the key was sent with another request, or another door gave its
                id to one.
            InvalidInput: the header is wrong, or what `start` finds wrong.
            Refused: what `start` refuses.
            NotFinished: others write the same entry at this moment.
        """
        if len(request.body) > LARGEST:
            said = f"{len(request.body)} bytes"
            raise InvalidInput("body", Excerpt(said), f"send at most {LARGEST}")
        by, key = request.by, request.conditions(IdempotencyHeader).idempotency_key
        if key is None:
            return Response(201, start(Beginning(None, by, again=False, since=now)))
        entry, first = self._entry(request, book, now, key, digest_of(asked), id_of((*parts, key)))
        if entry.end is not None:
            answer = self.answers.model_validate_json(entry.end.outputs["answer"])
            return Response(200, answer)
        # A refusal may have been one of several tries that went on at once.
        again = not first or entry.attempt > 1
        beginning = Beginning(entry.subject_id, entry.requested_by, again, entry.began_at)
        try:
            answer = start(beginning)
        except (InvalidInput, Refused) as error:
            with suppress(NotFinished):  # it is for the status of a next try only
                _changed(book, entry, stopped=str(error))
            if isinstance(error, InvalidInput) and error.field == self.id_is:
                # A pipeline, or somebody who chose this id, took it for another one.
                raise IdempotencyKeyReused(key) from error
            raise
        end = End(name="succeeded", outputs={"answer": answer.model_dump_json()})
        kept = _changed(book, entry, begun=True, stopped="", end=end)
        if kept.end is not None:
            answer = self.answers.model_validate_json(kept.end.outputs["answer"])
        return Response(201 if first else 200, answer)

    def _entry(
        self, request: Request, book: Book, now: datetime, key: str, digest: str, subject: str
    ) -> tuple[Entry, bool]:
        """The entry of a key, made or found, and whether this is the first try that counts."""
        for _ in range(_TRIES):
            before = book.entry(_place(key), self.kind, self.operation, "")
            if before is not None and before.digest != digest:
                raise IdempotencyKeyReused(key)
            if before is not None and not (before.stopped and before.end is None):
                return before, False
            entry = Entry(
                execution=_place(key),
                kind=self.kind,
                name=self.operation,
                digest=digest,
                attempt=before.attempt + 1 if before is not None else 1,
                job="http",
                subject_id=subject,
                requested_by=request.by,  # those who were refused began nothing
                on_stop="leave",
                began_at=now,
            )
            written = book.write(entry, before)
            if written is not None:
                return written, True
        raise _busy()


def digest_of(asked: object) -> str:
    """Of what is asked; equal for equal requests.

    Without defaults: a version that knows a key more must know a request of the one before again.
    """
    said: object = asked
    if isinstance(asked, BaseModel):
        said = asked.model_dump(mode="json", exclude_defaults=True)
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def _place(key: str) -> str:
    """Apart from the ids of pipeline executions, which have no colon."""
    return f"http:{key}"


def _changed(book: Book, entry: Entry, **changes: object) -> Entry:
    """Write changes, unless an answer was written meanwhile; what is kept then."""
    for _ in range(_TRIES):
        written = book.write(entry.model_copy(update=changes), entry)
        if written is not None:
            return written
        now = book.entry(entry.execution, entry.kind, entry.name, entry.action)
        if now is None or now.end is not None:
            return now if now is not None else entry.model_copy(update=changes)
        entry = now
    raise _busy()


def _busy() -> NotFinished:
    return NotFinished("others send the same key at this moment; send it again")
