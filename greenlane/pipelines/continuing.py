"""The continuation token: what one job leaves to the next, as JSON.

It decides nothing. What was begun is found by the pipeline execution's id; the token remembers only
since when nothing could be reached, and says to whoever reads it what it is about. So one that
cannot be read is as good as none.
"""

from datetime import datetime

from pydantic import AwareDatetime, ValidationError

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.logs import logger


class Token(StoredModel):
    """What a continued job brings along.

    Args:
        about: the id of what was begun; empty while nothing is.
        percent: how far it was.
        trouble_since: since when AWS has not answered; None when it did.
    """

    v: int = 1
    about: str = ""
    percent: int = 0
    trouble_since: AwareDatetime | None = None

    def text(self) -> str:
        """At most some 200 characters, of the 2048 that there are."""
        return self.model_dump_json(exclude_none=True)

    def in_trouble(self, now: datetime) -> "Token":
        """The same, when nothing could be reached now."""
        return self.model_copy(update={"trouble_since": self.trouble_since or now})


def read_token(text: str | None) -> Token:
    """The token of a job; an empty one for a first job, or for what is none of ours."""
    if text is None:
        return Token()
    try:
        return Token.model_validate_json(text)
    except ValidationError:
        logger.warning("the continuation token is none of ours; what was begun is found without it")
        return Token()
