"""What is published beside the matrix is true: the list of what may be left, and missing rows."""

import re
from pathlib import Path

import pytest

from tests.faults.disturbances import DISTURBANCES
from tests.faults.faults import KINDS
from tests.faults.matrix import PAGE
from tests.faults.matrix_page import LETTERS
from tests.faults.matrix_rows import NO_ROW, Call, makable_by, makable_on_the_way
from tests.faults.published import DENIED, ELSEWHERE, GOES_BACK

ROLLBACK = Path("docs/rollback.md")


def rows() -> dict[Call, list[str]]:
    """The rows of the page: the outcomes of each call, by column."""
    found = re.findall(r"^\| `(\w+)` \| `([\w.-]+)` \|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    table = [(function, call, cells.split("|")) for function, call, cells in found]
    return {(function, call): cells for function, call, cells in table if len(cells) > len(KINDS)}


def cases() -> set[int]:
    """The numbers of the list in docs/rollback.md."""
    section = ROLLBACK.read_text().split("## When it is held")[1].split("\n## ")[0]
    return {int(number) for number in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}


def test_each_of_them_has_a_row_on_the_page() -> None:
    """If not, the page is old: run `make faults`."""
    assert makable_on_the_way() - set(rows()) == set(NO_ROW)


@pytest.mark.parametrize("entry", DENIED, ids=lambda entry: f"{entry.function} {entry.calls}")
def test_each_entry_of_the_published_list_is_about_calls_that_are_made(entry: object) -> None:
    assert entry in DENIED
    (found,) = (one for one in DENIED if one == entry)
    assert {(found.function, call) for call in found.calls} <= makable_by(found.function)
    assert set(found.ends) <= set(LETTERS)


def test_the_published_list_needs_each_of_its_calls() -> None:
    """If not, the entry is too wide, or the page is old."""
    column, found = KINDS.index("denied"), rows()
    for entry in DENIED:
        letters = {LETTERS[end] for end in entry.ends}
        for call in entry.calls:
            shown = found.get((entry.function, call), [""] * len(KINDS))[column]
            assert entry.leaves or letters & set(shown), f"{entry.function} {call}"


def test_each_call_that_may_turn_a_good_version_back_does_so() -> None:
    """If not, it need not be on that list, or the page is old."""
    found = rows()
    for entry in GOES_BACK:
        cells = found[entry.function, entry.call]
        for kind in entry.kinds:
            assert "b" in cells[KINDS.index(kind)], f"{entry.function} {entry.call} {kind}"


def test_no_permission_is_on_the_published_list_twice() -> None:
    calls = [(entry.function, call) for entry in DENIED for call in entry.calls]
    assert len(calls) == len(set(calls))


def test_each_case_of_the_documented_list_is_shown_by_the_matrix_or_by_a_test() -> None:
    shown = {entry.case for entry in DENIED}
    assert shown | set(ELSEWHERE) == cases()


@pytest.mark.parametrize("place", ELSEWHERE.values())
def test_the_tests_that_show_the_other_cases_exist(place: str) -> None:
    file, _, name = place.partition("::")
    if not file.endswith(".py"):
        assert file in DISTURBANCES
        return
    assert f"def {name}(" in Path(file).read_text()
