"""What is wrong with A/B tests beyond the shape of single values: names, layers, salts.

All of it is an error: a test that measures something else than it says is found too late.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from greenlane.errors import InvalidInput
from greenlane.experiments.model import Experiment, ExperimentsDocument, MetricShape
from greenlane.flags.definitions.lints import condition_problems, segment_problems
from greenlane.flags.definitions.model import Condition
from greenlane.problems import Path, dotted, excerpt, suggest
from greenlane.source import Source

MOST_COUNTERS = 48
"""Items that one user is counted in; the rest of 100 are the user and 50 events."""

MOST_SUMS = 250
"""Numbers of one counter."""

Found = Iterator[tuple[Path, object, str]]


def problems_of(
    document: ExperimentsDocument, source: Source, *, known: Collection[str] = ()
) -> list[InvalidInput]:
    """Everything that is wrong, with lines.

    Args:
        document: the tests of a file, and those that are stored, where there are any.
        source: the file.
        known: names of further tests, that holdouts may name.
    """
    found = [
        *segment_problems(document.segments),
        *(
            (("ab_tests", name, *at), value, said)
            for name, test in document.ab_tests.items()
            for at, value, said in _test(test, document)
        ),
        *_layers(document),
        *_salts(document),
        *_holdouts(document, {*document.ab_tests, *known}),
    ]
    return [
        InvalidInput(dotted(at), excerpt(value), said, line=source.line(at))
        for at, value, said in found
    ]


def _test(test: Experiment, document: ExperimentsDocument) -> Found:
    if test.control is not None and test.control not in test.variants:
        yield ("control",), test.control, _no("variant", test.control, test.variants)
    control = test.control_variant
    if control in test.variants and test.variants[control] == 0:
        yield ("variants", control), 0, "the control needs users: give it more than 0 percent"
    if test.layer is not None and test.layer.name not in document.layers:
        said = _no("layer", test.layer.name, document.layers)
        yield ("layer", "name"), test.layer.name, said
    flag = test.winner_flag
    if flag is not None and flag.variant is not None and flag.variant not in test.treatments:
        said = _no("treatment", flag.variant, test.treatments)
        yield ("winner_flag", "variant"), flag.variant, said
    yield from _metrics(test)
    yield from _criteria(test)
    yield from _conditions(test, document.segments)
    yield from _counters(test)


def _metrics(test: Experiment) -> Found:
    for key, metrics in (("metrics", test.metrics), ("guardrail_metrics", test.guardrail_metrics)):
        seen: set[str] = set()
        for number, metric in enumerate(metrics):
            if metric.name in seen:
                yield (key, number), metric.name, "it stands here already; keep one of the two"
            seen.add(metric.name)
    shapes = {metric.name: _measured(metric) for metric in test.metrics}
    for number, guardrail in enumerate(test.guardrail_metrics):
        if shapes.get(guardrail.name, _measured(guardrail)) != _measured(guardrail):
            said = "under metrics it is measured otherwise; one name has one kind and direction"
            yield ("guardrail_metrics", number), guardrail.name, said


def _measured(metric: MetricShape) -> tuple[object, ...]:
    return tuple(getattr(metric, key) for key in MetricShape.model_fields)


def _criteria(test: Experiment) -> Found:
    names = [metric.name for metric in test.metrics]
    if test.primary is not None and test.primary not in names:
        yield ("primary",), test.primary, _no("metric", test.primary, names)
        return
    for number, name in enumerate(test.success_criteria):
        at = ("success_criteria", name)
        if name not in names:
            yield at, name, _no("metric", name, names)
        elif test.primary is not None and name != test.primary:
            yield at, name, f"the primary metric is {test.primary}, and it alone decides"
        elif number and test.primary is None:
            said = "one metric decides; make the others guardrails with a margin, or say primary"
            yield at, name, said
    if all(name in names for name in test.success_criteria):
        primary = test.primary_metric
        if primary.direction == "either":
            number = names.index(primary.name)
            said = "the primary metric needs higher or lower"
            yield ("metrics", number, "direction"), "either", said


def _conditions(test: Experiment, segments: Mapping[str, Condition]) -> Found:
    if test.targeting is not None:
        yield from condition_problems(("targeting",), test.targeting, segments)
    for name, condition in test.segments.items():
        yield from condition_problems(("segments", name), condition, segments)


def _counters(test: Experiment) -> Found:
    """One transaction of 100 items changes all counters of a user, one expression of 4 KB all sums.

    Both limits are DynamoDB's.
    """
    shapes = test.measured.values()
    quantiles = sum(shape.kind == "quantile" for shape in shapes)
    counters = (1 + quantiles) * (1 + len(test.segments))
    if counters > MOST_COUNTERS:
        most = MOST_COUNTERS // (1 + quantiles) - 1
        said = f"with {quantiles} quantiles at most {max(most, 0)} segments can be counted apart"
        key = "segments" if test.segments else "metrics"
        yield (key,), f"{len(test.segments)} of them", said
    sums = sum(6 if shape.is_ratio or shape.covariate else 3 for shape in shapes)
    if sums > MOST_SUMS:
        said = (
            f"they need {sums} sums, and {MOST_SUMS} can be counted: 6 for a ratio, a mean per "
            "record and a covariate, else 3"
        )
        yield ("metrics",), f"{len(test.metrics)} of them", said


def _layers(document: ExperimentsDocument) -> Found:
    placed = [
        (test.layer.name, test.layer.start, test.layer.end, name)
        for name, test in document.ab_tests.items()
        if test.layer is not None
    ]
    for number, (layer, start, end, name) in enumerate(placed):
        for other_layer, other_start, other_end, other in placed[:number]:
            if layer == other_layer and start < other_end and other_start < end:
                said = (
                    f"{other} has {other_start} to {other_end} of layer {layer}; "
                    "give each a part of its own"
                )
                yield ("ab_tests", name, "layer"), f"{start} to {end}", said
    first: dict[str, str] = {}
    for layer, _, _, name in placed:
        other = first.setdefault(layer, name)
        unit, others = (document.ab_tests[one].unit for one in (name, other))
        if unit != others:
            said = (
                f"{other} of layer {layer} tells users apart by {others}; tests of one layer need "
                "one unit, or a user is in several of them"
            )
            yield ("ab_tests", name, "unit"), unit, said


def _salts(document: ExperimentsDocument) -> Found:
    """Two tests with one salt deal the same users the same hands."""
    owners: dict[str, str] = {}
    for name, test in document.ab_tests.items():
        salt = test.salt or name
        if salt in owners:
            at = ("ab_tests", name, *(("salt",) if test.salt else ()))
            yield at, salt, f"{owners[salt]} uses this salt; users would fall alike in both"
        owners.setdefault(salt, name)


def _holdouts(document: ExperimentsDocument, known: Collection[str]) -> Found:
    for name, holdout in document.holdouts.items():
        for number, test in enumerate(holdout.tests):
            if test not in known:
                yield ("holdouts", name, "tests", number), test, _no("test", test, sorted(known))


def _no(what: str, name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = suggest(name, names) or (f"; there are {', '.join(names)}" if names else "")
    return f"there is no {what} of that name{near}"
