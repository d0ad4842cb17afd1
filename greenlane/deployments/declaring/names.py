"""Whether the metrics and expressions in a file name things that exist, with lines.

A file of a service knows the service's own metrics. Any other file is read without them: there a
name that is close to a known one is a mistake, and one that is not may be a service's own, so it
is returned, and asked about again when the file is bound to its service.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from greenlane.deployments.declaring.config import BusinessMetric, Monitoring
from greenlane.deployments.declaring.criteria_document import (
    LEAST_MS,
    Alerts,
    Limit,
    SuccessCriteria,
)
from greenlane.errors import InvalidInput
from greenlane.health.asked import ALL_CRITERIA, GROUPS, compared
from greenlane.health.catalogue import CATALOGUE, Metric
from greenlane.health.expressions import (
    PREDICATES,
    And,
    Comparison,
    Expression,
    ExpressionError,
    Not,
    Or,
    comparisons,
    parse,
    plain,
)
from greenlane.health.rules import expand, without_data
from greenlane.problems import Excerpt, Path, dotted, suggest
from greenlane.source import Source

_CLOSE = 0.8
"""How like a known name an unknown one is that must be a slip, as a ratio."""


class Names:
    """The metrics that a file may name.

    Args:
        metrics: those that are known.
        whole: whether there can be no others.
    """

    def __init__(self, metrics: Mapping[str, Metric] = CATALOGUE, *, whole: bool = False) -> None:
        """See the class."""
        self.metrics = metrics
        self.whole = whole
        self.unknown: dict[str, None] = {}

    def problem(self, name: str, *more: str) -> str:
        """What is wrong with a name; nothing when it is known, or may be a service's own."""
        known = (*self.metrics, *more)
        if name in known:
            return ""
        hint = suggest(name, known, cutoff=0.6 if self.whole else _CLOSE)
        if hint or self.whole:
            there_are = hint or f"; there are {', '.join(known)}"
            return f"there is no metric of that name{there_are}"
        self.unknown[name] = None
        return ""

    def expression_problem(self, text: str) -> str:
        """What is wrong with an expression; nothing when it can be read."""
        open_ended = _Open(self)
        try:
            metrics = self.metrics if self.whole else open_ended
            tree = parse(text, metrics)
            rule = expand(tree, metrics)
        except ExpressionError as error:
            return f"at character {error.position}: {error.way_out}"
        if without_data(rule):
            return (
                "it is true where there is no data, so on each slot without traffic; write what "
                "is bad without not"
            )
        self.unknown |= open_ended.invented
        return _healthy(tree, self.metrics) or _in_another_unit(tree, self.metrics)


def _healthy(tree: Expression, metrics: Mapping[str, Metric], denied: bool = False) -> str:
    """Why an expression is true when things are good; nothing where it is not.

    What is joined by `and` needs one part that harms: the others may say when it matters.
    """
    match tree:
        case Not():
            return _healthy(tree.part, metrics, not denied)
        case And() | Or():
            found = [_healthy(part, metrics, denied) for part in tree.parts]
            joined = isinstance(tree, And) != denied
            return "" if joined and not all(found) else next(filter(None, found), "")
        case Comparison() if tree.metric in metrics:
            worse = metrics[tree.metric].worse
            upwards = tree.operator.startswith(">") != denied
            if upwards != (worse == "up"):
                way_out = (">" if worse == "up" else "<") if not denied else "it without not"
                return f"{tree.metric} harms when it goes {worse}; write {way_out}"
    return ""


def _in_another_unit(tree: Expression, metrics: Mapping[str, Metric]) -> str:
    for part in comparisons(tree):
        if isinstance(part, Comparison) and part.metric in metrics:
            never = part.operator == ">" and part.limit == 1
            problem = _unlikely(metrics[part.metric], part.limit, never=never)
            if problem:
                return problem
    return ""


def _unlikely(metric: Metric, limit: Decimal, *, never: bool = False) -> str:
    """Whether a number must be meant in another unit; of metrics whose usual values are known."""
    if metric.name not in CATALOGUE or limit <= 0:
        return ""
    if metric.unit == "ratio" and (limit > 1 or never):
        return f"{metric.name} is a ratio: {plain(limit / 100)} is {plain(limit)} percent"
    if metric.unit == "percent" and limit < 1:
        meant = plain(limit * 100)
        return f"{metric.name} is in percent: write {meant} for {meant} percent"
    if metric.unit == "ms" and limit < LEAST_MS:
        return f"{metric.name} is in ms: write {plain(limit * 1000)} for {plain(limit)} seconds"
    return ""


