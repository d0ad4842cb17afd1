"""One turn of a request: begin it unless it is begun, look, and say how it stands.

A turn may be cut off anywhere and taken again. What a pipeline execution began is found by that
execution's id, so a job that is delivered twice, a continued job, or a second door with the same
request follow one and the same thing. Only a new job after a bad end, which is what retrying a
stage makes, begins another attempt.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from greenlane.deployments.client import Greenlane
from greenlane.errors import InvalidInput, NotFinished, Refused
from greenlane.pipelines.book import Book, End, Entry
from greenlane.pipelines.model import Asked
from greenlane.pipelines.seen import Seen
from greenlane.pipelines.subject import abort, begin, look
from greenlane.problems import Excerpt

LONGEST_ID = 60
"""Characters: executions of rollouts and of the way back are named after the first of them."""

_TRIES = 5
"""Of writing an entry that somebody else writes meanwhile."""


def subject_id(asked: Asked, attempt: int) -> str:
    """The id of what a pipeline execution begins: the same whenever it is asked for."""
    envelope = asked.envelope
    parts = [asked.name, envelope.pipeline_execution_id, envelope.action or ""]
    if attempt > 1:
        parts.append(str(attempt))
    return id_of(parts)


def id_of(parts: Sequence[str]) -> str:
    """An id of its parts, without empty ones; a long id is cut, and ends in its digest."""
    whole = "-".join(part for part in parts if part)
    if len(whole) <= LONGEST_ID:
        return whole
    ending = f"-{hashlib.sha256(whole.encode()).hexdigest()[:12]}"
    return whole[: LONGEST_ID - len(ending)] + ending


def serve(
    greenlane: Greenlane, requests: Book, asked: Asked, *, job: str, continued: bool
) -> tuple[Entry, Seen]:
    """Take one turn.

    Args:
        greenlane: the account and Region.
        requests: what pipelines asked for.
        asked: the request.
        job: of whoever asks: a delivery that is repeated has the same.
        continued: whether an earlier job is continued, which begins no other attempt.

    Raises:
        InvalidInput: this pipeline execution asked for something else of the same name.
        ClientError, BotoCoreError: AWS does not answer; take the turn again.
    """
    now = greenlane.connection.clock.now()
    entry = _entry(requests, asked, job, now, continued=continued)
    if entry.end is None and not entry.begun:
        entry = _begun(greenlane, requests, asked, entry)
    if entry.end is not None:
        return entry, Seen(entry.end, 100, entry.end.name)
    if entry.stopped:
        _abort_if_possible(greenlane, entry)
    if asked.envelope.wait == "start" and not entry.stopped:
        outputs = {"outcome": "started", "id": entry.subject_id, "name": entry.name}
        end = End(name="succeeded", reason="it was begun, and goes on", outputs=outputs)
        return entry, Seen(end, 100, "started")
    seen = look(greenlane, entry)
    if seen.end is not None:
        entry = _changed(requests, entry, end=seen.end)
    return entry, seen


def _entry(requests: Book, asked: Asked, job: str, now: datetime, *, continued: bool) -> Entry:
    """The entry of a request, made or found."""
    envelope, action = asked.envelope, asked.envelope.action or ""
    for _ in range(_TRIES):
        before = requests.entry(envelope.pipeline_execution_id, asked.kind, asked.name, action)
        again = before is not None and _is_retried(before, job, continued=continued)
        if before is not None and not again:
            if before.digest != asked.digest:
                raise InvalidInput(
                    "pipeline_execution_id",
                    Excerpt(envelope.pipeline_execution_id),
                    f"this execution asked for something else of {asked.name} before; if both are "
                    'meant, give each its own "action", such as "action": "second"',
                )
            return before
        attempt = before.attempt + 1 if before is not None else 1
        entry = Entry(
            execution=envelope.pipeline_execution_id,
            kind=asked.kind,
            name=asked.name,
            action=action,
            digest=asked.digest,
            attempt=attempt,
            job=job,
            subject_id=subject_id(asked, attempt),
            requested_by=asked.by,
            on_stop=envelope.on_stop,
            began_at=now,
        )
        written = requests.write(entry, before)
        if written is not None:
            return written
    raise NotFinished("others write the same entry at this moment")


def _is_retried(before: Entry, job: str, *, continued: bool) -> bool:
    bad = before.end is not None and before.end.name != "succeeded"
    return bad and not continued and before.job != job


def _begun(greenlane: Greenlane, requests: Book, asked: Asked, entry: Entry) -> Entry:
    stopped = entry.stopped or _stopped(requests, entry)
    if stopped:
        return _changed(requests, entry, end=End(name="stopped", reason=stopped))
    try:
        end = begin(greenlane, asked.subject, entry)
    except (InvalidInput, Refused) as error:
        end = End(name="refused", reason=str(error))
    return _changed(requests, entry, begun=True, end=end)


def _stopped(requests: Book, entry: Entry) -> str:
    """Why it may not begin: whoever stops leaves a mark and then looks for entries.

    It is read after the entry was written, so one of the two sees the other. A retried stage is
    meant to go on, whatever was stopped before.
    """
    if entry.on_stop == "leave":
        return ""
    mark = requests.stopped(entry.execution)
    if mark is None or (entry.attempt > 1 and mark.at < entry.began_at):
        return ""
    return mark.why


def _changed(requests: Book, entry: Entry, **changes: object) -> Entry:
    """Write changes, over what others wrote meanwhile: a wish to stop, or the same."""
    for _ in range(_TRIES):
        written = requests.write(entry.model_copy(update=changes), entry)
        if written is not None:
            return written
        now = requests.entry(entry.execution, entry.kind, entry.name, entry.action)
        if now is None or now.attempt != entry.attempt or now.end is not None:
            return now if now is not None else entry.model_copy(update=changes)
        entry = now
    raise NotFinished("others write the same entry at this moment")


def _abort_if_possible(greenlane: Greenlane, entry: Entry) -> None:
    """It was begun while its pipeline was being stopped; who heard of that may have missed it."""
    if entry.on_stop == "abort":
        abort(greenlane, entry)


def stop(greenlane: Greenlane, requests: Book, entry: Entry, why: str) -> str:
    """Abort what an entry began, or keep it from beginning; what became of that, in words.

    Raises:
        NotFinished: it cannot be said yet; ask again.
        ClientError, BotoCoreError: AWS does not answer; ask again.
    """
    if entry.end is not None:
        return f"it was over: {entry.end.name}"
    if entry.on_stop == "leave":
        return "it goes on, as the request says"
    entry = _changed(requests, entry, stopped=entry.stopped or why)
    if entry.end is not None:
        return f"it was over: {entry.end.name}"
    return abort(greenlane, entry)
