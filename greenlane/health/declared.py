"""Metrics as users declare them: `service.metrics.<name>` and `service.database` in YAML.

For `ServiceConfig`: `metrics: DeclaredMetrics`, a checked mapping of `MetricDeclaration` by name,
and `database: DatabaseSettings | None`. Nothing here imports the deployments' models, for
their configuration imports this.

A name of the catalogue needs no definition: what is written are its rules. With a definition it
is read from elsewhere, such as a team's own `conversion_rate`; unit, shape and direction stay
those of the catalogue unless they are written. Any other name needs a definition, one of three:

* one CloudWatch metric: `namespace`, `metric`, `dimensions`, `statistic`
* metric math: `parts`, each such a metric, and `math` over their ids
* Prometheus: `promql`, a query that gives one series

The values of dimensions, and a query, may hold the placeholders of `catalogue.PLACEHOLDERS`. A
metric that names something of one slot has a value for each slot, any other one for the service.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)

from greenlane.deployments.storing.shapes import Document
from greenlane.deployments.storing.stored import is_stored
from greenlane.health.catalogue import (
    CATALOGUE,
    DATABASE_CONNECTIONS,
    OF_A_FLAG,
    PLACEHOLDERS,
    VALUE,
    Metric,
    Part,
    Parts,
    Shape,
    Unit,
    Worse,
)
from greenlane.health.criteria import MetricRules
from greenlane.problems import suggest

MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,79}$")]
PartId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Statistic = Annotated[
    str,
    Field(
        pattern=r"^(Average|Sum|Minimum|Maximum|SampleCount|IQM|p\d{1,2}(\.\d{1,10})?|p100"
        r"|(tm|wm|tc|ts)\d{1,2}(\.\d{1,10})?|(TM|WM|TC|TS|PR)\([0-9.%]*:[0-9.%]*\))$"
    ),
]
"""A statistic by CloudWatch's name: `Average`, `p99`, `tm95`, `TC(2:)`."""

COUNTED: Mapping[Shape, str] = {"proportion": "SampleCount", "mean": "SampleCount"}
"""What counts the samples of a single metric that is a mean of samples."""

UNITS: Mapping[Shape, Unit] = {
    "proportion": "ratio",
    "latency": "ms",
    "gauge": "count",
    "flow": "per minute",
    "mean": "score",
    "sum": "count",
}
"""The unit of a metric whose declaration names none."""

BY_VARIANT = "it is reported by feature flag, so only the conditions of a flag can name it"
"""Why no deployment is judged by such a metric."""

_FUNCTIONS = re.compile(
    "ABS|AND|AVG|CEIL|DIFF|DIFF_TIME|FILL|FLOOR|IF|LOG|LOG10|MAX|MIN|OR|PERIOD|RATE|REPEAT|LINEAR"
    "|RUNNING_SUM|STDDEV|SUM|TIME_SERIES|MINUTE|HOUR|DAY|DATE|MONTH|YEAR|EPOCH"
)
"""Of CloudWatch's metric math, less what searches, detects anomalies or gives several series."""

_WORD = re.compile(r"(?<![\w.])[A-Za-z]\w*")
_RESERVED = frozenset({"and", "or", "not", "for", "true", "false"})


class PartDeclaration(Document):
    """One statistic of one CloudWatch metric, each minute."""

    namespace: str = Field(pattern=r"^[^:\s][^:]{0,254}$")
    metric: str = Field(min_length=1, max_length=255)
    dimensions: dict[str, str] = Field(default_factory=dict, max_length=30)
    statistic: Statistic = "Average"

    @model_validator(mode="after")
    def _known_placeholders(self, info: ValidationInfo) -> Self:
        if not is_stored(info):
            for name, value in self.dimensions.items():
                if not value:
                    raise ValueError(f"dimensions: {name} has no value")
                _check_braces(value)
        return self

    def part(self, statistic: str | None = None) -> Part:
        """The same as a part of the catalogue."""
        return Part(
            self.namespace,
            self.metric,
            statistic or self.statistic,
            tuple(self.dimensions),
            self.dimensions,
        )


