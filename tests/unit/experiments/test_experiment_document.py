from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from greenlane.experiments.document import read_experiments
from greenlane.experiments.model import Experiment
from greenlane.problems import InvalidDocument
from tests.unit.experiments.experimenting import SPEC

WHOLE = """
ab_tests:
  checkout:
    variants: {control: 50, treatment: 50}
    metrics: [conversion_rate]
"""


def read(text: str) -> dict[str, Experiment]:
    return read_experiments(text, "ab-tests.yaml").ab_tests


def refused(text: str) -> str:
    with pytest.raises(InvalidDocument) as caught:
        read(text)
    return str(caught.value)


def test_the_specs_file_means_what_it_says() -> None:
    checkout, colours = read(SPEC).values()

    assert (checkout.control_variant, checkout.treatments) == ("control", ("treatment",))
    assert checkout.primary_metric.name == "conversion_rate"
    assert checkout.criterion.minimum_lift == Decimal("0.05")
    assert checkout.maximum_duration == timedelta(days=14)
    kinds = {one.name: (one.kind, one.direction, one.per) for one in checkout.metrics}
    assert kinds == {
        "conversion_rate": ("proportion", "higher", "user"),
        "revenue_per_visitor": ("mean", "higher", "user"),
        "cart_abandonment_rate": ("proportion", "lower", "user"),
    }
    assert (colours.control_variant, colours.treatments) == ("blue", ("green", "red"))
    assert colours.primary_metric.name == "click_through_rate"
    assert [one.per for one in colours.metrics] == ["user", "record", "record"]
    errors, load = colours.guardrail_metrics
    assert (errors.kind, errors.direction, errors.below) == ("proportion", "lower", Decimal("0.01"))
    assert (load.kind, load.direction, load.below) == ("mean", "lower", Decimal(2000))


def test_all_extensions_are_read() -> None:
    test = read("""
segments: {staff: {attribute: email, op: ends_with, value: "@example.com"}}
layers: {checkout: {}}
holdouts: {q3: {percentage: 5, tests: [t]}}
ab_tests:
  t:
    variants: {old: 12.345, new: 87.655}
    control: new
    metrics:
      - {name: spend, kind: mean, direction: higher, covariate: spend_before, cap: 500}
      - {name: pages, kind: ratio, direction: either, numerator: views, denominator: visits}
      - {name: p95, kind: quantile, direction: lower, quantile: 0.95}
      - {name: tickets, kind: count, direction: lower}
    primary: spend
    guardrail_metrics: [{name: bounce_rate, margin: 0.02}, uptime_rate > 0.99]
    targeting: {not: {segment: staff}}
    segments: {mobile: {device: [ios, android]}}
    layer: {name: checkout, start: 10, end: 60}
    ramp: {steps: [1, 10, 100], interval: 12h}
    traffic: 80
    minimum_duration: 7d
    maximum_duration: 28d
    whole_weeks: false
""")["t"]

    assert test.treatments == ("old",)
    assert test.primary_metric.covariate == "spend_before"
    assert [one.margin for one in test.guardrail_metrics] == [Decimal("0.02"), None]


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (("treatment: 50", "treatment: 40"), 4, "they add up to 90, not to 100"),
        (("metrics: ", "metrisc: "), 5, "did you mean metrics?"),
        (("[conversion_rate]", "[signups]"), 5, "its name does not say its kind and direction"),
        (("[conversion_rate]", "[a_rate, a_rate]"), 5, "keep one of the two"),
        (("[conversion_rate]", "[{name: a_rate, cap: 3}]"), 5, "a proportion has none"),
        (
            ("[conversion_rate]", "[{name: a, kind: ratio, direction: higher}]"),
            5,
            "numerator: ",
        ),
        (
            ("[conversion_rate]", "[{name: a, kind: maen, direction: higher}]"),
            5,
            "did you mean mean?",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    change: tuple[str, str], line: int, said: str
) -> None:
    found = refused(WHOLE.replace(*change))

    assert f"line {line}: " in found
    assert said in found


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("control: controll", "did you mean control?"),
        ("primary: conversion_rat", "did you mean conversion_rate?"),
        ("success_criteria: {conversionrate: {}}", "did you mean conversion_rate?"),
        ("success_criteria: {conversion_rate: {minimum_lift: -1}}", "minimum_lift"),
        ("guardrail_metrics: [error_rate = 1]", "write what is healthy"),
        ("guardrail_metrics: [error_rate < 7]", "between 0 and 1"),
        (
            "guardrail_metrics: [{name: t, kind: count, direction: lower, below: 0}]",
            "the limit of a count is between 0 and 100000",
        ),
        ("guardrail_metrics: [{name: error_rate}]", "one of below, above and margin"),
        ("guardrail_metrics: [conversion_rate < 0.5]", "one name has one kind and direction"),
        ("layer: {name: nav}", "there is no layer of that name"),
        ("layer: {name: nav, start: 9, end: 9}", "more than start"),
        ("targeting: {segment: staff}", "there is no segment of that name"),
        ("segments: {m: {attribute: v, op: 'semver >', value: x}}", "no version"),
        ("ramp: {steps: [5, 5]}", "more than the one before"),
        ("minimum_duration: 3w\n    maximum_duration: 2w", "longer than maximum_duration"),
        ("whole_weeks: 'yes'", "write true or false"),
    ],
)
def test_what_does_not_fit_together_is_refused(added: str, said: str) -> None:
    assert said in refused(f"{WHOLE}    {added}\n")


