"""What a look at something that was begun has found."""

from typing import NamedTuple

from greenlane.pipelines.book import End


class Seen(NamedTuple):
    """Where something stands.

    Args:
        end: how it ended; None while it is under way.
        percent: how far it is, 0 to 100.
        summary: the same for people.
    """

    end: End | None
    percent: int = 0
    summary: str = ""
