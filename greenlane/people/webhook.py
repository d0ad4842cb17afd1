"""A webhook of the user's own: the announcement as JSON, signed.

The header `Greenlane-Signature` is `t=<unix seconds>,v1=<hex>`, where the second is the
HMAC-SHA256 of `<unix seconds>.<body>` under the secret. A receiver compares it in constant time
and refuses what is some minutes old.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from greenlane.people.announcement import Announcement
from greenlane.people.channel import Edges, Message, Told, check_status
from greenlane.people.posting import Answer


@dataclass(frozen=True)
class WebhookChannel:
    """One address that all news is sent to.

    Args:
        url: the address.
        secret: of the key of the signature.
    """

    url: str
    secret: str
    name: str = "webhook"

    def message(self, news: Announcement, earlier: Sequence[Told]) -> Message | None:
        """All news, as it is."""
        del earlier
        return Message("post", news.model_dump_json())

    def send(self, message: Message, edges: Edges) -> str:
        """See `Channel`."""
        key = edges.vault.get(self.secret)
        answer = self._post(key, message, edges)
        if answer.status in (401, 403):
            fresh = edges.vault.renewed(self.secret, key)
            answer = answer if fresh is None else self._post(fresh, message, edges)
        # What it says is not kept: it is anybody's, and may repeat anything.
        check_status(answer)
        return ""

    def _post(self, key: str, message: Message, edges: Edges) -> Answer:
        body = str(message.body).encode()
        seconds = int(edges.now.timestamp())
        return edges.post(self.url, body, {"Greenlane-Signature": signature(key, body, seconds)})


def signature(key: str, body: bytes, seconds: int) -> str:
    """The value of the header `Greenlane-Signature`.

    Args:
        key: the shared secret.
        body: as it is sent.
        seconds: since 1970, when it is sent.
    """
    signed = f"{seconds}.".encode() + body
    return f"t={seconds},v1={hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()}"