def test_one_metric_decides() -> None:
    both = WHOLE.replace("[conversion_rate]", "[conversion_rate, a_rate]")
    criteria = "    success_criteria: {conversion_rate: {}, a_rate: {}}\n"

    assert "one metric decides" in refused(both + criteria)
    assert "it alone decides" in refused(both + criteria + "    primary: conversion_rate\n")


def pair(first: str, second: str, top: str = "") -> str:
    keys = "variants: {control: 50, b: 50}, metrics: [conversion_rate]"
    return f"{top}\nab_tests:\n  a: {{{keys}{first}}}\n  b: {{{keys}{second}}}\n"


def test_tests_of_one_layer_never_share_users() -> None:
    def placed(start: int, end: int) -> str:
        return f", layer: {{name: nav, start: {start}, end: {end}}}"

    assert len(read(pair(placed(0, 50), placed(50, 100), "layers: {nav: {}}"))) == 2
    found = refused(pair(placed(0, 51), placed(50, 100), "layers: {nav: {}}"))
    assert "line 4: ab_tests.b.layer" in found


def test_two_tests_do_not_deal_users_alike() -> None:
    assert "users would fall alike in both" in refused(pair("", ", salt: a"))


def test_a_holdout_names_tests_that_exist() -> None:
    found = refused(pair("", "", "holdouts: {q: {percentage: 5, tests: [c]}}"))

    assert "holdouts.q.tests.0" in found


@pytest.mark.parametrize("control", [0, 0.0])
def test_the_control_has_users(control: Any) -> None:
    text = WHOLE.replace("control: 50, treatment: 50", f"control: {control}, treatment: 100")

    assert "the control needs users" in refused(text)


def test_tests_of_one_layer_tell_users_apart_by_one_unit() -> None:
    def placed(start: int, end: int, unit: str) -> str:
        return f", layer: {{name: nav, start: {start}, end: {end}}}, unit: {unit}"

    layers = "layers: {nav: {}}"
    same = pair(placed(0, 50, "account"), placed(50, 100, "account"), layers)
    assert len(read(same)) == 2
    found = refused(pair(placed(0, 50, "account"), placed(50, 100, "device"), layers))
    assert "ab_tests.b.unit" in found
    assert "a of layer nav tells users apart by account" in found
