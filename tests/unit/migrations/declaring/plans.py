"""Plans for tests, without a folder."""

from greenlane.migrations.declaring.model import Manifest, MigrationFile
from greenlane.migrations.declaring.plan import Plan, SourceFile


def plan_of(*files: tuple[str, str, str], **more: str) -> Plan:
    """Of `(file, phase, sql)`."""
    declared = tuple(
        MigrationFile.model_validate(
            {"file": file, "phase": phase, **({"min_app": "2"} if phase == "contract" else {})}
            | more
        )
        for file, phase, _ in files
    )
    return Plan(
        manifest=Manifest(database="orders", owner="team", files=declared),
        sources=tuple(SourceFile(file=file, text=sql) for file, _, sql in files),
    )
