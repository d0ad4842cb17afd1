"""What one user adds to the counters of a test: a pure function of what is known of him.

So a change of a user changes the counters by the difference of two of these, and it does not
matter in which steps he came to be what he is: the differences telescope.

Counters by name (what follows `<epoch>#<variant>` in the table), and in each whole numbers:

- the empty name: `n` users, `crossovers`, `before_exposure`, and of each metric `<metric>:seen`,
  `:y`, `:yy`, `:z`, `:zz`, `:yz`, see `greenlane.experiments.statistics.moments`;
- `#h#<metric>`: users in each bucket of a quantile, `b<number>`;
- `#s#<segment>`, `#s#<segment>#h#<metric>`: the same for the users of a segment.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace

from greenlane.experiments.counting.people import Person, Total
from greenlane.experiments.model import Experiment, MetricShape
from greenlane.experiments.statistics.moments import UNIT, Moments, UserTotal, capped, change
from greenlane.experiments.statistics.quantiles import bucket_of

Counters = Mapping[str, Mapping[str, int]]
"""Numbers by the counter's name and their own."""

USERS, CROSSOVERS, BEFORE_EXPOSURE = "n", "crossovers", "before_exposure"
HISTOGRAM, SEGMENT = "#h#", "#s#"

PARTS = tuple(one.name for one in fields(Moments))
"""Of a metric's sums."""


def names_of(shape: MetricShape) -> tuple[str, ...]:
    """Under which names a metric is recorded; those of its covariate aside."""
    if shape.numerator is not None and shape.denominator is not None:
        return (shape.numerator, shape.denominator)
    return (shape.name,)


def covariates_of(test: Experiment) -> frozenset[str]:
    """All covariates that a test names."""
    return frozenset(
        shape.covariate for shape in test.measured.values() if shape.covariate is not None
    )


def moments_of(shape: MetricShape, person: Person) -> Moments:
    """What a user who counts adds to a metric's sums."""
    own = [person.totals.get(name) for name in names_of(shape)]
    seen = int(any(total is not None for total in own))
    first = own[0] or Total()
    if shape.kind == "ratio":
        total = UserTotal(first.sum, (own[-1] or Total()).sum)
    elif shape.per == "record":
        total = UserTotal(first.sum, first.records * UNIT)
    else:
        known = person.before.get(shape.covariate, 0) if shape.covariate is not None else 0
        total = UserTotal(first.sum, known)
    return replace(change(None, capped(total, shape.most_per_user)), seen=seen)


def bucket_in(shape: MetricShape, person: Person) -> int | None:
    """The bucket of a user's total of a quantile; None without records.

    It is stored with the user: another machine's logarithm may differ in its last bit.
    """
    total = person.totals.get(shape.name)
    return None if total is None else bucket_of(total.sum / UNIT)


def stands_for(test: Experiment, person: Person) -> dict[str, dict[str, int]]:
    """All that a user adds to the counters of his variant and epoch; zeros are left out."""
    if person.variant is None:
        return {}
    every: dict[str, int] = {BEFORE_EXPOSURE: person.early}
    if person.crossover:
        return {"": _whole({**every, CROSSOVERS: 1})}
    counts = {"": {USERS: 1}, **{name: dict(one) for name, one in _histograms(test, person)}}
    for name, shape in test.measured.items():
        if shape.kind != "quantile":
            sums = moments_of(shape, person)
            counts[""] |= {f"{name}:{part}": getattr(sums, part) for part in PARTS}
    found = {
        f"{SEGMENT}{segment}{name}": _whole(one)
        for segment in person.segments
        for name, one in counts.items()
    }
    counts[""] |= every
    return found | {name: _whole(one) for name, one in counts.items()}


def _histograms(test: Experiment, person: Person) -> Iterator[tuple[str, dict[str, int]]]:
    for name, shape in test.measured.items():
        if shape.kind == "quantile" and name in person.buckets:
            yield f"{HISTOGRAM}{name}", {f"b{person.buckets[name]}": 1}


def _whole(numbers: Mapping[str, int]) -> dict[str, int]:
    return {name: number for name, number in numbers.items() if number}


def difference(before: Counters, after: Counters) -> dict[str, dict[str, int]]:
    """What must be added to counters for one to become the other; zeros are left out."""
    found = {}
    for counter in sorted(before.keys() | after.keys()):
        old, new = before.get(counter, {}), after.get(counter, {})
        changed = {
            name: new.get(name, 0) - old.get(name, 0) for name in sorted(old.keys() | new.keys())
        }
        if changed := _whole(changed):
            found[counter] = changed
    return found
