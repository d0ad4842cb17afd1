from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from greenlane.health.catalogue import CATALOGUE
from greenlane.health.expressions import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_LENGTH,
    And,
    Comparison,
    ExpressionError,
    Not,
    Or,
    Predicate,
    comparisons,
    parse,
)
from tests.unit.health.condition_data import expressions

ERRORS = Comparison("error_rate", ">", Decimal("0.05"))
CPU = Comparison("cpu_usage", ">", Decimal(90))
POOR = Comparison("revenue", "<", Decimal(1))
DOWN = Predicate("system_unavailable")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("error_rate > 0.05", ERRORS),
        ("  error_rate>0.050 ", ERRORS),
        ("error_rate > 0.05 for 1/1", ERRORS),
        ("cpu_usage >= 90 for 2/3", Comparison("cpu_usage", ">=", Decimal(90), 2, 3)),
        ("revenue < -0.5", Comparison("revenue", "<", Decimal("-0.5"))),
        ("system_unavailable", DOWN),
        ("not system_unavailable", Not(DOWN)),
        ("error_rate > 0.05 or cpu_usage > 90 and revenue < 1", Or((ERRORS, And((CPU, POOR))))),
        ("(error_rate > 0.05 or cpu_usage > 90) and revenue < 1", And((Or((ERRORS, CPU)), POOR))),
        ("not error_rate > 0.05 and cpu_usage > 90", And((Not(ERRORS), CPU))),
        ("not (error_rate > 0.05 and cpu_usage > 90)", Not(And((ERRORS, CPU)))),
        ("((error_rate > 0.05))", ERRORS),
        ("error_rate > 0.05 AND Not cpu_usage > 90", And((ERRORS, Not(CPU)))),
    ],
)
def test_what_a_text_means(text, tree):
    assert parse(text) == tree


@given(expressions())
def test_the_canonical_text_gives_the_same_tree(tree):
    assert parse(str(tree)) == tree
    assert str(parse(str(tree))) == str(tree)


def texts_of(document):
    """All texts of a document that compare something, and the predicate's."""
    if isinstance(document, dict):
        for value in document.values():
            yield from texts_of(value)
    elif isinstance(document, list):
        for value in document:
            yield from texts_of(value)
    elif isinstance(document, str) and (
        any(sign in document for sign in "<>") or document == "system_unavailable"
    ):
        yield document


SPEC = sorted(
    {
        text
        for file in Path("tests/data/spec").glob("*.yaml")
        for text in texts_of(yaml.safe_load(file.read_text()))
    }
)


def test_the_spec_has_expressions():
    assert len(SPEC) == 12


@pytest.mark.parametrize("text", SPEC)
def test_each_expression_of_the_spec_is_one(text):
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 1, "a metric is expected"),
        ("eror_rate > 1", 1, "did you mean error_rate?"),
        ("error_rate > 1 or cpu_usge > 90", 19, "did you mean cpu_usage?"),
        ("system_unavalable", 1, "did you mean system_unavailable?"),
        ("zzz > 1", 1, "the metrics are error_rate, "),
        ("error_rate = 1", 12, "'=' means nothing here"),
        ("error_rate == 1", 12, "'=' means nothing here"),
        ("error_rate 1", 12, "one of > >= < <="),
        ("error_rate > x", 14, "a number is expected, not 'x'"),
        ("error_rate > 5%", 15, "'%' means nothing here"),
        ("error_rate > 1e3", 15, "and, or, or the end is expected, not 'e3'"),
        ("error_rate > 0." + "1" * 13, 14, "at most 12 digits"),
        ("error_rate > " + "9" * 13, 14, "at most 12 digits"),
        ("error_rate > 1 cpu_usage > 2", 16, "and, or, or the end is expected"),
        ("error_rate > 1 and", 19, "a metric is expected, not 'the end'"),
        ("and", 1, "a metric is expected"),
        ("(error_rate > 1", 16, "')' is expected"),
        ("error_rate > 1)", 15, "the end is expected, not ')'"),
        ("error_rate > 1 for 2", 16, "`for 2/3`"),
        ("error_rate > 1 for 1.5/3", 16, "`for 2/3`"),
        ("error_rate > 1 for 3/2", 16, "1 <= M <= N <= 60"),
        ("error_rate > 1 for 0/2", 16, "1 <= M <= N <= 60"),
        ("error_rate > 1 for 1/61", 16, "1 <= M <= N <= 60"),
        ("user_complaints > 10 for 2/3", 22, "leave `for` out"),
        ("system_unavailable for 2/3", 20, "the end is expected"),
        ("error_rate > ٣", 14, "means nothing here"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_the_way_out(text, position, says):
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert caught.value.position == position
    assert says in str(caught.value)
    assert repr(text[:20])[:-1] in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("(" * MAX_DEPTH + "error_rate > 1" + ")" * MAX_DEPTH, True),
        ("(" * (MAX_DEPTH + 1) + "error_rate > 1" + ")" * (MAX_DEPTH + 1), False),
        ("not " * MAX_DEPTH + "error_rate > 1", True),
        ("not " * (MAX_DEPTH + 1) + "error_rate > 1", False),
        (" or ".join(["revenue < 1"] * MAX_CONDITIONS), True),
        (" or ".join(["revenue < 1"] * (MAX_CONDITIONS + 1)), False),
        ("error_rate > 1".ljust(MAX_LENGTH), True),
        ("error_rate > 1".ljust(MAX_LENGTH + 1), False),
        ("(" * MAX_LENGTH, False),
    ],
)
def test_size_and_depth_are_bounded(text, fits):
    if fits:
        parse(text)
    else:
        with pytest.raises(ExpressionError):
            parse(text)


def test_metrics_that_the_user_declared_are_known_too():
    declared = {"queue_depth": CATALOGUE["unhealthy_hosts"]}
    assert str(parse("queue_depth > 100", {**CATALOGUE, **declared})) == "queue_depth > 100"
    with pytest.raises(ExpressionError, match="did you mean queue_depth"):
        parse("queue_dept > 100", declared)


def test_its_comparisons_come_from_left_to_right():
    tree = parse("not (error_rate > 0.05 or cpu_usage > 90) and system_unavailable")
    assert list(comparisons(tree)) == [ERRORS, CPU, DOWN]


@given(st.text(max_size=80))
def test_any_text_is_an_expression_or_the_declared_error(text):
    _read(text)


TOKENS = [*CATALOGUE, "system_unavailable", "and", "or", "not", "for", "(", ")", "/", "1", "2", "3"]
TOKENS += [">", ">=", "<", "<=", "0.05", "-1", "nonsense", "%", "=", "\n", "\x00", "٣"]


@given(st.lists(st.sampled_from(TOKENS), max_size=40).map(" ".join))
def test_any_row_of_tokens_is_an_expression_or_the_declared_error(text):
    _read(text)


def _read(text):
    try:
        tree = parse(text)
    except ExpressionError as error:
        position = error.position
    else:
        assert parse(str(tree)) == tree
        position = 1
    assert 1 <= position <= len(text) + 1