def _never_meant(metric: BusinessMetric, names: Names) -> str:
    """What is wrong with an absolute limit; a threshold up to 0 is a relative change."""
    known = names.metrics.get(metric.name)
    if known is None or metric.threshold <= 0:
        return ""
    return _unlikely(known, metric.threshold, never=known.worse == "up" and metric.threshold == 1)


class _Open(Mapping[str, Metric]):
    """The known metrics, and any other name that is not close to one of them."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.invented: dict[str, None] = {}

    def __getitem__(self, name: str) -> Metric:
        known = self._names.metrics
        if name in known:
            return known[name]
        if suggest(name, (*known, *PREDICATES), cutoff=_CLOSE):
            raise KeyError(name)
        self.invented[name] = None
        return known["unhealthy_hosts"]  # any metric does: only the grammar is asked about

    def __iter__(self) -> Iterator[str]:
        return iter(self._names.metrics)

    def __len__(self) -> int:
        return len(self._names.metrics)


def problems_of(
    source: Source,
    path: Path,
    names: Names,
    *,
    triggers: tuple[str, ...] = (),
    success: SuccessCriteria | None = None,
    business: tuple[BusinessMetric, ...] = (),
    monitoring: Monitoring | None = None,
    alerts: Alerts | None = None,
) -> list[InvalidInput]:
    """Everything that is wrong with the names below `path`."""
    found: list[tuple[Path, object, str]] = []
    texts: dict[Path, tuple[str, ...]] = {("rollback_triggers",): triggers}
    if alerts is not None:
        texts |= {("alerts", "critical"): alerts.critical, ("alerts", "warning"): alerts.warning}
    for where, expressions in texts.items():
        for number, text in enumerate(expressions):
            found.append(((*where, number), text, names.expression_problem(text)))
    for number, metric in enumerate(business):
        place = ("success_criteria",) if path[:1] == ("canary",) else ()
        at = (*place, "business_metrics", number, "name")
        problem = names.problem(metric.name)
        found.append((at, metric.name, problem))
        if not problem:
            at = (*at[:-1], "threshold")
            found.append((at, str(metric.threshold), _never_meant(metric, names)))
    if success is not None:
        found += _in_criteria(success, names)
    if monitoring is not None:
        found += _in_phases(monitoring, names)
    return [
        InvalidInput(
            dotted((*path, *at)),
            value if isinstance(value, str) else Excerpt(value),
            problem,
            line=source.line((*path, *at)),
        )
        for at, value, problem in found
        if problem
    ]


def _in_criteria(success: SuccessCriteria, names: Names) -> Iterator[tuple[Path, object, str]]:
    for name, limit in success.metrics.items():
        at = ("success_criteria", "metrics", name)
        yield at, name, names.problem(name) or _wrong_limit(name, limit, names)
    for group in ("performance", "business", "system"):
        for name, limit in getattr(success, group):
            if isinstance(limit, Limit):
                yield ("success_criteria", group, name), name, _wrong_limit(name, limit, names)


def _wrong_limit(name: str, limit: Limit, names: Names) -> str:
    """Whether a limit is in another unit, or calls the direction that harms the healthy one."""
    metric = names.metrics.get(name)
    if metric is not None and compared(limit)[0] == "limit":
        never = metric.worse == "up" and limit.threshold == 1
        unlikely = _unlikely(metric, limit.threshold, never=never)
        if unlikely:
            return unlikely
    if metric is None or limit.comparison is None:
        return ""
    wanted = "less_than" if metric.worse == "up" else "greater_than"
    if limit.comparison.startswith(wanted):
        return ""
    against = compared(limit)[0]
    wanted += "" if against == "limit" else f"_{against}"
    return f"{name} harms when it goes {metric.worse}; write comparison: {wanted}"


def _in_phases(monitoring: Monitoring, names: Names) -> Iterator[tuple[Path, object, str]]:
    for phase in ("pre_deployment", "during_deployment", "post_deployment"):
        section = getattr(monitoring, phase)
        for number, name in enumerate(section.metrics if section is not None else ()):
            at = ("monitoring", phase, "metrics", number)
            yield (
                at,
                name,
                names.problem(name, *GROUPS, ALL_CRITERIA).replace(
                    "no metric", "no metric and no group"
                ),
            )
