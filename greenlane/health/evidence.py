"""Evidence about an image that somebody posted: a test's result, a compliance check.

It is bound to the image's digest, names its issuer, expires, and is never changed: what is posted
again stands beside what was there. Items of the deployments table, `EVIDENCE#<service>` with
`<digest>#<name>#<instant>#<nonce>`.
"""

import secrets
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from greenlane.clock import Clock
from greenlane.deployments.declaring.criteria_document import SCAN
from greenlane.deployments.storing.items import body_item, instant
from greenlane.deployments.storing.shapes import Document, StoredModel
from greenlane.deployments.storing.store import DynamoStore
from greenlane.durations import Duration
from greenlane.problems import as_error, explain

Status = Literal["pass", "fail"]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class Evidence(StoredModel):
    """One result, as it was posted."""

    service: str
    name: str
    status: Status
    digest: str
    issuer: str = Field(description="who vouches for it, such as a pipeline")
    posted_by: str = Field(description="who called")
    posted_at: datetime
    expires_at: datetime
    url: str | None = None


def _not_the_scan(name: str) -> str:
    if name == SCAN:
        raise ValueError("the scan is read from ECR itself; nobody can post it")
    return name


def _lasts(span: timedelta) -> timedelta:
    if not timedelta(0) < span <= timedelta(days=366):
        raise ValueError("evidence lasts at most 366 days, and longer than nothing")
    return span


class Posted(Document):
    """What somebody posts, checked."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$"), AfterValidator(_not_the_scan)]
    status: Status
    digest: Digest
    issuer: str = Field(min_length=1, max_length=200, pattern=r"^[^\n\r]+$")
    expires: Annotated[Duration, AfterValidator(_lasts)]
    url: str | None = Field(None, max_length=2000, pattern=r"^https?://[^\s/?#@]+([/?#]\S*)?$")


class EvidenceBook:
    """Where evidence is kept.

    Args:
        store: where deployments are kept.
        clock: what time it is.
    """

    def __init__(self, store: DynamoStore, clock: Clock) -> None:
        """See the class."""
        self._store = store
        self._clock = clock

    def post(
        self,
        service: str,
        name: str,
        *,
        status: str,
        digest: str,
        issuer: str,
        expires: str | timedelta,
        url: str | None = None,
        by: str,
    ) -> Evidence:
        """Add a result; what was posted before stays.

        Args:
            service: whose image it is about.
            name: as `success_criteria.security` names it.
            status: `pass` or `fail`.
            digest: of the image, `sha256:...`.
            issuer: who vouches for it.
            expires: how long from now it counts, such as `7d`.
            url: where to read more.
            by: who posts it.

        Raises:
            UnknownService: the service was never applied.
            InvalidInput: naming what is wrong; nothing was kept.
        """
        given: dict[str, Any] = {
            "name": name,
            "status": status,
            "digest": digest,
            "issuer": issuer,
            "expires": expires,
            "url": url,
        }
        try:
            posted = Posted.model_validate(given)
        except ValidationError as error:
            raise as_error(explain(error, Posted, given), "the evidence") from None
        self._store.get_config(service)
        now = self._clock.now()
        evidence = Evidence(
            service=service,
            posted_by=by,
            posted_at=now,
            expires_at=now + posted.expires,
            **posted.model_dump(exclude={"expires"}),
        )
        sk = f"{digest}#{name}#{instant(now)}#{secrets.token_hex(4)}"
        self._store.client.put_item(
            TableName=self._store.table,
            Item=body_item(_place(service), sk, evidence),
            ConditionExpression="attribute_not_exists(sk)",
        )
        return evidence

    def posted(self, service: str, digest: str | None = None) -> list[Evidence]:
        """All evidence about a service's images, or about one of them, newest first.

        Raises:
            UnknownService: the service was never applied.
        """
        found = self._read(service, f"{digest}#" if digest is not None else "")
        if not found:
            self._store.get_config(service)
        return sorted(found, key=lambda one: one.posted_at, reverse=True)

    def about(self, service: str, digest: str, name: str) -> list[Evidence]:
        """What was posted under one name about one image, in any order."""
        return self._read(service, f"{digest}#{name}#")

    def _read(self, service: str, prefix: str) -> list[Evidence]:
        items = self._store.query(_place(service), prefix)
        return [Evidence.model_validate_json(item["body"]["S"]) for item in items]


def _place(service: str) -> str:
    return f"EVIDENCE#{service}"
