"""What is known of one user of a test, and how it lies in the table.

One item holds all of a user: his variant, his totals, what waits for his exposure. What he adds to
the test's counters is a function of that alone (`sums.stands_for`), so the counters of a test are
what all its users' items add up to, at any moment.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from greenlane.deployments.storing.items import Item, instant
from greenlane.experiments.dealing import unit_digest
from greenlane.experiments.storing.state import StoredTest

MOST_PENDING = 50
"""Events of one user that may wait for his exposure; of more the oldest are taken for earlier."""


class Pending(NamedTuple):
    """An event of a user who is not known to be exposed.

    `value` is in millionths; `variant` is the one that the caller believed in, empty if he did not
    say.
    """

    metric: str
    value: int
    at: datetime
    variant: str = ""


class Passed(NamedTuple):
    """What is left of events that would have waited too long for an exposure.

    `until` is when the last of them happened, `variants` are those that their callers believed in.
    """

    until: datetime
    variants: tuple[str, ...] = ()


class Total(NamedTuple):
    """What a user has under one recorded name: the sum in millionths, and of how many records."""

    sum: int = 0
    records: int = 0


@dataclass(frozen=True, slots=True)
class Person:
    """One user of one run of a test; a new one has not been seen yet.

    Args:
        variant: on record since the exposure.
        epoch: whose weights dealt it.
        exposed_at: aware.
        crossover: was seen with two variants, and counts no more.
        segments: of the test's, at the exposure.
        totals: by recorded name, of what happened since the exposure.
        before: by covariate, in millionths: what was known before.
        given: covariates that came with the exposure; records of them change nothing more.
        buckets: of each quantile, the bucket in which the user is counted.
        early: events from before the exposure.
        pending: what waits for the exposure.
        passed: what waited until there was too much of it; None when nothing did.
        version: of the item; 0 when there is none.
    """

    variant: str | None = None
    epoch: int = 0
    exposed_at: datetime | None = None
    crossover: bool = False
    segments: tuple[str, ...] = ()
    totals: Mapping[str, Total] = field(default_factory=dict)
    before: Mapping[str, int] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    buckets: Mapping[str, int] = field(default_factory=dict)
    early: int = 0
    pending: tuple[Pending, ...] = ()
    passed: Passed | None = None
    version: int = 0


def digest_of(test: StoredTest, unit: str) -> str:
    """What a user is known by in the table, in this run of a test."""
    return unit_digest(f"unit:{test.salt}", unit)


def user_key(test: StoredTest, digest: str) -> Item:
    """The key of a user's item."""
    return {"pk": {"S": f"user#{test.name}#{test.run}#{digest}"}, "sk": {"S": "user"}}


def shard_of(test: StoredTest, digest: str) -> int:
    """Which of the test's counters a user is counted in; always the same."""
    return int(digest[:8], 16) % test.shards


def user_item(
    test: StoredTest, digest: str, person: Person, attempt: str, expires_at: int | None
) -> Item:
    """A user as an item, one version further.

    Args:
        test: which.
        digest: of the user.
        person: what is known now.
        attempt: the call that writes it.
        expires_at: when it may go, in Unix seconds.
    """
    body: dict[str, Any] = {
        "segments": list(person.segments),
        "totals": {name: list(total) for name, total in person.totals.items()},
        "before": dict(person.before),
        "given": list(person.given),
        "buckets": dict(person.buckets),
        "early": person.early,
        "pending": [
            [one.metric, one.value, instant(one.at), one.variant] for one in person.pending
        ],
    }
    if person.passed is not None:
        body["passed"] = [instant(person.passed.until), list(person.passed.variants)]
    item: Item = user_key(test, digest) | {
        "version": {"N": str(person.version + 1)},
        "attempt": {"S": attempt},
        "crossover": {"BOOL": person.crossover},
        "body": {"S": json.dumps(body, separators=(",", ":"))},
    }
    if person.variant is not None and person.exposed_at is not None:
        item["variant"] = {"S": person.variant}
        item["epoch"] = {"N": str(person.epoch)}
        item["exposed_at"] = {"S": instant(person.exposed_at)}
    if expires_at is not None:
        item["expires_at"] = {"N": str(expires_at)}
    return item


def person_from(item: Item | None) -> Person:
    """The user that an item holds; a new one without it."""
    if item is None:
        return Person()
    body = json.loads(item["body"]["S"])
    return Person(
        variant=item["variant"]["S"] if "variant" in item else None,
        epoch=int(item["epoch"]["N"]) if "epoch" in item else 0,
        exposed_at=_moment(item["exposed_at"]["S"]) if "exposed_at" in item else None,
        crossover=item["crossover"]["BOOL"],
        segments=tuple(body["segments"]),
        totals={name: Total(*total) for name, total in body["totals"].items()},
        before=body["before"],
        given=tuple(body["given"]),
        buckets=body["buckets"],
        early=body["early"],
        pending=tuple(
            Pending(metric, value, _moment(at), variant)
            for metric, value, at, variant in body["pending"]
        ),
        passed=_passed(body.get("passed")),
        version=int(item["version"]["N"]),
    )


def _passed(stored: list[Any] | None) -> Passed | None:
    return None if stored is None else Passed(_moment(stored[0]), tuple(stored[1]))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
