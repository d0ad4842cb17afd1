from decimal import Decimal

import pytest

from greenlane.incidents import wording


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "not known"),
        (0, "0 s"),
        (0.0314, "31 ms"),
        (4.24, "4.2 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (90061, "1 d 1 h"),
        (86400 + 61, "1 d"),
        (-5, "0 s"),
    ],
)
def test_spans(seconds, text):
    assert wording.span(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(5.0, "5"), (0.02, "0.02"), (Decimal("118.0"), "118"), (1200, "1200"), (1e-05, "0.00001")],
)
def test_numbers(value, text):
    assert wording.number(value) == text


def test_text_of_others_is_one_line_and_not_endless():
    assert wording.one_line("a\n\tb\x00\u202ec") == "a b c"
    assert len(wording.one_line("x" * 900)) == 500
