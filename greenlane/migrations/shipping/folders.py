"""From a folder of migrations to what a deployment's request says of them."""

from pathlib import Path
from typing import get_args

from greenlane.deployments.connection import Connection
from greenlane.deployments.shipped_with import ReleaseMigrations, ReleasePhase
from greenlane.errors import InvalidInput
from greenlane.migrations.declaring.loading import load_plan
from greenlane.migrations.managing.places import Places


def release_migrations(connection: Connection, folder: Path) -> ReleaseMigrations:
    """Read a folder, keep its plan by its checksum, and name the phases that go with a release.

    Those are `expand` and `migrate`, as far as the folder has files of them. Repeating it changes
    nothing.

    Args:
        connection: the account and Region.
        folder: where `migrations.yaml` and the SQL files are.

    Raises:
        InvalidDocument: the manifest is wrong, with everything that is.
        InvalidSql: a file is not SQL.
        InvalidInput: the folder has no manifest, or nothing that goes with a release.
        Refused: nothing for migrations is deployed in this account and Region.
    """
    plan = load_plan(folder)
    phases = tuple(phase for phase in get_args(ReleasePhase) if plan.of(phase))
    if not phases:
        way_out = (
            "it has contracts only, and those go with no release; run them once no older version "
            "is left: `greenlane migrations run --phase contract`"
        )
        raise InvalidInput("migrations", str(folder), way_out)
    sha256 = Places(connection).keep_plan(plan)
    return ReleaseMigrations(database=plan.manifest.database, plan=sha256, phases=phases)
