"""Names that a feature flag and an A/B test cannot both have: lookups ask for either by its name.

A flag hides a test of its name. So a new one of either kind is refused where the other has the name
already; when two people are at it in the same moment both get in, and the flag wins.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.errors import Refused
from greenlane.experiments.storing.stored_items import EVERYBODY, SNAPSHOT, key, unpacked

Names = Callable[[], Collection[str]]
"""Reads the names of all flags, or of all tests."""


def names_of_tests(client: Any, table: str) -> frozenset[str]:
    """The names of all tests, by one read.

    Args:
        client: a boto3 `dynamodb` client.
        table: the table of A/B tests.
    """
    place = key(f"{SNAPSHOT}#{EVERYBODY}", SNAPSHOT)
    item = client.get_item(TableName=table, Key=place, ConsistentRead=True).get("Item")
    return frozenset() if item is None else frozenset(unpacked(item)["tests"])


def check_new_tests(names: Iterable[str], tests: Names, flags: Names) -> None:
    """Refuse tests that are new and have a flag's name.

    Args:
        names: to be put.
        tests: reads the names of the tests there are.
        flags: reads the keys of all flags.

    Raises:
        Refused: naming them; nothing was changed.
    """
    new = frozenset(names) - frozenset(tests())
    if taken := new & frozenset(flags()) if new else new:
        raise Refused(
            f"{_listed(taken)}: there is a feature flag of this name, and lookups would answer for "
            "the flag alone; choose another name for the test"
        )


def check_new_flags(
    keys: Iterable[str],
    flags: Collection[str],
    tests: Names,
    warn: Callable[[str], None],
) -> None:
    """Refuse flags that are new and have a test's name.

    Flags do not wait for tests: while those cannot be read it is told, and goes on.

    Args:
        keys: to be put.
        flags: the keys of the flags there are.
        tests: reads the names of all tests.
        warn: takes what people should know.

    Raises:
        Refused: naming them; nothing was changed.
    """
    new = frozenset(keys) - frozenset(flags)
    if not new:
        return
    try:
        taken = new & frozenset(tests())
    except (BotoCoreError, ClientError) as error:
        warn(f"the A/B tests could not be read, so nobody knows whether one has the name: {error}")
        return
    if taken:
        raise Refused(
            f"{_listed(taken)}: there is an A/B test of this name, and lookups would not answer "
            "for it any more; choose another key for the flag"
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
