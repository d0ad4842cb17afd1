"""`greenlane apply`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenlane.cli.flags_views import tell_kept
from greenlane.cli.session import Session

if TYPE_CHECKING:
    from greenlane.apply import AnyApplied, AnyChecked
    from greenlane.apply_files import Options

AUDITED = ("feature_flags", "ab_tests", "databases", "regions")
"""Kinds of files of which it counts whose credentials applied them."""


def apply(
    context: typer.Context,
    file: Annotated[
        list[Path],
        typer.Option(
            "--file",
            "-f",
            help="YAML with `service:`, `canary:`, `success_criteria:`, `regions:`, `databases:`, "
            "`feature_flags:` or `ab_tests:`, or a folder of such files; - is stdin. Several -f "
            "are applied in one go, all of them read before the first.",
        ),
    ],
    service: Annotated[
        str | None, typer.Option(help="Which service a file that names none is for.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only check the files; needs no cloud.")
    ] = False,
    reason: Annotated[
        str,
        typer.Option("--reason", help="Of feature flags, A/B tests and regions: for the audit."),
    ] = "",
    prune: Annotated[
        bool, typer.Option("--prune", help="Of feature flags: take out those not in the file.")
    ] = False,
    start: Annotated[
        bool, typer.Option("--start", help="Of A/B tests: begin those that are drafts.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Of A/B tests: begin those again that ended and are otherwise now."
        ),
    ] = False,
) -> None:
    """Apply files: of a service, of its regions, of feature flags, A/B tests or databases.

    The next deployment uses what is about a service; one that runs keeps what it began with. Flags
    count at once, and new A/B tests are drafts until they are started. The same content again
    changes nothing.
    """
    from greenlane.apply_files import apply_files, check_together, read_files

    session: Session = context.obj
    documents: list[Path | str] = [
        typer.get_text_stream("stdin").read() if str(one) == "-" else one for one in file
    ]
    files = read_files(documents)
    if check:
        for one in files:
            _checked(session, one.checked)
        return
    options: Options = {
        "service": service,
        "reason": reason,
        "prune": prune,
        "start": start,
        "again": again,
    }
    check_together(files, options)  # before anybody needs a cloud
    done = apply_files(
        session.client,
        files,
        by=lambda kind: session.principal if kind in AUDITED else session.person,
        warn=session.warn,
        **options,
    )
    for applied in done:
        _applied(session, applied)


def _applied(session: Session, applied: "AnyApplied") -> None:
    """Print what a file came to."""
    from greenlane.cli.experiments_views import tell_applied
    from greenlane.deployments.declaring.applying import Applied
    from greenlane.experiments.storing.apply import AppliedTests
    from greenlane.flags.storing.apply import AppliedFlags
    from greenlane.migrations.databases.applying import AppliedDatabases

    if isinstance(applied, AppliedTests):
        tell_applied(session, applied)
        return
    if isinstance(applied, AppliedFlags):
        tell_kept(session, applied, applied.keys, applied.proposal, done="applied")
        return
    for warning in applied.warnings:
        session.warn(warning)
    session.emit(applied)
    if isinstance(applied, AppliedDatabases):
        for name, version in applied.databases.items():
            said = "applied" if name in applied.changed else "unchanged"
            session.say(f"{name}: {said}, version {version}")
        return
    said = "applied" if applied.changed else "unchanged"
    what = "configuration" if isinstance(applied, Applied) else "regions"
    session.say(f"{applied.service}: {said}, {what} version {applied.version}")


def _checked(session: Session, checked: "AnyChecked") -> None:
    """Print that a file is correct."""
    from greenlane.deployments.declaring.document import Checked

    for warning in getattr(checked, "warnings", ()):
        session.warn(warning)
    if isinstance(checked, Checked):
        name = checked.source.name
        session.emit({"file": name, "kind": checked.kind, "warnings": list(checked.warnings)})
        about = f" about {checked.service}" if checked.service else ""
        kind = checked.kind.replace("_", " ")
        session.say(f"{name}: a correct {kind} file{about}; nothing was applied")
        return
    session.emit(checked)
    session.say(f"{checked.file}: a correct {_counted(checked)}")


def _counted(checked: "AnyChecked") -> str:
    """How much there is in a file, and that nothing was done with it."""
    from greenlane.experiments.storing.apply import CheckedTests
    from greenlane.flags.storing.apply import CheckedFlags
    from greenlane.migrations.databases.applying import CheckedDatabases
    from greenlane.migrations.declaring.checking import CheckedMigrations
    from greenlane.regions.declaring.document import CheckedRegions

    def of(number: int, what: str) -> str:
        return f"{number} {what}{'' if number == 1 else 's'}"

    if isinstance(checked, CheckedMigrations):
        return f"manifest of {of(len(checked.migrations), 'migration')}; nothing was run"
    if isinstance(checked, CheckedFlags):
        said = of(len(checked.flags), "flag")
    elif isinstance(checked, CheckedTests):
        said = of(len(checked.tests), "A/B test")
    elif isinstance(checked, CheckedDatabases):
        said = of(len(checked.databases), "database")
    else:
        assert isinstance(checked, CheckedRegions), "the kinds are told apart above"
        said = of(len(checked.regions), "region")
    return f"file of {said}; nothing was applied"
