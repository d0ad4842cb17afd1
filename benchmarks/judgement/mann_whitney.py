"""Kayenta's Mann-Whitney classifier, written again from its source (NetflixACAJudge).

Confidence 0.98, tolerance 0.25, direction increase: a metric is High where the lower end of the
interval of the Hodges-Lehmann shift is above a quarter of that shift. The interval is the normal
approximation. Outliers are not removed and nothing is replaced, which are its defaults.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

from greenlane.health.series_tests import median

CONFIDENCE = 0.98
TOLERANCE = 0.25


def worse_by(experiment: Sequence[float], control: Sequence[float]) -> bool:
    """Whether the experiment is classified as High."""
    if len(set(experiment) | set(control)) == 1:
        return False
    shifts = sorted(ours - theirs for ours in experiment for theirs in control)
    estimate = median(shifts)
    lower = shifts[_rank(len(experiment), len(control))]
    return estimate > 0 and lower > TOLERANCE * abs(estimate)


def _rank(ours: int, theirs: int) -> int:
    """Which of the ordered shifts is the lower end of the interval; the first at the least."""
    z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    pairs = ours * theirs
    spread = math.sqrt(pairs * (ours + theirs + 1) / 12)
    return max(math.floor(pairs / 2 - z * spread), 0)
