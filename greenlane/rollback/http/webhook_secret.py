"""The secret that webhooks show, in Secrets Manager; only digests of it are kept, for minutes."""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.clock import ticks as clock_ticks
from greenlane.logs import logger
from greenlane.people.vault import only_value

NAME = "greenlane-webhooks"
"""Not below `greenlane/`: the function that tells people may read what users keep there."""

KEPT_SECONDS = 300.0
"""How long a version that was taken out of the secret may still be accepted."""

MISMATCH_SECONDS = 10.0
"""The least time between two looks for the sake of a secret that does not match: who guesses
cannot make us ask, and pay for, Secrets Manager at will."""

FAILED_SECONDS = 1.0
"""The least time between two looks while nothing is known."""

_WORD = re.compile(r"[!-~]{16,4096}")
_GONE = "ResourceNotFoundException"


class SecretUnknown(Exception):
    """Secrets Manager did not tell the secret, so nobody knows who is right."""


@dataclass(frozen=True)
class _Seen:
    digests: tuple[bytes, ...]
    at: float


class WebhookSecret:
    """Compares what senders show with the secret's current and previous version.

    It is for one request at a time, as a function's process has them.

    Args:
        client: a boto3 `secretsmanager` client.
        name: of the secret: one word of at least 16 plain characters, or a JSON object with one.
        ticks: seconds of a clock that never goes back.
    """

    def __init__(
        self, client: Any, name: str = NAME, ticks: Callable[[], float] = clock_ticks
    ) -> None:
        """See the class."""
        self._client, self._name, self._ticks = client, name, ticks
        self._seen: _Seen | None = None
        self._tried_at: float | None = None
        self._failed = False

    def matches(self, shown: str) -> bool:
        """Whether it is the secret, or was until it was rotated last.

        What does not match is looked up once more, for the secret may be new.

        Raises:
            SecretUnknown: Secrets Manager did not answer, or there is no such secret.
        """
        given = _digest(shown)
        seen = self._seen
        if seen is not None and self._ticks() - seen.at < KEPT_SECONDS:
            if _one_of(given, seen.digests):
                return True
            if self._ticks() - (self._tried_at or 0.0) < MISMATCH_SECONDS:
                if self._failed:
                    raise SecretUnknown(self._name)
                return False
        elif self._failed and self._ticks() - (self._tried_at or 0.0) < FAILED_SECONDS:
            raise SecretUnknown(self._name)
        return _one_of(given, self._read())

    def _read(self) -> tuple[bytes, ...]:
        self._tried_at, self._failed = self._ticks(), True
        current = self._version("AWSCURRENT")
        previous = self._version("AWSPREVIOUS")
        if current is None:
            logger.error("webhooks are refused", secret=self._name, why="there is no such secret")
            raise SecretUnknown(self._name)
        found = tuple(_digest(one) for one in (current, previous) if one is not None)
        self._seen, self._failed = _Seen(found, self._tried_at), False
        return found

    def _version(self, stage: str) -> str | None:
        """One version's word; None if there is none, as of a secret that was never rotated."""
        try:
            answer = self._client.get_secret_value(SecretId=self._name, VersionStage=stage)
        except (BotoCoreError, ClientError) as error:
            code = type(error).__name__
            if isinstance(error, ClientError):
                code = str(error.response["Error"]["Code"])
            if code == _GONE:
                return None
            logger.error("webhooks are refused", secret=self._name, stage=stage, why=code)
            raise SecretUnknown(self._name) from None
        word = only_value(str(answer.get("SecretString") or "")).strip()
        if _WORD.fullmatch(word):
            return word
        why = "it must be one word, 16 characters or more"
        logger.error("a version is not used", secret=self._name, stage=stage, why=why)
        if stage == "AWSCURRENT":
            raise SecretUnknown(self._name)
        return None


def _digest(word: str) -> bytes:
    """Of one length, so that a comparison tells nothing of the secret's."""
    return hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()


def _one_of(given: bytes, known: tuple[bytes, ...]) -> bool:
    """In the same time whichever it is."""
    found = False
    for one in known:
        found |= hmac.compare_digest(given, one)
    return found
