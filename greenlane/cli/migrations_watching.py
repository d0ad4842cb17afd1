"""Following a run of a migration to its end."""

import sys
from typing import TYPE_CHECKING

from greenlane.cli.exits import ExitCode
from greenlane.cli.migrations_views import change_key, change_line, ended_lines
from greenlane.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Collection

    from greenlane.migrations.guarding.model import RunRecord
    from greenlane.migrations.managing.manager import MigrationManager
    from greenlane.migrations.managing.standing import Ended

PATIENCE = 5
"""Looks in a row that may fail before watching gives up; the run does not depend on it."""


def follow(
    session: Session,
    manager: "MigrationManager",
    run: str,
    wanted: "Collection[str]" = ("succeeded",),
) -> ExitCode:
    """Print a line whenever something changed, until the run has ended; the exit code says how.

    Args:
        session: where to print.
        manager: where to look.
        run: its id.
        wanted: the ends that make the exit code 0.
    """
    before: object = None
    try:
        while True:
            record, ended = _look(session, manager, run)
            if record is not None and change_key(record) != before:
                before = change_key(record)
                session.emit(record)
                if ended is None:
                    session.say(change_line(record))
            if ended is not None:
                break
            session.sleep(session.poll_seconds)
    except KeyboardInterrupt:
        said = f"not watching any more; it goes on: greenlane migrations get {run} --watch"
        print(said, file=sys.stderr)
        return ExitCode.INTERRUPTED
    session.emit(ended)
    for line in ended_lines(ended):
        session.say(line)
    if ended.standing in wanted:
        return ExitCode.OK
    refused = ended.untouched and ended.standing in ("refused", "failed")
    return ExitCode.REFUSED if refused else ExitCode.FAILED


def _look(
    session: Session, manager: "MigrationManager", run: str
) -> "tuple[RunRecord | None, Ended | None]":
    """One look; failing ones are repeated for a while."""
    from botocore.exceptions import BotoCoreError, ClientError

    for left in reversed(range(PATIENCE)):
        try:
            return manager.look(run)
        except (BotoCoreError, ClientError) as error:
            if not left:
                raise
            session.warn(f"no answer, trying again: {error}")
            session.sleep(session.poll_seconds)
    raise AssertionError("the last failing look raises its own error")
