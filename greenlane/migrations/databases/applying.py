"""Applying a file of databases: read, checked, and each kept as its next version."""

from datetime import datetime
from typing import Literal

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.documents import load
from greenlane.migrations.databases.document import read_databases
from greenlane.migrations.databases.model import Database
from greenlane.migrations.databases.store import DatabaseStore

KEY = "databases"
"""The top-level key that makes a file one of databases."""


class CheckedDatabases(StoredModel):
    """A file of databases without a problem."""

    file: str
    kind: Literal["databases"] = "databases"
    databases: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class AppliedDatabases(StoredModel):
    """What applying a file of databases came to: the version of each of its databases.

    `changed` are those that are otherwise than they were. A database that is not in the file stays
    as it is.
    """

    kind: Literal["databases"] = "databases"
    databases: dict[str, int]
    changed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def is_databases(text: str, name: str = "document") -> bool:
    """Whether a file is one of databases; raises `InvalidDocument` when it is no YAML."""
    return KEY in load(text, name).data


def check_databases(text: str, name: str = "document") -> CheckedDatabases:
    """Read a file of databases by itself, without a cloud; raises `InvalidDocument`."""
    described = read_databases(text, name).databases
    return CheckedDatabases(file=name, databases=tuple(described), warnings=_warnings(described))


def apply_databases(
    store: DatabaseStore, text: str, name: str = "document", *, by: str, at: datetime
) -> AppliedDatabases:
    """Keep what a file says of its databases.

    A migration that runs goes on with what it took along; the next one takes the new description.

    Args:
        store: where they are kept.
        text: the file.
        name: what to call it.
        by: who applies it.
        at: when.

    Raises:
        InvalidDocument: the file is wrong; nothing was changed.
        Refused: somebody else applied one of them in the same moment.
    """
    described = read_databases(text, name).databases
    kept = {key: store.put(key, database, by=by, at=at) for key, database in described.items()}
    return AppliedDatabases(
        databases={key: one.stored.version for key, one in kept.items()},
        changed=tuple(key for key, one in kept.items() if one.changed),
        warnings=_warnings(described),
    )


def _warnings(described: dict[str, Database]) -> tuple[str, ...]:
    """What works and is less safe than it could be."""
    said = []
    for name, database in described.items():
        where = f"databases.{name}"
        if database.tls == "require":
            said.append(
                f"{where}.tls: nobody proves that the server is {database.endpoint.host}; "
                "verify-full with root_certificates does"
            )
        if database.instance is not None and database.backup.contract == "snapshot":
            said += [] if database.suspends_io else [_in_one_zone(where)]
    return tuple(said)


def _in_one_zone(where: str) -> str:
    return (
        f"{where}.backup: if the instance is in one zone, a marker takes the snapshot's place, for "
        "a snapshot would suspend its reads and writes; suspends_io: accepted allows it"
    )
