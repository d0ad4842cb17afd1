"""A planned change becomes files in a folder of migrations, and lines of its manifest.

Nothing that is there is overwritten. The folder that would come of it is read as a whole before
anything is written, so what is written can be run.
"""

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.errors import InvalidInput
from greenlane.migrations.declaring.checking import MANIFEST
from greenlane.migrations.declaring.loading import load_plan
from greenlane.migrations.declaring.model import FILE_NAME, KEY
from greenlane.migrations.planning.model import PlannedChange, PlannedFile, file_text, numbered
from greenlane.problems import ABSENT, InvalidDocument


@dataclass(frozen=True)
class Declared:
    """What a person says of a change, for its manifest.

    Args:
        release: that it belongs to.
        min_app: the first version that does not need the old shape; asked for with a contract.
        approved_by: who accepts the rules that a file has to break; with `reason`.
        reason: why.
        database, owner: of a manifest that is not there yet.
    """

    release: str | None = None
    min_app: str | None = None
    approved_by: str | None = None
    reason: str | None = None
    database: str | None = None
    owner: str | None = None


class AddedFile(StoredModel):
    """One file of a change. Args: to_accept: rules that a person has to accept before it runs."""

    name: str
    phase: str
    comment: str
    sql: str
    to_accept: tuple[str, ...] = ()


class Added(StoredModel):
    """What a change adds to a folder.

    Args:
        files: in their order.
        lines: of the manifest, for these files.
        questions: what a person has to answer before it runs.
        notes: what a person should know.
        old_app_queries: of the version that is live.
    """

    folder: str
    files: tuple[AddedFile, ...]
    lines: tuple[str, ...]
    questions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    old_app_queries: tuple[str, ...] = ()


def add_change(
    folder: Path,
    change: PlannedChange,
    declared: Declared,
    *,
    write: bool,
) -> Added:
    """Give a change the next numbers of a folder, and write it there.

    Args:
        folder: with `migrations.yaml`, or where one is to be.
        change: what was planned.
        declared: what the manifest says of it.
        write: whether it is written, or only told.

    Raises:
        InvalidInput: something is missing, or a file is there already; nothing was written.
        InvalidDocument: the manifest is wrong, or would be; nothing was written.
    """
    manifest = folder / MANIFEST
    text = manifest.read_text() if manifest.is_file() else _beginning(declared)
    named = numbered(change.files, first=_next_number(folder, text))
    _refuse_incomplete(change, declared)
    lines = [line for name, file in named for line in _lines(name, file, declared)]
    texts = {name: _text(file, change) for name, file in named}
    texts[MANIFEST] = _with_lines(text, lines, manifest)
    for name in texts:
        if name != MANIFEST and (folder / name).exists():
            raise InvalidInput("folder", str(folder / name), "it is there already; move it away")
    _try_out(folder, texts)
    if write:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in texts.items():
            (folder / name).write_text(content)
    return Added(
        folder=str(folder),
        files=tuple(
            AddedFile(
                name=name,
                phase=file.phase,
                comment=file.comment,
                sql=texts[name],
                to_accept=() if declared.approved_by else file.accept,
            )
            for name, file in named
        ),
        lines=tuple(lines),
        questions=change.questions,
        notes=change.notes,
        old_app_queries=change.old_app_queries,
    )


def _refuse_incomplete(change: PlannedChange, declared: Declared) -> None:
    if not change.files:
        raise InvalidInput("change", ABSENT, "there is nothing to change")
    if declared.min_app is None and any(one.phase == "contract" for one in change.files):
        said = "say the first version that no longer needs the old shape, such as 2.4.0"
        raise InvalidInput("min_app", ABSENT, said)
    if (declared.approved_by is None) != (declared.reason is None):
        missing = "reason" if declared.reason is None else "approved_by"
        raise InvalidInput(missing, ABSENT, "what a file breaks is accepted by a person, and why")


