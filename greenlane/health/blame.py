"""Whether the environment is to blame: what both slots suffer from, the candidate did not bring.

Going back would move the traffic from one sick slot to the other. So a criterion that the live
slot misses just as much holds, until either the environment mends or the candidate is shown to be
worse than the live slot. Pure; no I/O.
"""

from typing import Protocol

from greenlane.deployments.model import Slot
from greenlane.health.catalogue import Metric
from greenlane.health.criteria import Criterion, MetricRules
from greenlane.health.findings import Outcome
from greenlane.health.sequential import Count, upper_bound
from greenlane.health.series_tests import FEWEST_MINUTES
from greenlane.health.shares import SURE_OF_BASELINE, total
from greenlane.health.slowness import alone
from greenlane.health.view import View

FEWEST_SAMPLES = 20
FEWEST_EVENTS = 5

DOUBLE, NOTICED_MS = 2.0, 50.0
"""Response times follow the time of day: before the environment is blamed for them they must have
doubled, and by so many milliseconds that somebody notices."""


class Compare(Protocol):
    """`greenlane.health.verdicts.compare`."""

    def __call__(  # noqa: D102
        self,
        view: View,
        metric: Metric,
        criterion: Criterion,
        rule: MetricRules,
        level: float,
        slot: Slot | None = None,
    ) -> Outcome | None: ...


def blamed_on_environment(
    view: View,
    metric: Metric,
    criterion: Criterion,
    outcome: Outcome,
    level: float,
    compare: Compare,
) -> str:
    """Why the criterion holds instead, or nothing."""
    if not (view.own(metric.name, view.candidate) and view.own(metric.name, view.live)):
        return _so_before(view, metric, criterion, outcome)
    relative = criterion.model_copy(update={"against": "live", "limit": 0})
    if criterion.against == "live":
        if outcome.verdict == "fail" or not _both_worse(view, metric, criterion):
            return ""
        return "both slots are worse than before the deployment: the environment is to blame"
    if outcome.verdict != "fail":
        return ""
    to_live = compare(view, metric, relative, MetricRules(), level)
    if to_live is None or to_live.verdict == "fail":
        return ""
    if criterion.against == "baseline":
        alike = metric.shape in ("flow", "sum") or _both_worse(view, metric, criterion)
        return "the live slot changed as much: the environment is to blame" if alike else ""
    live = compare(view, metric, criterion, MetricRules(), level, view.live)
    if live is None or live.verdict != "fail":
        return ""
    # A lowest rate or sum is the whole service's: both slots have the same one.
    whole = metric.shape in ("flow", "sum") and metric.worse == "down"
    if live.samples < FEWEST_SAMPLES and not whole:
        return ""
    return f"the live slot misses it too, the environment is to blame: {outcome.reason}"


def follows_live(
    view: View,
    metric: Metric,
    criterion: Criterion,
    outcome: Outcome,
    level: float,
    compare: Compare,
) -> bool:
    """Whether less than before the deployment is no less than the candidate's share by now.

    Traffic follows the time of day, and the live slot's in the same minutes follows it too.
    """
    if criterion.against != "baseline" or outcome.verdict == "pass":
        return False
    if metric.shape not in ("flow", "sum") or metric.worse != "down":
        return False
    if not (view.own(metric.name, view.candidate) and view.own(metric.name, view.live)):
        return False
    relative = criterion.model_copy(update={"against": "live"})
    found = compare(view, metric, relative, MetricRules(), level)
    return (
        found is not None
        and found.verdict == "pass"
        and found.recent >= FEWEST_MINUTES
        and found.newest is not None
        and view.segment_of(found.newest) == view.current
    )


def _so_before(view: View, metric: Metric, criterion: Criterion, outcome: Outcome) -> str:
    """Of a metric that both slots share it is only known whether it was as bad before."""
    before = view.before(metric.name)
    if criterion.against != "limit" or outcome.verdict != "fail":
        return ""
    if before is None or before.value is None:
        return ""
    up = metric.worse == "up"
    if before.value > criterion.limit if up else before.value < criterion.limit:
        return f"it was missed before the deployment too: {outcome.reason}"
    return ""


def _both_worse(view: View, metric: Metric, criterion: Criterion) -> bool:
    """Whether both slots are clearly worse in this step than the live slot was before."""
    base = _base(view, metric)
    if metric.shape in ("flow", "sum") or base is None or base <= 0:
        return False
    factor = 1 + alone(metric, float(criterion.limit))
    if metric.shape == "latency":
        factor = max(DOUBLE, 1 + NOTICED_MS / base, factor)
    for slot in (view.candidate, view.live):
        value = _value(view, metric, slot)
        if value is None:
            return False
        if value < base * factor if metric.worse == "up" else value * factor > base:
            return False
    return True


def _base(view: View, metric: Metric) -> float | None:
    before = view.before(metric.name)
    if before is None or before.value is None:
        return None
    if metric.shape == "proportion" and metric.worse == "up" and before.samples:
        return upper_bound(Count(before.samples, before.events), SURE_OF_BASELINE)
    return float(before.value)


def _value(view: View, metric: Metric, slot: Slot) -> float | None:
    if metric.shape != "proportion":
        return view.typical(metric, slot, view.current)
    here = [one for one in view.counts(metric, slot) or () if one.segment == view.current]
    seen = total(here)
    if seen.samples < FEWEST_SAMPLES or (metric.worse == "up" and seen.events < FEWEST_EVENTS):
        return None
    return seen.events / seen.samples
