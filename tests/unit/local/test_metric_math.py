import pytest

from greenlane.local.metric_math import MathError, Range, Series, evaluate

TIMES = (0, 60, 120, 180)
SPAN = Range(TIMES, 60)


def series(*values: float | None) -> Series:
    return {at: float(value) for at, value in zip(TIMES, values, strict=False) if value is not None}


IDS = {
    "m1": series(30, 20, 0, 0),
    "m2": series(20, None, 20, None),
    "gone": series(),
    "flag": series(1, 1, 0, 0),
    "yes": series(30, None, 0, 0),
    "no": series(0, 0, 20, None),
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m1 + m2", series(50, 20, 20, 0)),
        ("m1 - m2", series(10, 20, -20, 0)),
        ("2 * m1 / 10", series(6, 4, 0, 0)),
        ("1 + 2 * m1", series(61, 41, 1, 1)),
        ("(1 + 2) * m1", series(90, 60, 0, 0)),
        ("-m1", series(-30, -20, 0, 0)),
        ("2 ^ 3 * m1", series(240, 160, 0, 0)),
        ("m2 / m1", series(20 / 30, 0)),
        ("gone + 1", series()),
        # The user guide's own examples of comparisons and IF.
        ("m1 < m2", series(0, 0, 1, 0)),
        ("m1 >= 30", series(1, 0, 0, 0)),
        ("m1 > 15 AND m2 > 15", series(1, 0, 0, 0)),
        ("m1 > 15 || m2 > 15", series(1, 1, 1, 0)),
        ("IF(flag, yes, no)", series(30, 0, 20)),
        ("IF(flag, 5, no)", series(5, 5, 20)),
        ("IF(flag, yes, 5)", series(30, 0, 5, 5)),
        ("IF(m1 < 25, m1)", series(None, 20, 0, 0)),
        ("IF(m1 >= 20, 100 * m2 / m1, 0)", series(100 * 20 / 30, 0, 0, 0)),
        ("FILL(m2, 0)", series(20, 0, 20, 0)),
        ("FILL(gone, 0)", series(0, 0, 0, 0)),
        ("FILL(m2, REPEAT)", series(20, 20, 20, 20)),
        ("FILL(m2, LINEAR)", series(20, 20, 20)),
        ("FILL(m2, m1)", series(20, 20, 20, 0)),
        ("MAX([m1, m2])", series(30, 20, 20, 0)),
        ("MIN([m1, m2])", series(20, 20, 0, 0)),
        ("SUM([m1, m2, m1])", series(80, 40, 20, 0)),
        ("AVG([m1, m2])", series(25, 10, 10, 0)),
        ("m1 / MAX(m1)", series(1, 20 / 30, 0, 0)),
        ("m1 - SUM(m1)", series(-20, -30, -50, -50)),
        ("ABS(m1 - m2)", series(10, 20, 20, 0)),
        ("m1 / PERIOD(m1)", series(0.5, 20 / 60, 0, 0)),
        ("TIME_SERIES(3)", series(3, 3, 3, 3)),
    ],
)
def test_an_expression_means_what_cloudwatch_says(expression: str, expected: Series) -> None:
    value = evaluate(expression, IDS, SPAN)

    assert value == pytest.approx(expected)


def test_metrics_lists_the_metrics_and_filters_them_by_id() -> None:
    metrics = ("m1", "m2")

    assert evaluate("SUM(METRICS())", IDS, SPAN, metrics) == series(50, 20, 20, 0)
    assert evaluate("SUM(METRICS('2'))", IDS, SPAN, metrics) == series(20, None, 20)
    assert evaluate("METRICS() * 2", IDS, SPAN, metrics) == [
        series(60, 40, 0, 0),
        series(40, None, 40),
    ]


@pytest.mark.parametrize(
    "expression",
    [
        "m9",
        "m1 +",
        "m1 m2",
        "(m1",
        "5",
        "MAX(m1)",
        "MAX([m1, 0])",
        "max([m1, m2])",
        "FILL(m1)",
        "IF(m1)",
        "RATE(m1)",
        "m1 % 2",
        "",
    ],
)
def test_what_cloudwatch_would_refuse_is_refused(expression: str) -> None:
    with pytest.raises(MathError):
        evaluate(expression, IDS, SPAN)
