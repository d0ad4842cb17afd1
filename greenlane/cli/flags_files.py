"""`greenlane flags diff`, `apply`, `export` and `import`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from greenlane.cli.exits import ExitCode
from greenlane.cli.flags_views import differences, tell_kept
from greenlane.cli.session import Session
from greenlane.errors import InvalidInput

File = Annotated[Path, typer.Option("--file", "-f", help="With `feature_flags:`; - is stdin.")]
Prune = Annotated[bool, typer.Option("--prune", help="Take out what the file does not have.")]
Why = Annotated[str, typer.Option("--reason", help="Why, for the audit.")]


class Format(StrEnum):
    """In which form flags go out."""

    YAML = "yaml"
    FLAGD = "flagd"
    SNAPSHOT = "snapshot"


class Hashing(StrEnum):
    """How the flagd hashes that the flags come from."""

    CBOR = "cbor"
    TEXT = "text"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(diff)
    app.command()(apply)
    app.command("export")(export_flags)
    app.command("import")(import_flags)


def text_of(file: Path) -> tuple[str, str]:
    """A file's text and name."""
    from greenlane.deployments.declaring.applying import text_of as read

    if str(file) == "-":
        return typer.get_text_stream("stdin").read(), "stdin"
    return read(file)


def local_now() -> float:
    """This machine's time, in Unix seconds: for what asks no cloud."""
    from greenlane.clock import current_clock

    return current_clock().now().timestamp()


def snapshot_of(session: Session, file: Path | None, environment: str) -> dict[str, Any]:
    """The snapshot of an environment, of what is stored or of a file."""
    if file is None:
        flags = session.flags.read()
        if environment not in flags.environments:
            session.warn(f"no flag names {environment}: this is what such an environment gets")
        return flags.compiled(environment)
    from greenlane.flags.definitions.compiling import compile_snapshot
    from greenlane.flags.definitions.document import read_flags

    return compile_snapshot(read_flags(*text_of(file)), environment)


def diff(context: typer.Context, file: File, prune: Prune = False) -> None:
    """Show what applying a file would change; exit code 1 when that is anything."""
    from greenlane.flags.storing import keeping
    from greenlane.flags.storing.apply import read_part
    from greenlane.flags.storing.submitting import check

    session: Session = context.obj
    document, source = read_part(*text_of(file))
    flags = session.flags.read()
    check(keeping.merging(document, prune=prune, source=source)(flags), source)
    changes = keeping.difference(flags, document, prune=prune)
    session.emit(list(changes))
    for line in differences(changes) or ["nothing would change"]:
        session.say(line)
    raise typer.Exit(ExitCode.FAILED if changes else ExitCode.OK)


def apply(context: typer.Context, file: File, prune: Prune = False, reason: Why = "") -> None:
    """Put the flags of a file over those that are stored, as `greenlane apply` does."""
    from greenlane.apply import check_flag_names
    from greenlane.flags.storing.apply import apply_flags, read_part

    session: Session = context.obj
    text, name = text_of(file)
    check_flag_names(session.client, read_part(text, name)[0].feature_flags, session.warn)
    applied = apply_flags(
        session.flags,
        text,
        name,
        by=session.principal,
        reason=reason,
        at=session.now,
        prune=prune,
    )
    tell_kept(session, applied, applied.keys, applied.proposal, done="applied")


def export_flags(
    context: typer.Context,
    format: Annotated[
        Format,
        typer.Option(help="yaml: as `apply` takes it; flagd; snapshot: for use without a cloud."),
    ] = Format.YAML,
    environment: Annotated[
        str | None,
        typer.Option("--environment", "-e", help="Which one flagd's, or the snapshot's, is."),
    ] = None,
) -> None:
    """Print the flags, for another tool or another account."""
    session: Session = context.obj
    flags = session.flags.read()
    if format is Format.YAML:
        if environment is not None:
            raise InvalidInput("--environment", environment, "yaml has all of them; leave it out")
        from greenlane.flags.storing.export import to_yaml

        print(to_yaml(flags.document()), end="")
        return
    if environment is None:
        raise InvalidInput("--environment", None, f"{format.value} is of one environment: name it")
    snapshot = snapshot_of(session, None, environment)
    if format is Format.FLAGD:
        from greenlane.flags.definitions.flagd import export_flagd

        snapshot = export_flagd(snapshot, session.now.timestamp())
    print(json.dumps(snapshot, indent=2, ensure_ascii=False))


def import_flags(
    context: typer.Context,
    file: Annotated[Path, typer.Option("--file", "-f", help="flagd's JSON; - is stdin.")],
    hashing: Annotated[
        Hashing, typer.Option(help="cbor as flagd does now, text as it did before.")
    ] = Hashing.CBOR,
    reason: Why = "",
) -> None:
    """Put the flags of a flagd definition; nobody changes sides, its bucketing is kept."""
    from greenlane.apply import check_flag_names
    from greenlane.flags.definitions.flagd import import_flagd
    from greenlane.flags.storing import keeping

    session: Session = context.obj
    text, name = text_of(file)
    try:
        definition = json.loads(text)
    except ValueError as error:
        raise InvalidInput("--file", name, f"write flagd's JSON: {error}") from None
    if not isinstance(definition, dict) or not isinstance(definition.get("flags"), dict):
        raise InvalidInput("--file", name, "write flagd's JSON: an object with the key flags")
    document = import_flagd(definition, hashing.value)
    check_flag_names(session.client, document.feature_flags, session.warn)
    kept = keeping.put(session.flags, document, by=session.principal, reason=reason, at=session.now)
    tell_kept(session, kept, kept.keys, kept.proposal, done="applied")
