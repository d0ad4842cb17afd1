"""A/B tests answered as flags: a variant's name is the value. Light enough for a lookup.

What a user gets comes out of the snapshot, as `dealing` has it. Where the variant on record may be
another one (other weights dealt another, or the user is not eligible now), the user's item is read
too, and what it has stays. Nothing is written: that a variant was looked up does not say that a
user saw it.

Metadata of an answer: `experiment`, `run`, `why` (as `dealing` has it, `recorded` or `unreadable`),
`takesPart`, and `epoch` where somebody was dealt. What is shown of an answer that says `takesPart`
is to be reported as an exposure, and nothing else is.
"""

from __future__ import annotations

import time
from collections import namedtuple

from greenlane.experiments.dealing import ASSIGNED, FORMAT, SERVED, Deals, unit_digest
from greenlane.flags.evaluating.evaluation import (
    DEFAULT,
    GENERAL,
    PARSE_ERROR,
    SPLIT,
    STALE,
    STATIC,
    TARGETING_MATCH,
    Evaluation,
    failed,
)
from greenlane.flags.reading.reader import Reader, read_body

TYPE_CHECKING = False  # `typing` itself costs more to import than all of this module
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence
    from typing import Any, NamedTuple, Protocol

    from greenlane.experiments.dealing import Dealer, Dealt
    from greenlane.flags.evaluating.conditions import Context
    from greenlane.flags.reading.sources import Item, Source

    Place = tuple[str, str]
    Record = tuple[str, int]  # variant and epoch

    class ItemSource(Source, Protocol):
        """What reads snapshots, and other items beside them."""

        def items(self, keys: Sequence[Place]) -> list[Item | None]:
            """Items in the order of their keys, at most `MOST_ITEMS`."""
            ...


TESTS = "tests"
"""The "environment" under which the snapshot of all tests lies."""

RECORDED, UNREADABLE = "recorded", "unreadable"
"""Why somebody gets a variant, beside what `dealing` says: it is on record; or the record could
not be read, and he gets the control, and takes no part now."""

MOST_ITEMS = 100
"""Of one `BatchGetItem`."""

REST_SECONDS = 5.0
"""After records that could not be read none are asked for: one timeout is waited for, not many."""

if TYPE_CHECKING:

    class Answer(NamedTuple):
        """What a test is for somebody, and its metadata; empty for an error."""

        found: Evaluation
        metadata: Mapping[str, str | int | bool]
else:
    Answer = namedtuple("Answer", "found metadata")


class Unreadable(LookupError):
    """No snapshot of the tests could be read: nobody knows which there are."""


class TestsReader(Reader):
    """Keeps the deals of all tests up to date, as `Reader` does the engine of flags.

    Args:
        source: of the table of tests.
        clock: Unix seconds.
        more: as `Reader` takes it.
    """

    __test__ = False  # pytest takes its name for a test's

    def __init__(self, source: ItemSource, *, clock: Callable[[], float], **more: Any) -> None:
        """See the class."""
        super().__init__(source, TESTS, clock=clock, **more)

    def deals(self) -> tuple[Deals | None, bool]:
        """The deals, None when there are none to be had, and whether they may be out of date."""
        found: Any = self.engine()
        return found  # type: ignore[no-any-return]

    def _load(self, body: bytes) -> Any:
        return Deals(read_body(body))

    def _nothing(self) -> Any:
        return Deals({"format": FORMAT, "version": 0, "tests": {}})


