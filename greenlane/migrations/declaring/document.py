"""From a manifest's text to a checked model, with line numbers for what is wrong."""

from collections.abc import Iterator

from greenlane.documents import read
from greenlane.errors import InvalidInput
from greenlane.migrations.declaring.model import (
    FILE_NAME,
    KEY,
    Manifest,
    MigrationFile,
    MigrationsDocument,
)
from greenlane.migrations.sql.parsing import InvalidSql, parse_script
from greenlane.migrations.validating.model import PHASES
from greenlane.migrations.validating.rules import RULES
from greenlane.problems import ABSENT, Path, dotted, excerpt, suggest
from greenlane.source import Source

Found = Iterator[tuple[Path, object, str]]


def read_manifest(text: str, name: str = "migrations.yaml") -> Manifest:
    """Read a manifest by itself, without its SQL files.

    Args:
        text: the manifest.
        name: what to call it.

    Raises:
        InvalidDocument: with everything that is wrong, by line.
    """
    return read(MigrationsDocument, problems_of, text, name).database_migrations


def problems_of(document: MigrationsDocument, source: Source) -> list[InvalidInput]:
    """Everything that takes more than one value to judge, with lines."""
    return [
        problem(source, at, value, said) for at, value, said in _found(document.database_migrations)
    ]


def problem(source: Source, at: Path, value: object, way_out: str) -> InvalidInput:
    """One thing that is wrong below the top-level key."""
    where = (KEY, *at)
    return InvalidInput(dotted(where), excerpt(value), way_out, line=source.line(where))


def _found(manifest: Manifest) -> Found:
    for number, file in enumerate(manifest.files):
        for at, value, said in _of_one(file):
            yield ("files", number, *at), value, said
    yield from _order(manifest)
    yield from _phases(manifest)


def _of_one(file: MigrationFile) -> Found:
    if not FILE_NAME.match(file.file):
        yield ("file",), file.file, "name it like 0007_expand_full_name.sql: a number and words"
    if file.phase == "contract" and file.min_app is None:
        said = "say the first version that no longer needs the old shape, such as '2.4.0'"
        yield ("min_app",), ABSENT, said
    if file.phase != "contract" and file.min_app is not None:
        yield ("min_app",), file.min_app, "only a contract takes something away from versions"
    for number, rule in enumerate(file.accept):
        if rule not in RULES:
            near = suggest(rule, [one.replace("-", "_") for one in RULES])
            yield ("accept", number), rule, f"there is no such rule{near.replace('_', '-')}"
    if file.accept:
        for key, said in (("reason", "say why"), ("approved_by", "name who decided it")):
            if getattr(file, key) is None:
                yield (key,), ABSENT, f"a finding is accepted with a reason, by a person: {said}"
    for number, query in enumerate(file.verify):
        if wrong := _no_query(query):
            yield ("verify", number), query, wrong


def _no_query(text: str) -> str | None:
    """What is wrong with a query that is to say true; None if it is one."""
    try:
        statements = parse_script(text, "verify").statements
    except InvalidSql as error:
        return error.way_out
    if len(statements) != 1 or statements[0].kind != "select_stmt":
        return "write one SELECT of one boolean"
    return None


def _order(manifest: Manifest) -> Found:
    seen: dict[int, str] = {}
    before = 0
    for number, file in enumerate(manifest.files):
        at = ("files", number, "file")
        if not file.number:
            continue
        if file.number in seen:
            yield at, file.file, f"{seen[file.number]} has that number; number it {before + 1:04}"
        elif before and file.number < before:
            yield at, file.file, f"it comes after number {before:04}; keep files in order"
        elif before and file.number > before + 1:
            yield at, file.file, f"number {before + 1:04} is missing; leave no gap"
        seen.setdefault(file.number, file.file)
        before = max(before, file.number)


def _phases(manifest: Manifest) -> Found:
    reached: dict[str, MigrationFile] = {}
    for number, file in enumerate(manifest.files):
        if file.release is None:
            continue
        before = reached.get(file.release)
        if before is not None and PHASES.index(file.phase) < PHASES.index(before.phase):
            said = (
                f"{before.file} of release {file.release} is {before.phase} already; "
                "move it before that, or into a release of its own"
            )
            yield ("files", number, "phase"), file.phase, said
        else:
            reached[file.release] = file
