"""Access lists of the catalog, as statements."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from greenlane.migrations.sql.names import quoted

PRIVILEGES = {
    "r": "SELECT",
    "a": "INSERT",
    "w": "UPDATE",
    "d": "DELETE",
    "D": "TRUNCATE",
    "x": "REFERENCES",
    "t": "TRIGGER",
    "m": "MAINTAIN",
    "X": "EXECUTE",
    "U": "USAGE",
    "C": "CREATE",
    "c": "CONNECT",
    "T": "TEMPORARY",
}
"""Letters of an access list (documentation, table 5.1)."""

_ITEM = re.compile(
    r'(?P<who>"(?:[^"]|"")*"|[^="]*)=(?P<what>[A-Za-z*]*)/(?P<by>"(?:[^"]|"")*"|[^"]*)\Z'
)


class Grant(NamedTuple):
    """One item. Args: who: None for PUBLIC; privileges, and those that may be passed on; by."""

    who: str | None
    privileges: frozenset[str]
    passed_on: frozenset[str]
    by: str


def read_grants(items: Iterable[str]) -> list[Grant]:
    """Read the items of an access list."""
    found = []
    for item in items:
        match = _ITEM.match(item)
        if match is None:
            raise ValueError(f"{item!r} is no item of an access list")
        letters = re.findall(r"([A-Za-z])(\*?)", match["what"])
        found.append(
            Grant(
                _role(match["who"]) or None,
                frozenset(PRIVILEGES[letter] for letter, _ in letters),
                frozenset(PRIVILEGES[letter] for letter, star in letters if star),
                _role(match["by"]),
            )
        )
    return found


def _role(text: str) -> str:
    return text[1:-1].replace('""', '"') if text.startswith('"') else text


def role_name(who: str | None) -> str:
    """As SQL names a role."""
    return "PUBLIC" if who is None else quoted(who)


def grants_again(kind: str, target: str, items: Iterable[str], owner: str) -> list[str]:
    """What gives a new object the access list that it had; nothing where it had none.

    Args:
        kind: `TABLE`, `FUNCTION`, `TYPE` and the like; `TABLE` for columns too.
        target: the object as SQL names it.
        items: of its access list.
        owner: whose rights a new object begins with, beside those of PUBLIC.
    """
    found = read_grants(items)
    if not found:
        return []
    return [
        f"REVOKE ALL ON {kind} {target} FROM PUBLIC, {quoted(owner)}",
        *granted(kind, target, items),
    ]


def granted(kind: str, target: str, items: Iterable[str]) -> list[str]:
    """The rights alone, on an object that nobody but its owner has any on."""
    return [sql for one in read_grants(items) for sql in _again(one, kind, target, "")]


def column_grants_again(table: str, column: str, items: Iterable[str]) -> list[str]:
    """Likewise for a column, that begins without rights of its own."""
    place = f" ({quoted(column)})"
    return [sql for one in read_grants(items) for sql in _again(one, "TABLE", table, place)]


def _again(grant: Grant, kind: str, target: str, columns: str) -> list[str]:
    made = []
    for some, tail in (
        (grant.privileges - grant.passed_on, ""),
        (grant.passed_on, " WITH GRANT OPTION"),
    ):
        if some:
            listed = ", ".join(f"{one}{columns}" for one in sorted(some))
            made.append(f"GRANT {listed} ON {kind} {target} TO {role_name(grant.who)}{tail}")
    return made


def only_by(items: Iterable[str], owner: str) -> bool:
    """Whether nobody but the owner has granted anything: then the owner can grant it again."""
    return all(one.by == owner for one in read_grants(items))
