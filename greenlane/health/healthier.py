"""Whether the live slot is healthier than the candidate, where a condition is true of both.

Pure; no I/O. Going back from one sick slot to another helps nobody, so a trigger or a critical
alert that is true of both slots holds, unless the numbers show that the live slot has less of the
trouble. Shown is what the sequential tests of the criteria show, at their level; what is only
somewhat lower in the same minutes may be chance.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from greenlane.health.catalogue import CERTAIN_ERRORS, Metric
from greenlane.health.criteria import Criterion
from greenlane.health.expressions import Expression
from greenlane.health.observed import Observed
from greenlane.health.rules import expand, watches
from greenlane.health.verdicts import ALPHA, to_live
from greenlane.health.view import View


def live_is_healthier(
    observed: Observed, tree: Expression, metrics: Mapping[str, Metric]
) -> tuple[str, ...]:
    """The metrics of a condition by which the live slot is healthier; none where it is not.

    It is where the candidate is shown to be worse in at least one metric that the condition is
    about, and shown to be better in none of them.
    """
    there, back = View(observed, metrics), View(_swapped(observed), metrics)
    about = list(_about(tree, metrics))
    if any(_shown_worse(back, metric) for metric in about):
        return ()
    return tuple(metric.name for metric in about if _shown_worse(there, metric))


def _about(tree: Expression, metrics: Mapping[str, Metric]) -> Iterator[Metric]:
    """The metrics whose trouble a condition names; what only says when it counts is none."""
    found: dict[str, Metric] = {}
    for watch in watches(expand(tree, metrics)):
        harms = watch.operator.startswith(">") == (watch.metric.worse == "up")
        # What failed for certain is counted in the error rate, which is always beside it.
        if watch.red and harms and watch.metric is not CERTAIN_ERRORS and watch.metric.per_slot:
            found[watch.metric.name] = watch.metric
    yield from found.values()


def _shown_worse(view: View, metric: Metric) -> bool:
    """Whether the candidate's minutes are shown to be worse than the live slot's in the same."""
    criterion = Criterion(metric=metric.name, against="live", limit=Decimal(0))
    found = to_live(view, metric, criterion, ALPHA)
    return found is not None and found.verdict == "fail"


def _swapped(observed: Observed) -> Observed:
    """The same minutes as if the live slot were the candidate."""
    segments = tuple(
        one.model_copy(update={"weight": 100 - one.weight}) for one in observed.segments
    )
    return observed.model_copy(
        update={"candidate": observed.live, "live": observed.candidate, "segments": segments}
    )
