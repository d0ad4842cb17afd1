"""Following a deployment to its end: a live view on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from greenlane.cli.exits import ExitCode, exit_code_of_outcome
from greenlane.cli.session import Session

if TYPE_CHECKING:
    from greenlane.deployments.status import Outcome, Status

PATIENCE = 5
"""Looks in a row that may fail before watching gives up; the deployment does not depend on it."""


def watch(
    session: Session, service: str, ended: "Callable[[], Outcome | None] | None" = None
) -> ExitCode:
    """Show a service until its deployment has ended; the exit code says how.

    Args:
        session: where to look and to print.
        service: whose status is shown.
        ended: tells how what is watched ended, None while it has not; the service's latest
            deployment when left out.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    failures = 0
    with _screen(session) as show:
        while True:
            try:
                # In this order: what the last look shows is then never older than the end.
                over = ended() if ended else None
                status = session.client.status(service)
                failures = 0
            except (BotoCoreError, ClientError) as error:
                failures += 1
                if failures >= PATIENCE:
                    raise
                session.warn(f"no answer, trying again: {error}")
                session.sleep(session.poll_seconds)
                continue
            show(status)
            if ended is None:
                over = status.outcome
            if over is not None:
                break
            if ended is None and status.record is None:
                return ExitCode.OK
            session.sleep(session.poll_seconds)
    tell_outcome(session, over)
    return exit_code_of_outcome(over.name)


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
            self._session.say(f"{judgement.at:%H:%M:%S}  {verdict_text(judgement)}")
            self._judged = judgement.at
