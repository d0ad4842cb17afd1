"""What is sent of users (what they were shown, what they did), and what became of it."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

Result = Literal[
    "counted",
    "pending",
    "duplicate",
    "before_exposure",
    "crossover",
    "not_in_test",
    "refused",
    "retry",
]
"""What became of an event.

- `counted`: it is in the sums (or, of a covariate, in what was known before).
- `pending`: the user is not known to be exposed; it is counted when that comes, if it then turns
  out to be later than the exposure.
- `duplicate`: this event was here before; nothing was changed.
- `before_exposure`: it happened before the user was exposed; counted as such, and in no sum.
- `crossover`: the user was seen with two variants, and counts no more.
- `not_in_test`: the user takes no part, or the test does not run; `why` says which.
- `refused`: it is wrong; `why` says what and the way out. Sending it again does not help.
- `retry`: send it again, under the same id: too many others write the same counters. What got in
  does not count twice.
"""

Exposed = Literal["exposed", "again", "crossover", "not_in_test"]
"""What became of an exposure: the first one, a further one of the same variant, one of another
variant (the user counts no more), or none, for the user takes no part."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a user did, or was measured of him.

    Args:
        test: the name of the test.
        unit: who, as the test's `unit` has it.
        metric: what is recorded: the name of a metric, of a ratio's numerator or denominator, or of
            a covariate.
        value: a number; 1 for "did it". A float counts as it is printed.
        id: what tells this event from all others of this user and metric. Sent again under the
            same id, it counts once.
        at: when it happened, aware; None is now.
        variant: that the caller believes the user has; None does not say. Another one than is on
            record makes the user a crossover.
    """

    test: str
    unit: str
    metric: str
    value: Decimal | int | float | str
    id: str
    at: datetime | None = None
    variant: str | None = None


@dataclass(frozen=True, slots=True)
class Exposure:
    """That a user was shown a variant.

    Args:
        test: the name of the test.
        unit: who; None takes it out of the context.
        variant: what was shown; None is what the user is dealt.
        context: what is known of the user: for targeting, segments, and covariates by their names.
        at: when, aware; None is now.
        epoch: of the assignment, where the caller kept it: after a change of weights it says by
            which of them he was dealt. Without it that is found by the variant.
        run: of the assignment, where the caller kept it: what was shown of an earlier run says
            nothing of this one, in which all users were dealt anew.
    """

    test: str
    unit: str | None = None
    variant: str | None = None
    context: dict[str, Any] = field(default_factory=dict)
    at: datetime | None = None
    epoch: int | None = None
    run: int | None = None


class Recorded(NamedTuple):
    """What became of an event, and why where that is not plain."""

    result: Result
    why: str = ""


class Seen(NamedTuple):
    """What became of an exposure: the variant on record (the control where there is none)."""

    result: Exposed
    variant: str
    why: str = ""


class Assigned(NamedTuple):
    """What a user gets.

    Args:
        variant: its name; the control's where the user takes no part.
        why: as `greenlane.experiments.dealing` has it, or `recorded`: it is on record.
        takes_part: whether showing it is an exposure.
        epoch: of the weights that dealt it; None where nobody dealt.
        run: of the test.
    """

    variant: str
    why: str
    takes_part: bool
    epoch: int | None
    run: int
