"""Secrets from Secrets Manager, kept in memory for some minutes and nowhere else."""

import json
import re
import time
from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.people.channel import Untold

KEPT_SECONDS = 300.0

_GONE = frozenset(
    {
        "ResourceNotFoundException",
        "AccessDeniedException",
        "DecryptionFailure",
        "InvalidRequestException",
        "InvalidParameterException",
        "ValidationException",
    }
)
"""Answers that another attempt would get as well."""


class Vault:
    """Reads secrets by name or ARN.

    Args:
        client: a boto3 `secretsmanager` client.
        ticks: seconds of a clock that never goes back.
    """

    def __init__(self, client: Any, ticks: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._ticks = ticks
        self._kept: dict[str, tuple[float, str]] = {}
        self._seen: set[str] = set()
        self._lock = Lock()

    def get(self, secret: str) -> str:
        """The value of a secret: its text, or the one value of a JSON object of one key.

        Raises:
            Untold: there is no such secret, it may not be read, or it is not one word of 16
                plain characters or more.
        """
        kept = self._kept.get(secret)
        if kept is not None and self._ticks() - kept[0] < KEPT_SECONDS:
            return kept[1]
        return self._read(secret)

    def renewed(self, secret: str, value: str) -> str | None:
        """The secret's value read again, if it is not `value` any more.

        Raises:
            Untold: as `get`.
        """
        fresh = self._read(secret)
        return fresh if fresh != value else None

    def hide(self, text: str) -> str:
        """The text without any secret that was ever read here."""
        with self._lock:
            seen = sorted(self._seen, key=len, reverse=True)
        for value in seen:
            text = text.replace(value, "[secret]")
        return text

    def _read(self, secret: str) -> str:
        try:
            answer, code = self._client.get_secret_value(SecretId=secret), ""
        except ClientError as error:
            answer, code = {}, str(error.response["Error"]["Code"])
        except BotoCoreError as error:
            answer, code = {}, type(error).__name__
        if code:
            raise Untold(f"secret {secret}: {code}", again=code not in _GONE)
        value = only_value(str(answer.get("SecretString") or "")).strip()
        if not re.fullmatch(r"[!-~]{16,4096}", value):
            raise Untold(
                f"secret {secret}: it must be one word, 16 characters or more", again=False
            )
        with self._lock:
            self._kept[secret] = (self._ticks(), value)
            # An address is a secret by its last part.
            self._seen.update(one for one in (value, value.rpartition("/")[2]) if len(one) >= 8)
        return value


@cache
def vault_of(client: Any) -> Vault:
    """The one vault of a client, so that secrets are kept from one invocation to the next."""
    return Vault(client)


def only_value(text: str) -> str:
    """The console keeps secrets as JSON objects unless it is told not to."""
    try:
        document = json.loads(text)
    except ValueError:
        return text
    values = list(document.values()) if isinstance(document, dict) else []
    return values[0] if len(values) == 1 and isinstance(values[0], str) else text
