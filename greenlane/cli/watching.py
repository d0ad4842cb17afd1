"""Following a deployment to its end: a live view on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from greenlane.cli.exits import ExitCode, exit_code_of_outcome
from greenlane.cli.session import Session

if TYPE_CHECKING:
    from greenlane.deployments.looking.status import Outcome, OutcomeName, Status

PATIENCE = 5
"""Looks in a row that may fail before watching gives up; the deployment does not depend on it."""


def watch(
    session: Session,
    service: str,
    deployment_id: str | None = None,
    ended: "Callable[[], Outcome | None] | None" = None,
    wanted: "OutcomeName" = "succeeded",
) -> ExitCode:
    """Show a service until its deployment has ended; the exit code says how.

    Args:
        session: where to look and to print.
        service: whose status is shown.
        deployment_id: nothing is shown while the service's record is another deployment's, as
            it is before plan has taken the lease; the service's latest when left out.
        ended: tells how it ended, None while it has not; the deployment's outcome when left out.
        wanted: the end that makes the exit code 0.
    """
    over: Outcome | None = None
    try:
        with _screen(session) as show:
            while over is None:
                over, status = _look(session, service, deployment_id, ended)
                record = status.record
                if deployment_id is None or (record and record.deployment_id == deployment_id):
                    show(status)
                if record is None and deployment_id is None:
                    return ExitCode.OK
                if over is None:
                    session.sleep(session.poll_seconds)
    except KeyboardInterrupt:
        print(
            f"not watching any more; it goes on: greenlane get {service} --watch", file=sys.stderr
        )
        return ExitCode.INTERRUPTED
    tell_outcome(session, over)
    return exit_code_of_outcome(over.name, wanted)


def _look(
    session: Session,
    service: str,
    deployment_id: str | None,
    ended: "Callable[[], Outcome | None] | None",
) -> "tuple[Outcome | None, Status]":
    """How it ended, and the status after that; failing looks are repeated for a while."""
    from botocore.exceptions import BotoCoreError, ClientError

    for left in reversed(range(PATIENCE)):
        try:
            over = ended() if ended else None
            if ended is None and deployment_id is not None:
                over = session.client.outcome(service, deployment_id)
            # In this order what is shown last is never older than the end.
            status = session.client.status(service)
        except (BotoCoreError, ClientError) as error:
            if not left:
                raise
            session.warn(f"no answer, trying again: {error}")
            session.sleep(session.poll_seconds)
        else:
            latest = ended is None and deployment_id is None
            return status.outcome if latest else over, status
    raise AssertionError("the last failing look raises its own error")


def tell_outcome(session: Session, ended: "Outcome") -> None:
    """The last line of a watch."""
    session.emit(ended)
    because = f": {ended.reason}" if ended.reason else ""
    session.say(f"{ended.deployment_id} {ended.name.replace('_', ' ')}{because}")


@contextmanager
def _screen(session: Session) -> "Iterator[Callable[[Status], None]]":
    """A function that shows a status, in the way that fits where the output goes."""
    if session.as_json:
        yield _JsonLines(session)
    elif session.console.is_terminal:
        from rich.live import Live

        from greenlane.cli.views import status_view

        with Live(console=session.console, auto_refresh=False) as live:
            yield lambda status: live.update(status_view(status), refresh=True)
    else:
        yield _Log(session)


class _JsonLines:
    """Emits a status as one line of JSON whenever something changed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._before: object = None

    def __call__(self, status: "Status") -> None:
        from greenlane.cli.views import change_key

        key = (change_key(status), status.judgement)
        if key != self._before:
            self._session.emit(status)
        self._before = key


class _Log:
    """Prints one line whenever something changed, and one for each new verdict."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._before: object = None
        self._judged: object = None

    def __call__(self, status: "Status") -> None:
        from greenlane.cli.views import change_key, change_line, verdict_text

        key = change_key(status)
        if key != self._before:
            self._session.say(change_line(status))
        self._before = key
        judgement = status.judgement
        if judgement is not None and judgement.at != self._judged:
            self._session.say(f"{judgement.at:%H:%M:%S}  {verdict_text(judgement, status.steps)}")
            self._judged = judgement.at
