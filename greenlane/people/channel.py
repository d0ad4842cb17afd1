"""What a channel is: it makes a message of an announcement, and sends it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from greenlane.deployments.model import StoredModel
from greenlane.people.announcement import Announcement, Severity

if TYPE_CHECKING:
    from greenlane.people.posting import Answer, Post
    from greenlane.people.vault import Vault

State = Literal["sending", "sent", "refused", "failed"]
"""`failed` is tried again, and `sending` that was never changed; `refused` only if told again."""


class Untold(Exception):
    """A message was not taken.

    Args:
        why: what a person is shown; it holds no secret.
        again: whether another attempt may succeed.
    """

    def __init__(self, why: str, *, again: bool) -> None:
        self.why = why
        self.again = again
        super().__init__(why)


class Told(StoredModel):
    """What became of one announcement on one channel; kept beside the deployment's history."""

    announcement_id: str
    kind: str
    severity: Severity
    settled: bool = False
    again: int = 0
    channel: str
    action: str
    at: datetime
    state: State = "sending"
    detail: str = ""
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Message:
    """What one channel sends.

    Args:
        action: what it does there, such as `trigger` or `resolve`; later messages look at it.
        body: JSON, without any secret.
    """

    action: str
    body: Any


@dataclass(frozen=True)
class Edges:
    """What channels reach the world through.

    Args:
        vault: secrets.
        post: HTTP.
        inside: hands alerts to an Alertmanager inside the VPC: its address, and the alerts.
        ssm: a boto3 `ssm` client.
        now: the present instant.
    """

    vault: "Vault"
    post: "Post"
    inside: Callable[[str, list[dict[str, Any]]], "Answer"]
    ssm: Any
    now: datetime


class Channel(Protocol):
    """One way to reach people."""

    @property
    def name(self) -> str:
        """In the table and the history."""
        ...

    def message(self, news: Announcement, earlier: Sequence[Told]) -> Message | None:
        """What it says of the news; None if that is nothing. Pure.

        Args:
            news: what is to be told.
            earlier: what this channel was given of the same deployment, oldest first.
        """
        ...

    def send(self, message: Message, edges: Edges) -> str:
        """Send it; what the other side called it, if it did.

        Raises:
            Untold: it was not taken.
        """
        ...


def check_status(answer: "Answer", *, said: str = "") -> None:
    """Whether an answer over HTTP means that the message was taken.

    Args:
        answer: the answer.
        said: what may be shown of its body.

    Raises:
        Untold: it does not. Too many requests, a time-out and whatever is the server's own fault
            are worth another attempt.
    """
    if 200 <= answer.status < 300:
        return
    again = answer.status in (408, 425, 429) or answer.status >= 500
    raise Untold(f"HTTP {answer.status}{said and ': '}{said}", again=again)
