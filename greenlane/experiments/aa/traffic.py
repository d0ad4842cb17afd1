"""The traffic that is dealt anew: users and what they did, from the table or from a file.

What a user adds to the sums does not depend on his variant, so it is worked out once, by the code
that counts, and dealt as often as one likes.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from greenlane.errors import Refused
from greenlane.experiments.aa.events_file import TimedEvent
from greenlane.experiments.counting.people import Person, Total, person_from
from greenlane.experiments.counting.sums import bucket_in, moments_of, names_of
from greenlane.experiments.model import Experiment
from greenlane.experiments.statistics.moments import Moments, millionths
from greenlane.experiments.storing.state import StoredTest

SCANS = 4
"""Parts of the table that are read beside each other."""

FEWEST_USERS = 200
"""Fewer users say nothing about a rate of errors."""

NOTHING = Moments()


@dataclass(frozen=True)
class Came:
    """One user: when he came, and what he adds to the sums, by the look until which he did it.

    Args:
        unit: by which he is dealt.
        look: from 0, the first at which he is there.
        sums: look, metric, and what it grows by.
        buckets: look, metric, the quantile's bucket that he is in from then on.
    """

    unit: str
    look: int
    sums: tuple[tuple[int, str, Moments], ...] = ()
    buckets: tuple[tuple[int, str, int], ...] = ()


@dataclass(frozen=True)
class Traffic:
    """Users in the order of their names, and the moments of the looks."""

    users: tuple[Came, ...]
    start: datetime
    looks: tuple[datetime, ...]
    notes: tuple[str, ...] = field(default=())


def stored_users(client: Any, table: str, test: StoredTest, most: int) -> list[tuple[str, Person]]:
    """Users of a run who were exposed and count, at most so many.

    They lie in the table by a digest, so the first ones that are found are any. The whole table is
    read until there are enough: a user's item costs what any item of its size does.

    Args:
        client: a boto3 `dynamodb` client.
        table: of A/B tests.
        test: one that was started.
        most: users.

    Raises:
        ClientError: the table did not answer.
    """
    prefix = f"user#{test.name}#{test.run}#"
    each = -(-most // SCANS)

    def part(number: int) -> list[tuple[str, Person]]:
        pages = client.get_paginator("scan").paginate(
            TableName=table,
            Segment=number,
            TotalSegments=SCANS,
            FilterExpression="begins_with(pk, :prefix)",
            ExpressionAttributeValues={":prefix": {"S": prefix}},
        )
        found: list[tuple[str, Person]] = []
        for page in pages:
            for item in page["Items"]:
                person = person_from(item)
                if person.exposed_at is not None and not person.crossover:
                    found.append((item["pk"]["S"].removeprefix(prefix), person))
            if len(found) >= each:
                break
        return found[:each]

    with ThreadPoolExecutor(max_workers=SCANS) as pool:
        users = [user for part_of in pool.map(part, range(SCANS)) for user in part_of]
    return sorted(users, key=lambda user: user[0])


def traffic_of_store(test: Experiment, users: Sequence[tuple[str, Person]], looks: int) -> Traffic:
    """Users out of the table.

    Of each only the total of all he did is stored, and when he came; so all of it counts from the
    look on that follows his exposure.

    Raises:
        Refused: there are too few.
    """
    enough(len(users))
    moments = [person.exposed_at for _, person in users if person.exposed_at is not None]
    start, times = spread(min(moments), max(moments), looks)
    came = tuple(
        Came(
            unit,
            (look := _look(times, person.exposed_at or start)),
            tuple((look, name, one) for name, one in _sums(test, person)),
            tuple((look, name, one) for name, one in _buckets(test, person)),
        )
        for unit, person in users
    )
    note = (
        "the table has each user's total and not when he did what: all of it counts from his "
        "exposure on"
    )
    return Traffic(came, start, times, (note,))


def traffic_of_events(
    test: Experiment, events: Iterable[TimedEvent], looks: int, most: int
) -> Traffic:
    """Users out of a file of events; the first event of a user is his exposure.

    Raises:
        Refused: there are too few.
        InvalidInput: a value is no number.
    """
    by_user: dict[str, list[TimedEvent]] = {}
    for event in events:
        by_user.setdefault(event.user, []).append(event)
    names = sorted(by_user)[:most]
    enough(len(names))
    known = {name for shape in test.measured.values() for name in names_of(shape)}
    moments = [event.at for name in names for event in by_user[name]]
    start, times = spread(min(moments), max(moments), looks)
    came = tuple(_user(test, name, by_user[name], known, times) for name in names)
    unknown = sorted({event.metric for name in names for event in by_user[name]} - known - {""})
    notes = ["users who did nothing are in the file only if a line says that they were exposed"]
    if unknown:
        notes.append(f"the test measures none of these: {', '.join(unknown[:10])}")
    if len(by_user) > most:
        notes.append(f"{most:,} of {len(by_user):,} users, the first by name")
    return Traffic(came, start, times, tuple(notes))


def _user(
    test: Experiment,
    unit: str,
    events: list[TimedEvent],
    known: set[str],
    times: Sequence[datetime],
) -> Came:
    """One user, look by look: his sums grow by what is new."""
    events = sorted(events, key=lambda event: event.at)
    person = Person(variant="", exposed_at=events[0].at)
    before: dict[str, Moments] = {}
    sums: list[tuple[int, str, Moments]] = []
    buckets: dict[str, int] = {}
    moved: list[tuple[int, str, int]] = []
    by_look: dict[int, list[TimedEvent]] = {}
    for event in events:
        if event.metric in known:
            by_look.setdefault(_look(times, event.at), []).append(event)
    for look, some in by_look.items():
        totals = dict(person.totals)
        for event in some:
            total = totals.get(event.metric, Total())
            value = millionths(event.value, f"line {event.line}: value")
            totals[event.metric] = Total(total.sum + value, total.records + 1)
        person = replace(person, totals=totals)
        for name, one in _sums(test, person):
            grown = _less(one, before.get(name, NOTHING))
            if grown != NOTHING:
                sums.append((look, name, grown))
            before[name] = one
        for name, bucket in _buckets(test, person):
            if buckets.get(name) != bucket:
                moved.append((look, name, bucket))
                buckets[name] = bucket
    return Came(unit, _look(times, events[0].at), tuple(sums), tuple(moved))


def _less(one: Moments, other: Moments) -> Moments:
    return Moments(
        one.seen - other.seen,
        one.y - other.y,
        one.yy - other.yy,
        one.z - other.z,
        one.zz - other.zz,
        one.yz - other.yz,
    )


def _sums(test: Experiment, person: Person) -> Iterator[tuple[str, Moments]]:
    for name, shape in test.measured.items():
        if shape.kind != "quantile":
            found = moments_of(shape, person)
            if found != NOTHING:
                yield name, found


def _buckets(test: Experiment, person: Person) -> Iterator[tuple[str, int]]:
    for name, shape in test.measured.items():
        if shape.kind == "quantile":
            bucket = bucket_in(shape, person)
            if bucket is not None:
                yield name, bucket


def spread(first: datetime, last: datetime, looks: int) -> tuple[datetime, tuple[datetime, ...]]:
    """The start, and the moments of so many looks, the last of them after everything."""
    span = max(last - first, timedelta(minutes=looks)) + timedelta(seconds=1)
    return first, tuple(first + span * number / looks for number in range(1, looks + 1))


def _look(times: Sequence[datetime], at: datetime) -> int:
    return next(number for number, time in enumerate(times) if at <= time)


def enough(users: int) -> None:
    """Refuse too few users."""
    if users < FEWEST_USERS:
        raise Refused(
            f"there are {users} users, and fewer than {FEWEST_USERS} say nothing about how often a "
            "test is wrong; wait for more, or give a file with --events"
        )
