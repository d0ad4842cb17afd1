"""Exact sums over users: what is kept of a metric, and all that its analysis needs.

Values are whole millionths and sums are whole numbers, so they are exact, whatever the order,
the batches or the shards. Mean and variance are made from them by one division at the end, which
rounds once: nothing cancels, however far the values are from 0.

A user's total changes by and by. `change` gives what the sums must grow by when it does: changes
add up to what the last total alone would give, so it does not matter how they were batched.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from fractions import Fraction
from typing import NamedTuple

from greenlane.errors import InvalidInput

SCALE = 6
"""Decimals of a value that are kept; the next one is rounded half to even."""

UNIT = 1_000_000
"""10**SCALE."""

LARGEST = 10**9
"""A user's total of a metric, at most, from either side of 0."""

DIGITS = 38
"""Of a number in DynamoDB. Users times the square of 10**(9 + 6) fit for 10**8 users."""

_WIDE = Context(prec=60)


class OutOfBudget(InvalidInput):
    """A value or a sum has more digits than can be counted exactly; nothing was counted."""


class UserTotal(NamedTuple):
    """What one user has so far, in millionths.

    `y` is the metric or the numerator of a ratio, `z` the denominator or the covariate.
    """

    y: int = 0
    z: int = 0


def millionths(value: Decimal | int | float | str, field: str = "value") -> int:
    """A value as whole millionths, rounded half to even.

    Args:
        value: a float counts as it is printed: 0.1 is one tenth.
        field: what to call it in an error.

    Raises:
        OutOfBudget: it is more than 10**9 from 0.
        InvalidInput: it is no finite number.
    """
    try:
        exact = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, TypeError, ValueError):
        raise InvalidInput(field, value, "send a number, such as 1 or 12.50") from None
    if isinstance(value, bool) or not exact.is_finite():
        raise InvalidInput(field, value, "send a finite number, such as 1 or 12.50")
    # Not `abs`, which rounds, and so overflows where an exponent has seven digits.
    if exact.copy_abs() > LARGEST:
        raise OutOfBudget(field, value, "a user's total is at most 10**9; use a larger unit")
    return int(exact.scaleb(SCALE, _WIDE).to_integral_value(ROUND_HALF_EVEN, _WIDE))


def capped(total: UserTotal, cap: Decimal | None) -> UserTotal:
    """A user's total, winsorised at a cap that never changes; exact, unlike at a percentile."""
    if cap is None:
        return total
    most = millionths(cap, "cap")
    return UserTotal(max(-most, min(most, total.y)), total.z)


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over the users of one variant, in millionths and their squares.

    Args:
        seen: users with at least one record. How many users there are is not counted here: that
            comes from exposures, for users without events are zeros.
        y: the sum of the metric.
        yy: of its square.
        z: of the denominator or covariate.
        zz: of its square.
        yz: of the products.
    """

    seen: int = 0
    y: int = 0
    yy: int = 0
    z: int = 0
    zz: int = 0
    yz: int = 0

    def __add__(self, other: "Moments") -> "Moments":
        """Both together; exact, in any order.

        Raises:
            OutOfBudget: a sum has more than 38 digits.
        """
        return Moments(
            self.seen + other.seen,
            within_digits("y", self.y + other.y),
            within_digits("yy", self.yy + other.yy),
            within_digits("z", self.z + other.z),
            within_digits("zz", self.zz + other.zz),
            within_digits("yz", self.yz + other.yz),
        )

    def as_decimals(self) -> dict[str, Decimal]:
        """By name, as DynamoDB holds them: whole numbers of at most 38 digits."""
        return {one.name: Decimal(getattr(self, one.name)) for one in fields(self)}


def within_digits(field: str, number: int) -> int:
    """The number, when it has at most 38 digits.

    Raises:
        OutOfBudget: it has more.
    """
    if abs(number) >= 10**DIGITS:
        said = "it has more than 38 digits; use a larger unit, or a cap"
        raise OutOfBudget(field, f"about 10**{len(str(abs(number))) - 1}", said)
    return number


def change(before: UserTotal | None, after: UserTotal) -> Moments:
    """What the sums grow by when a user's total goes from one to the other.

    Args:
        before: None for a user without records until now.
        after: capped already, where there is a cap.

    Raises:
        OutOfBudget: a total is more than 10**9 from 0.
    """
    for field, number in (("y", after.y), ("z", after.z)):
        if abs(number) > LARGEST * UNIT:
            said = "a user's total is at most 10**9; use a larger unit, or a cap"
            raise OutOfBudget(field, Decimal(number).scaleb(-SCALE), said)
    old = before if before is not None else UserTotal()
    return Moments(
        1 if before is None else 0,
        after.y - old.y,
        after.y**2 - old.y**2,
        after.z - old.z,
        after.z**2 - old.z**2,
        after.y * after.z - old.y * old.z,
    )


def together(parts: Iterable[Moments]) -> Moments:
    """All shards or days in one.

    Raises:
        OutOfBudget: a sum has more than 38 digits.
    """
    return sum(parts, Moments())


def mean(users: int, total: int) -> float:
    """A mean, correctly rounded.

    Args:
        users: at least 1.
        total: a sum, in millionths.
    """
    below: int = users * UNIT
    return total / below


def variance(users: int, total: int, squares: int) -> float:
    """The variance of one user (divided by n - 1), correctly rounded: bit-equal to Fraction's.

    Args:
        users: at least 2.
        total: a sum, in millionths.
        squares: the sum of its squares.
    """
    below: int = users * (users - 1) * UNIT**2
    return spread(users, total, total, squares) / below


def spread(users: int, total: int, other: int, products: int) -> int:
    """Users times the sum of products about both means; whole, so nothing is lost."""
    return users * products - total * other


def covariance(users: int, moments: Moments) -> Fraction:
    """Of y and z, exact."""
    whole = spread(users, moments.y, moments.z, moments.yz)
    return Fraction(whole, users * (users - 1) * UNIT**2)