def _beginning(declared: Declared) -> str:
    """A manifest without files."""
    for name, said in (("database", "as it is described"), ("owner", "whom to ask")):
        if getattr(declared, name) is None:
            way_out = f"there is no {MANIFEST} yet: say its {name}, {said}"
            raise InvalidInput(name, ABSENT, way_out)
    return (
        f"{KEY}:\n  database: {_scalar(declared.database)}\n"
        f"  owner: {_scalar(declared.owner)}\n  files:\n"
    )


def _next_number(folder: Path, text: str) -> int:
    there = [one.name for one in folder.iterdir()] if folder.is_dir() else []
    found = (FILE_NAME.match(name) for name in (*there, *re.findall(r"[\w.-]+\.sql", text)))
    return max((int(one["number"]) for one in found if one), default=0) + 1


def _text(file: PlannedFile, change: PlannedChange) -> str:
    """The file; a question that nobody has answered stands where it will be read."""
    first = file is change.files[0]
    questions = [f"-- Before it runs: {one}\n" for one in change.questions] if first else []
    return "".join(questions) + file_text(file)


def _lines(name: str, file: PlannedFile, declared: Declared) -> list[str]:
    """The item of a file in the manifest, without its indentation."""
    lines = [f"- file: {name}", f"  phase: {file.phase}"]
    if declared.release is not None:
        lines.append(f"  release: {_scalar(declared.release)}")
    if file.phase == "contract":
        lines.append(f"  min_app: {_scalar(declared.min_app)}")
    if not file.accept:
        return lines
    accepted = f"accept: [{', '.join(file.accept)}]"
    if declared.approved_by is None:
        return [*lines, f"  # {accepted}  # a person adds this, with reason and approved_by"]
    return [
        *lines,
        f"  {accepted}",
        f"  reason: {_scalar(declared.reason)}",
        f"  approved_by: {_scalar(declared.approved_by)}",
    ]


def _scalar(value: str | None) -> str:
    """A text as YAML reads it back: `"2.4"` is no number."""
    said = value or ""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_@. -]*", said) and yaml.safe_load(said) == said
    return said if plain else "'" + said.replace("'", "''") + "'"


def _with_lines(text: str, lines: list[str], manifest: Path) -> str:
    """A manifest with further items at the end of `files`; the rest keeps its layout."""
    if text.endswith("\n  files:\n"):
        return text + "".join(f"    {line}\n" for line in lines)
    files = _files_of(text, manifest)
    if files.flow_style or not files.value:
        said = f"write its files one below the other, and add:\n{chr(10).join(lines)}"
        raise InvalidInput("files", str(manifest), said)
    column = files.start_mark.column
    end = _end_of(text, files.value[-1])
    added = "".join(f"{' ' * column}{line}\n" for line in lines)
    before = text[:end] if text[:end].endswith("\n") else text[:end] + "\n"
    return before + added + text[end:]


def _files_of(text: str, manifest: Path) -> yaml.SequenceNode:
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    for key in (KEY, "files"):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for name, value in pairs if name.value == key), None)
    if not isinstance(node, yaml.SequenceNode):
        raise InvalidInput("files", str(manifest), f"it has no {KEY}.files to add to")
    return node


def _end_of(text: str, last: yaml.Node) -> int:
    """Where the line ends on which the last item's last value stands."""
    node = last
    while isinstance(node, yaml.MappingNode | yaml.SequenceNode) and node.value:
        if node.flow_style:
            break
        last_part = node.value[-1]
        node = last_part[1] if isinstance(last_part, tuple) else last_part
    at = text.find("\n", max(node.end_mark.index - 1, 0))
    return len(text) if at < 0 else at + 1


def _try_out(folder: Path, texts: dict[str, str]) -> None:
    """Read the folder as it would be; whatever is wrong with it is said of the real one."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / (folder.name or "migrations")
        place.mkdir()
        for one in folder.glob("*.sql") if folder.is_dir() else ():
            shutil.copy(one, place)
        for file, content in texts.items():
            (place / file).write_text(content)
        try:
            load_plan(place)
        except InvalidDocument as error:
            raise InvalidDocument(str(folder / MANIFEST), error.problems) from error
