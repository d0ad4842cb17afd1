"""Which version is too old for a database, when it is about to be shipped."""

import pytest

from greenlane.migrations.shipping.outdated import Shipped, is_outdated

ORDER = Shipped(("blue-1", "blue-2", "blue-3"), whole=True)
LATER = Shipped(("blue-2", "blue-3"), whole=False)

CASES = [
    # Semantic versions need nobody's memory.
    ("2.3.9", "2.4.0", ORDER, True),
    ("2.4.0", "2.4.0", ORDER, False),
    ("v2.10.0", "2.4.0", ORDER, False),
    ("2.4.0-rc.1", "2.4.0", ORDER, True),
    # Others compare by which was shipped first.
    ("blue-1", "blue-2", ORDER, True),
    ("blue-2", "blue-2", ORDER, False),
    ("blue-3", "blue-2", ORDER, False),
    # One that was never shipped comes after all that were.
    ("blue-4", "blue-2", ORDER, False),
    ("2.4.0", "blue-2", ORDER, False),
    # A least version that is out of sight was shipped before those in sight.
    ("blue-2", "blue-1", LATER, False),
    ("blue-4", "blue-1", LATER, False),
    # One that was never shipped at all says nothing of those that were.
    ("blue-2", "blue-9", ORDER, True),
    ("blue-9", "blue-9", ORDER, False),
    # Nobody can say which it is.
    (None, "2.4.0", ORDER, True),
    (None, "blue-1", LATER, True),
]


@pytest.mark.parametrize(("version", "least", "shipped", "outdated"), CASES)
def test_which_version_is_too_old(
    version: str | None, least: str, shipped: Shipped, outdated: bool
) -> None:
    assert is_outdated(version, least, shipped) is outdated
