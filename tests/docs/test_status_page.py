"""What docs/operations.md says of `greenlane status` is what it does."""

from typing import get_args

from greenlane.regions.coordinating.store import LATE
from greenlane.status.changes import RECENT
from greenlane.status.model import Kind
from greenlane.status.reading import MOST, MOST_PROPOSALS
from tests.docs.pages import ROOT, section, table

PAGE = ROOT / "docs" / "operations.md"
HEADING = "Who is needed now"


def test_each_kind_of_need_is_in_the_table() -> None:
    assert [row[0].removeprefix("a ") for row in table(PAGE, HEADING)] == list(get_args(Kind))


def test_the_numbers_are_those_of_the_code() -> None:
    text = section(PAGE, HEADING)
    assert f"for {LATE.seconds // 60} minutes" in text
    assert text.count(f"in the last {RECENT.days} days") == 2
    assert f"at most {MOST} services and {MOST} databases" in text
    assert f"the newest {MOST_PROPOSALS} are looked at" in text
