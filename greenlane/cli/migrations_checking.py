"""`greenlane migrations check`: what SQL files lock, break and cost, and their safe form."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenlane.cli.exits import ExitCode
from greenlane.cli.flags_files import text_of
from greenlane.cli.session import Session
from greenlane.errors import InvalidInput

if TYPE_CHECKING:
    from greenlane.migrations.catalog.model import Catalog
    from greenlane.migrations.sql.parsing import Script
    from greenlane.migrations.validating.model import Assessment, Finding
    from greenlane.migrations.validating.rewriting import Rewritten


class DeclaredPhase(StrEnum):
    """The phase that the files are meant for."""

    EXPAND = "expand"
    MIGRATE = "migrate"
    CONTRACT = "contract"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(check)


def check(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(help="SQL files, in the order they would run; - is stdin."),
    ],
    phase: Annotated[
        DeclaredPhase | None, typer.Option(help="Which they are meant for; else any is right.")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(help="A connection string; its catalog is read, and nothing is written."),
    ] = None,
    rewrite: Annotated[
        Path | None, typer.Option(help="A folder for the safe plan; the files stay as they are.")
    ] = None,
) -> None:
    """Say what each statement locks, breaks and costs, before it runs anywhere.

    Without a database the answer is the worst that the SQL allows. The exit code is 1 if something
    must not run as it stands.
    """
    from greenlane.migrations.sql.parsing import parse_script
    from greenlane.migrations.validating import assess, problems

    session: Session = context.obj
    scripts = [parse_script(*text_of(file)) for file in files]
    catalog = catalog_of(database) if database is not None else None
    told: list[dict[str, Any]] = []
    blocked = False
    for number, script in enumerate(scripts):
        found = assess(script, catalog, before=scripts[:number])
        early = problems(found, phase.value) if phase is not None else ()
        findings = sorted([*early, *(one for each in found for one in each.findings)], key=_place)
        blocked |= any(one.severity == "block" for one in findings)
        told.append(
            {
                "file": script.name,
                "sha256": script.sha256,
                "findings": [one.model_dump(mode="json") for one in findings],
                "statements": [one.model_dump(mode="json", exclude={"findings"}) for one in found],
            }
        )
        for line in lines_of(script, found, findings):
            session.say(line)
    if rewrite is not None:
        _rewrite(session, scripts, catalog, rewrite)
    if catalog is None and any(not one["certain"] for each in told for one in each["statements"]):
        session.say("some of it depends on the tables: --database DSN looks at them")
    session.emit({"files": told, "blocked": blocked})
    if blocked:
        raise typer.Exit(ExitCode.FAILED)


def lines_of(
    script: "Script", assessments: "Sequence[Assessment]", findings: "Sequence[Finding]"
) -> list[str]:
    """A file's findings as people read them."""
    needed = {one.phase for one in assessments}
    phases = [phase.value for phase in DeclaredPhase if phase.value in needed]
    count = f"{len(assessments)} statement{'s' if len(assessments) != 1 else ''}"
    lines = [f"{script.name}: {count}, {' and '.join(phases) or 'nothing to run'}"]
    for one in findings:
        lines.append(f"{script.name}:{one.line}: {one.severity}: {one.rule}: {one.message}")
        if one.lock is not None or one.cost:
            lock = f"{one.lock} on {one.table or 'it'}" if one.lock is not None else ""
            lines.append(f"    takes  {', '.join(part for part in (lock, one.cost) if part)}")
        if one.safe_form:
            first, *rest = one.safe_form.strip().splitlines()
            lines += [f"    safe   {first}", *(f"           {line}" for line in rest)]
    return lines


def _place(finding: "Finding") -> tuple[int, int, str]:
    order = ("block", "warn", "info")
    return finding.line, order.index(finding.severity), finding.rule


def catalog_of(database: str) -> "Catalog":
    """Read over a connection that may write nothing."""
    from greenlane.migrations.catalog.reading import read_catalog
    from greenlane.migrations.running.psycopg_session import connect

    with connect(database, application_name="greenlane/check", read_only=True) as session:
        return read_catalog(session)


def _rewrite(
    session: Session, scripts: "Sequence[Script]", catalog: "Catalog | None", folder: Path
) -> None:
    from greenlane.migrations.planning import changes
    from greenlane.migrations.validating.rewriting import rewrite

    if folder.exists() and any(folder.iterdir()):
        way_out = "name a folder that is new or empty; nothing was written"
        raise InvalidInput("rewrite", str(folder), way_out)
    made: list[tuple[Path, str, Rewritten]] = []
    number = 0
    for script in scripts:
        done = rewrite(script, catalog, changes)
        stem = Path(script.name).stem if script.name != "-" else "script"
        for phase, sql in done.files.items():
            number += 1
            made.append((folder / f"{number:04}_{phase}_{_plain(stem)}.sql", sql, done))
    folder.mkdir(parents=True, exist_ok=True)
    for path, sql, _ in made:
        path.write_text(sql if sql.endswith("\n") else sql + "\n")
        session.say(f"wrote {path}")
    for note in dict.fromkeys(note for _, _, done in made for note in done.notes):
        session.say(f"note: {note}")
    left = dict.fromkeys(one for _, _, done in made for one in done.not_rewritten)
    for one in left:
        session.say(f"not rewritten: line {one.line}: {one.rule}: {one.message}")


def _plain(stem: str) -> str:
    """Of a file's own name what a new one needs: no number, no phase."""
    words = [word for word in stem.split("_") if word and not word.isdigit()]
    return "_".join(word for word in words if word not in list(DeclaredPhase)) or "change"
