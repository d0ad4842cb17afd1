"""Many comparisons at once: which are significant, and intervals that say the same.

Each function gives one level for each comparison. A comparison is significant when its p-value is
at most its level, and the interval to show is the one of that level: it leaves out 0 then, and
only then.
"""

from collections.abc import Sequence
from typing import NamedTuple

from greenlane.experiments.statistics.special import normal_isf


class Judged(NamedTuple):
    """One comparison of a family.

    Args:
        adjusted_p: to be held against the level of the family.
        significant: whether it is at most that.
        level: of the comparison's own p-value and of its interval.
    """

    adjusted_p: float
    significant: bool
    level: float

    @property
    def critical(self) -> float:
        """The critical |z| that goes with the level."""
        return normal_isf(self.level / 2)


def bonferroni(p_values: Sequence[float], level: float) -> list[Judged]:
    """No false finding but with probability `level`; intervals hold together."""
    each = level / len(p_values) if p_values else level
    return [Judged(min(1.0, p * len(p_values)), p <= each, each) for p in p_values]


def holm(p_values: Sequence[float], level: float) -> list[Judged]:
    """No false finding but with probability `level`; finds at least what Bonferroni does.

    Each interval is of the level at which its comparison was decided in Holm's steps. One by one
    they hold; all together only those of Bonferroni's level do.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    judged: list[Judged | None] = [None] * len(p_values)
    adjusted, refused_at = 0.0, None
    for rank, index in enumerate(order):
        left = len(p_values) - rank
        adjusted = max(adjusted, min(1.0, p_values[index] * left))
        each = level / left if refused_at is None else refused_at
        significant = refused_at is None and p_values[index] <= each
        if not significant and refused_at is None:
            refused_at = each
        judged[index] = Judged(adjusted, significant, each)
    return [one for one in judged if one is not None]


def benjamini_hochberg(p_values: Sequence[float], level: float) -> list[Judged]:
    """Of the findings, at most the part `level` is false in the mean.

    Intervals as Benjamini and Yekutieli (2005): with R findings of m, each of level R / m times
    `level`; of the findings' intervals at most the part `level` miss, in the mean.
    """
    many = len(p_values)
    order = sorted(range(many), key=lambda index: p_values[index])
    found = max(
        (rank for rank, index in enumerate(order, 1) if p_values[index] <= level * rank / many),
        default=0,
    )
    each = level * max(found, 1) / many if many else level
    adjusted, least = [1.0] * many, 1.0
    for rank in range(many, 0, -1):
        index = order[rank - 1]
        least = min(least, p_values[index] * many / rank)
        adjusted[index] = least
    return [Judged(adjusted[index], p_values[index] <= each, each) for index in range(many)]