class Answers:
    """Answers for all tests of a table.

    Args:
        source: of the table.
        clock: Unix seconds.
        more: as `Reader` takes it.
    """

    def __init__(self, source: ItemSource, *, clock: Callable[[], float], **more: Any) -> None:
        """See the class."""
        self._source = source
        self.reader = TestsReader(source, clock=clock, **more)
        self._failed_at = -REST_SECONDS
        self.version = 0
        """Of the tests that were last answered for; 0 while there are none to be had."""

    @classmethod
    def connect(
        cls,
        *,
        table: str = "greenlane-experiments",
        region: str | None = None,
        endpoint_url: str | None = None,
        **more: Any,
    ) -> Answers:
        """The tests of an account out of their table, by boto3's usual credentials.

        Args:
            table: its name.
            region: of the table; by default boto3's own.
            endpoint_url: of DynamoDB, for a local cloud.
            more: as `Reader` takes it, such as `ttl_seconds`.
        """
        import boto3
        from botocore.config import Config

        from greenlane.flags.reading.sources import BotoSource

        make: Any = boto3.client
        retries: Any = {"mode": "standard", "total_max_attempts": 2}
        # A lookup waits for a read, so that one gives up soon.
        config = Config(connect_timeout=1.0, read_timeout=2.0, retries=retries)
        client = make("dynamodb", region_name=region, endpoint_url=endpoint_url, config=config)
        return cls(BotoSource(client, table), clock=time.time, **more)

    def one(self, name: str, context: Context, now: float) -> Answer | None:
        """What a test is for somebody; None when there is no such test.

        Args:
            name: of the test.
            context: `targetingKey`, or the test's `unit`, and whatever targeting asks for.
            now: Unix seconds.

        Raises:
            Unreadable: nobody knows whether there is.
        """
        deals, stale = self._deals()
        if deals is None:
            raise Unreadable
        found = self._of([name], deals, context, now, stale=stale)
        return found[0] if found else None

    def every(self, context: Context, now: float, hidden: Container[str] = ()) -> list[Answer]:
        """Every test, by name; none while they cannot be read.

        Args:
            context: see `one`.
            now: Unix seconds.
            hidden: names that are answered otherwise: those of flags.
        """
        deals, stale = self._deals()
        if deals is None:
            return []
        names = [name for name in sorted({*deals.tests, *deals.broken}) if name not in hidden]
        return self._of(names, deals, context, now, stale=stale)

    def _deals(self) -> tuple[Deals | None, bool]:
        deals, stale = self.reader.deals()
        self.version = 0 if deals is None else deals.version
        return deals, stale

    def _of(
        self, names: Sequence[str], deals: Deals, context: Context, now: float, *, stale: bool
    ) -> list[Answer]:
        dealt: dict[str, Dealt | Evaluation] = {}
        for name in names:
            if name in deals.tests:
                dealt[name] = _dealt(deals.tests[name], context, now)
            elif name in deals.broken:
                dealt[name] = failed(name, PARSE_ERROR, deals.broken[name])
        asked = {
            name: unit_digest(deals.tests[name].salt, one.unit)
            for name, one in dealt.items()
            if not isinstance(one, Evaluation) and one.unit and deals.tests[name].may_differ(one)
        }
        recorded = self._recorded(asked, deals, now, stale=stale)
        return [
            Answer(one, {})
            if isinstance(one, Evaluation)
            else _answer(deals.tests[name], one, *_known(recorded, name), stale=stale)
            for name, one in dealt.items()
        ]

    def _recorded(
        self, asked: Mapping[str, str], deals: Deals, now: float, *, stale: bool
    ) -> dict[str, Record | None]:
        """What is on record of users, by test: None where it cannot be read, none of the others.

        While the tests themselves are stale nothing is asked: it would be one timeout more.
        """
        names = list(asked)
        found: dict[str, Record | None] = {}
        for start in range(0, len(names), MOST_ITEMS):
            some = names[start : start + MOST_ITEMS]
            keys = [(_place(deals.tests[name], asked[name]), "user") for name in some]
            if stale or 0 <= now - self._failed_at < REST_SECONDS:
                found |= dict.fromkeys(some)
                continue
            try:
                items = self._source.items(keys)
                there = zip(some, items, strict=True)
                found |= {name: _record(item) for name, item in there if _is_record(item)}
            except Exception:
                # Whatever it is, a lookup goes on without it.
                self._failed_at = now
                found |= dict.fromkeys(some)
        return found


def _is_record(item: Item | None) -> bool:
    """Whether a user is known to be exposed; events may have come before that."""
    return item is not None and "variant" in item


def _record(item: Any) -> Record:
    return item["variant"]["S"], int(item["epoch"]["N"])


def _place(dealer: Dealer, digest: str) -> str:
    return f"user#{dealer.name}#{dealer.run}#{digest}"


def _dealt(dealer: Dealer, context: Context, now: float) -> Dealt | Evaluation:
    try:
        return dealer.deal(context, now)
    except Exception as error:
        # Its text may quote what is known of the user: it stays out.
        return failed(dealer.name, GENERAL, type(error).__name__)


def _known(recorded: Mapping[str, Record | None], name: str) -> tuple[Record | None, bool]:
    """What is on record of a test's user, and whether that could be read."""
    return recorded.get(name), name not in recorded or recorded[name] is not None


def _answer(
    dealer: Dealer, dealt: Dealt, record: Record | None, readable: bool, *, stale: bool
) -> Answer:
    """What is on record wins over what was dealt."""
    variant, why, epoch = dealt.variant, dealt.why, dealt.epoch
    if not readable:
        variant, why, epoch = dealer.control, UNREADABLE, None
    elif record is not None:
        (variant, epoch), why = record, RECORDED
    takes_part = why in (ASSIGNED, RECORDED)
    reason = SPLIT if takes_part else DEFAULT
    if why == SERVED:
        reason = TARGETING_MATCH if dealer.targeted else STATIC
    about: dict[str, str | int | bool] = {
        "experiment": dealer.name,
        "run": dealer.run,
        "why": why,
        "takesPart": takes_part,
    }
    if epoch is not None:
        about["epoch"] = epoch
    reason = STALE if stale or why == UNREADABLE else reason
    return Answer(Evaluation(dealer.name, variant, variant, reason), about)
