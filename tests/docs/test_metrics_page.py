from datetime import timedelta
from typing import get_args

from greenlane.health.catalogue import CATALOGUE, PLACEHOLDERS, Shape
from greenlane.health.prometheus import ANSWER_SECONDS, FUNCTION, LARGEST_ANSWER
from greenlane.health.reading import read_series
from tests.builders import NOW, workload
from tests.docs.pages import ROOT, code, section, table
from tests.unit.health.datapoints import Cloudwatch, runtime
from tests.unit.health.test_reading import TEN

PAGE = ROOT / "docs" / "metrics.md"


def test_the_catalogue_is_listed() -> None:
    rows = table(PAGE, "The catalogue")

    assert [code(row[0]) for row in rows] == list(CATALOGUE)
    for row in rows:
        metric = CATALOGUE[code(row[0])]
        assert row[1:4] == [metric.unit, metric.worse, "yes" if metric.per_slot else "no"], row
        for part in metric.parts.values():
            assert part.namespace in row[4] or row[4] == "the same"


def test_shapes_and_placeholders_are_listed() -> None:
    shapes = [code(row[0]) for row in table(PAGE, "Recipes for your own", 0)]
    places = [code(row[0]) for row in table(PAGE, "Recipes for your own", 1)]

    assert shapes == list(get_args(Shape))
    assert places == [f"{{{name}}}" for name in PLACEHOLDERS]


def test_what_is_said_of_prometheus_is_so() -> None:
    text = section(PAGE, "Prometheus")

    assert f"`{FUNCTION}`" in text
    assert f"waits {ANSWER_SECONDS:g} seconds" in text
    assert LARGEST_ANSWER == 2**20
    assert "1 MiB" in text


def test_the_number_of_metrics_that_a_look_reads_is_so() -> None:
    cloudwatch = Cloudwatch()
    metrics = [CATALOGUE[name] for name in TEN]
    end = NOW + timedelta(minutes=1)

    read_series(runtime(cloudwatch), workload(), metrics, start=NOW, end=end)

    (asked,) = cloudwatch.asked
    assert f"that is {len(asked['MetricDataQueries'])} metrics" in section(PAGE, "What it costs")