class DatabaseSettings(Document):
    """The database whose connections are counted, in percent of what its pools may open.

    Attributes:
        instance: the RDS instance's identifier.
        pool_maximum: connections that all tasks together may open, or the database's own maximum.
    """

    instance: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,62}$")
    pool_maximum: int = Field(ge=1)


class MetricDeclaration(MetricRules):
    """A metric's rules, and its definition where it is not the catalogue's.

    Attributes:
        namespace: of a single CloudWatch metric.
        metric: its name.
        dimensions: their values, with placeholders.
        statistic: its statistic; `Average` when left out.
        parts: several CloudWatch metrics by id, for `math`.
        math: CloudWatch metric math over the ids of `parts`; it must give one time series.
        promql: a Prometheus query that gives one series; a range in it is best `[1m]`.
        samples: what counts its samples: the id of one of `parts`, or another PromQL query.
        shape: how it is judged; a gauge when left out.
        unit: of its values.
        worse: the direction that harms; a name not in the catalogue must say it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: str | None = None
    metric: str | None = None
    dimensions: dict[str, str] = Field(default_factory=dict)
    statistic: Statistic | None = None
    parts: dict[PartId, PartDeclaration] = Field(default_factory=dict, max_length=20)
    math: str | None = Field(None, min_length=1, max_length=2048)
    promql: str | None = Field(None, min_length=1, max_length=4096)
    samples: str | None = Field(None, min_length=1, max_length=4096)
    shape: Shape | None = None
    unit: Unit | None = None
    worse: Worse | None = None

    @property
    def defined(self) -> bool:
        """Whether it says where its numbers come from."""
        return any((self.metric, self.math, self.promql))

    @property
    def by_variant(self) -> bool:
        """Whether an application reports it by feature flag."""
        values = [value for part in self.parts.values() for value in part.dimensions.values()]
        texts = (*self.dimensions.values(), *values, self.promql or "", self.samples or "")
        return any(f"{{{name}}}" in text for name in OF_A_FLAG for text in texts)

    @model_validator(mode="after")
    def _one_definition(self, info: ValidationInfo) -> Self:
        if is_stored(info):
            return self
        given = [name for name in ("metric", "math", "promql") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"define it once, not by {' and '.join(given)}")
        for problem in self._left_over():
            raise ValueError(problem)
        if self.math is not None:
            _check_math(self.math, self.parts)
        for query in (self.promql, self.samples):
            if query is not None and self.promql is not None:
                _check_query(query)
        if self.metric is not None:
            self._single()
        return self

    def _left_over(self) -> Iterator[str]:
        """What is written without what it belongs to."""
        single = ("namespace", "dimensions", "statistic")
        if self.metric is None:
            yield from (f"{name}: belongs to metric" for name in single if getattr(self, name))
        elif self.namespace is None:
            yield "namespace: is missing, such as MyCompany/Orders"
        if bool(self.parts) != (self.math is not None):
            yield "parts and math belong together"
        if VALUE in self.parts:
            yield f"parts: {VALUE} is the result's own name; choose another id"
        if self.samples is not None and self.math is not None and self.samples not in self.parts:
            yield f"samples: {self.samples!r} is not one of parts: {', '.join(self.parts)}"
        if self.samples is not None and self.math is None and self.promql is None:
            yield "samples: belongs to math, as a part's id, or to promql, as a query"
        if self.by_variant and self.shape in ("flow", "sum"):
            yield (
                f"shape: a {self.shape} by variant grows with those who have it; report a share or"
                " a mean instead, with shape proportion or mean"
            )

    def _single(self) -> PartDeclaration:
        assert self.namespace is not None
        assert self.metric is not None
        return PartDeclaration(
            namespace=self.namespace,
            metric=self.metric,
            dimensions=self.dimensions,
            statistic=self.statistic or "Average",
        )

    def as_metric(self, name: str) -> Metric:
        """The metric that it declares, filled up from the catalogue where the name is known."""
        known = CATALOGUE.get(name)
        if not self.defined and known is not None:
            return known
        shape = self.shape or (known.shape if known else "gauge")
        metric = Metric(
            name,
            shape,
            self.unit or (known.unit if known else UNITS[shape]),
            self.worse or (known.worse if known else "up"),
            {},
            "",
            _its_value,
            minutes=known.minutes if known else 1,
            cumulative=known.cumulative if known else False,
            lacks=BY_VARIANT if self.by_variant else "",
        )
        if self.promql is not None:
            samples = "n" if self.samples else None
            return replace(metric, promql=self.promql, promql_samples=self.samples, samples=samples)
        if self.math is not None:
            parts = {part: declared.part() for part, declared in self.parts.items()}
            return replace(metric, parts=parts, math=self.math, samples=self.samples, computed=True)
        return self._of_one_metric(metric)

    def _of_one_metric(self, metric: Metric) -> Metric:
        single = self._single()
        parts = {VALUE: single.part()}
        counted = COUNTED.get(metric.shape)
        if counted is not None and single.statistic == "Average":
            parts["n"] = single.part(counted)
        return replace(metric, parts=parts, math=VALUE, samples="n" if "n" in parts else None)


def _defined(
    metrics: dict[str, MetricDeclaration], info: ValidationInfo
) -> dict[str, MetricDeclaration]:
    if is_stored(info):
        return metrics
    for name, declared in metrics.items():
        if name == "error_rate" and declared.defined:
            raise ValueError(
                f"{name}: is counted from the balancer's requests and read from nowhere else; give"
                " yours a name of its own, such as app_error_rate"
            )
        if name in CATALOGUE:
            continue
        if name in _RESERVED:
            raise ValueError(f"{name}: is a word of expressions; choose another name")
        if not declared.defined:
            raise ValueError(
                f"{name}: is not in the catalogue{suggest(name, tuple(CATALOGUE))}; define it by"
                " namespace and metric, by parts and math, or by promql"
            )
        if declared.worse is None:
            raise ValueError(f"{name}: say which direction harms, `worse: up` or `worse: down`")
    return metrics


DeclaredMetrics = Annotated[dict[MetricName, MetricDeclaration], AfterValidator(_defined)]
"""The type of `service.metrics`."""


def known_metrics(
    declared: Mapping[str, MetricDeclaration], database: DatabaseSettings | None = None
) -> dict[str, Metric]:
    """Every metric of one service by name: the catalogue, and what its owner declared."""
    metrics = dict(CATALOGUE)
    if database is not None:
        metrics[DATABASE_CONNECTIONS] = of_pool(CATALOGUE[DATABASE_CONNECTIONS], database)
    return metrics | {name: one.as_metric(name) for name, one in declared.items() if one.defined}


def of_pool(metric: Metric, database: DatabaseSettings) -> Metric:
    """The connections of one database, in percent of its declared pool."""
    instance = {"DBInstanceIdentifier": database.instance}
    parts = {name: replace(part, values=instance) for name, part in metric.parts.items()}

    def percent(minute: Parts) -> float | None:
        return 100 * minute["d"] / database.pool_maximum if "d" in minute else None

    math = metric.math.format(pool=database.pool_maximum)
    return replace(metric, parts=parts, math=math, value=percent, lacks="")


def rules_of(declared: Mapping[str, MetricDeclaration]) -> dict[str, MetricRules]:
    """How each declared metric is judged, for `Criteria.rules`."""
    return {name: MetricRules.model_validate(one.model_dump()) for name, one in declared.items()}


def _its_value(minute: Parts) -> float | None:
    return minute.get(VALUE)


def _check_braces(text: str) -> None:
    for name in re.findall(r"\{([^{}]*)\}", text):
        if name not in (*PLACEHOLDERS, *OF_A_FLAG):
            known = ", ".join(f"{{{one}}}" for one in (*PLACEHOLDERS, *OF_A_FLAG))
            raise ValueError(f"{{{name}}} is not known; there are {known}")


def _check_math(math: str, parts: Mapping[str, PartDeclaration]) -> None:
    """Whether an expression names its parts and CloudWatch's functions only."""
    for word in _WORD.findall(math):
        if word not in parts and _FUNCTIONS.fullmatch(word) is None:
            raise ValueError(f"math: {word!r} is neither one of parts nor a function that is known")


def _check_query(query: str) -> None:
    """Whether braces that name something of ours are spelt right; PromQL has braces of its own."""
    for name in re.findall(r"\{([a-z_]*)\}", query):
        if name:
            _check_braces(f"{{{name}}}")
