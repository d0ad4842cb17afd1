"""Where databases are kept: in the table of deployments, each with all of its versions.

Layout (`pk`, `sk`)::

    DATABASES            <database>             as it is described now
    DATABASE#<database>  CONFIG#<version>       every description that was applied

What a migration writes beside them is in `greenlane.migrations.guarding`.
"""

from datetime import datetime
from typing import Annotated, NamedTuple

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.deployments.storing.stored import as_stored
from greenlane.deployments.storing.table import DynamoTable
from greenlane.deployments.storing.versions import put_version
from greenlane.errors import Refused, UnknownDatabase
from greenlane.migrations.databases.model import Database

ALL = "DATABASES"


class StoredDatabase(StoredModel):
    """A database as it was described, and by whom."""

    schema_version: int = 1
    name: str
    version: int
    database: Annotated[Database, as_stored(Database)]
    applied_by: str
    applied_at: datetime


class KeptDatabase(NamedTuple):
    """A database as it is kept, and whether that is otherwise than before."""

    stored: StoredDatabase
    changed: bool


class DatabaseStore(DynamoTable):
    """The databases in DynamoDB."""

    def names(self) -> list[str]:
        """The names of all databases that were applied, sorted."""
        return [item["sk"]["S"] for item in self.query(ALL, "", projection="sk")]

    def database(self, name: str) -> StoredDatabase:
        """A database as it is described now.

        Raises:
            UnknownDatabase: none of that name was applied.
        """
        found = self._find(name)
        if found is None:
            raise UnknownDatabase(name, self.names())
        return found

    def put(self, name: str, database: Database, *, by: str, at: datetime) -> KeptDatabase:
        """Keep a description as the next version; the same content keeps its version.

        Raises:
            Refused: somebody else applied one in the same moment.
        """
        before = self._find(name)
        if before is not None and before.database == database:
            return KeptDatabase(before, changed=False)
        version = 1 if before is None else before.version + 1
        stored = StoredDatabase(
            name=name, version=version, database=database, applied_by=by, applied_at=at
        )
        if not put_version(self, ALL, "DATABASE", name, stored, version):
            way_out = "somebody else applied it in the same moment; look, and apply again"
            raise Refused(f"databases.{name}: {way_out}")
        return KeptDatabase(stored, changed=True)

    def _find(self, name: str) -> StoredDatabase | None:
        item = self.get(ALL, name)
        return None if item is None else StoredDatabase.model_validate_json(item["body"]["S"])
