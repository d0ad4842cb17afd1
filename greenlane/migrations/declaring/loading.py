"""From a folder to a plan: every file is there, listed, readable, and in a phase that suits it."""

from pathlib import Path

from greenlane.documents import decode, load, read
from greenlane.errors import InvalidInput
from greenlane.migrations.catalog.model import Catalog
from greenlane.migrations.declaring.checking import MANIFEST
from greenlane.migrations.declaring.document import problem, problems_of
from greenlane.migrations.declaring.judging import assess_plan
from greenlane.migrations.declaring.model import Manifest, MigrationsDocument
from greenlane.migrations.declaring.plan import Plan, SourceFile
from greenlane.migrations.sql.parsing import normalised, parse_script
from greenlane.migrations.validating.assessing import problems
from greenlane.problems import InvalidDocument, suggest
from greenlane.source import Source

MOST_BYTES = 4 * 1024 * 1024
"""Of all SQL files together."""


def load_plan(folder: Path, catalog: Catalog | None = None) -> Plan:
    """Read a folder of migrations, and check it as far as that is possible without its database.

    Args:
        folder: where `migrations.yaml` and the SQL files are.
        catalog: of the database, to judge phases by; without one the worst plausible case holds.

    Raises:
        InvalidDocument: with everything that is wrong with the manifest, by line.
        InvalidSql: a file is not SQL, with the place.
        InvalidInput: there is no manifest, or the files are too large.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InvalidInput("folder", str(folder), f"there is no {MANIFEST} in it")
    text = decode(path.read_bytes(), str(path))
    source = load(text, str(path))
    manifest = read(MigrationsDocument, problems_of, text, str(path)).database_migrations
    if wrong := _missing(manifest, folder, source):
        raise InvalidDocument(str(path), wrong)
    plan = _read(manifest, folder)
    if wrong := _too_early(plan, catalog, source):
        raise InvalidDocument(str(path), wrong)
    return plan


def _missing(manifest: Manifest, folder: Path, source: Source) -> list[InvalidInput]:
    """Files that are listed and not there, and files that are there and not listed."""
    there = {one.name for one in folder.iterdir() if one.suffix == ".sql"}
    listed = {one.file for one in manifest.files}
    wrong = [
        problem(source, ("files", number, "file"), one.file, _absent(one.file, there - listed))
        for number, one in enumerate(manifest.files)
        if one.file not in there
    ]
    queries = manifest.old_app_queries
    if queries is not None and queries not in there:
        wrong.append(problem(source, ("old_app_queries",), queries, _absent(queries, there)))
    for name in sorted(there - listed - {queries}):
        wrong.append(
            problem(source, ("files",), name, "it is in the folder and not listed; list it here")
        )
    return wrong


def _absent(name: str, there: set[str]) -> str:
    return f"the folder has no such file{suggest(name, sorted(there))}"


def _read(manifest: Manifest, folder: Path) -> Plan:
    texts = []
    for file in manifest.files:
        raw = (folder / file.file).read_bytes()
        text = normalised(decode(raw, file.file))
        script = parse_script(text, file.file)
        if not script.statements:
            raise InvalidInput(file.file, "an empty file", "write a statement, or take it out")
        texts.append(SourceFile(file=file.file, text=text))
    queries = None
    if manifest.old_app_queries is not None:
        name = manifest.old_app_queries
        queries = normalised(decode((folder / name).read_bytes(), name))
        parse_script(queries, name)
    size = sum(len(one.text.encode()) for one in texts)
    if size > MOST_BYTES:
        raise InvalidInput("files", f"{size} bytes", f"keep them under {MOST_BYTES} bytes together")
    return Plan(manifest=manifest, sources=tuple(texts), old_app_queries=queries)


def _too_early(plan: Plan, catalog: Catalog | None, source: Source) -> list[InvalidInput]:
    """Files whose phase is too early for one of their statements."""
    wrong = []
    assessments = assess_plan(plan, catalog)
    for number, migration in enumerate(plan.migrations):
        for one in problems(assessments[migration.id], migration.phase):
            if one.rule in migration.declared.accept:
                continue
            said = f"{migration.declared.file}, line {one.line}: {one.message}; {one.safe_form}"
            wrong.append(problem(source, ("files", number, "phase"), migration.phase, said))
    return wrong
