"""Checking a manifest without running anything; the parser is loaded when it is needed."""

from pathlib import Path
from typing import Literal

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.documents import load
from greenlane.migrations.declaring.model import KEY

MANIFEST = "migrations.yaml"


class CheckedMigrations(StoredModel):
    """A manifest without a problem.

    Args:
        file: its name.
        kind: what it is.
        migrations: the ids of its files.
        sha256: the plan's checksum; None where the SQL files were not at hand.
    """

    file: str
    kind: Literal["database_migrations"] = "database_migrations"
    migrations: tuple[str, ...]
    sha256: str | None = None
    warnings: tuple[str, ...] = ()


def is_migrations(text: str, name: str = "document") -> bool:
    """Whether a file is a manifest; raises `InvalidDocument` when it is no YAML."""
    return KEY in load(text, name).data


def check_migrations(document: Path | str, text: str, name: str) -> CheckedMigrations:
    """Read a manifest; with its SQL files, if it lies in their folder.

    Args:
        document: where it lies, or its text.
        text: its text.
        name: what to call it.

    Raises:
        InvalidDocument: with everything that is wrong, by line.
        InvalidSql: a file is not SQL.
    """
    from greenlane.migrations.declaring.document import read_manifest
    from greenlane.migrations.declaring.loading import load_plan

    if isinstance(document, Path) and document.name == MANIFEST:
        plan = load_plan(document.parent)
        named = tuple(one.id for one in plan.manifest.files)
        return CheckedMigrations(file=name, migrations=named, sha256=plan.sha256)
    manifest = read_manifest(text, name)
    return CheckedMigrations(
        file=name,
        migrations=tuple(one.id for one in manifest.files),
        warnings=(f"the SQL files were not read: they lie beside a {MANIFEST}",),
    )
