"""Applying a file of any kind: of a service, of its Regions, of flags, A/B tests or databases.

The kind of a file is its top-level key. What is about a service (its configuration, its Regions) is
bound to it, and stands until its next file; flags and tests belong to no service, and a database
names its own. Several files at once are in `greenlane.apply_files`.
"""

from collections.abc import Callable, Collection
from pathlib import Path

from greenlane.deployments.client import Greenlane
from greenlane.deployments.declaring.applying import Applied, text_of
from greenlane.deployments.declaring.document import Checked, read_document
from greenlane.documents import load
from greenlane.errors import InvalidInput
from greenlane.experiments.namesakes import check_new_flags, check_new_tests
from greenlane.experiments.storing.apply import KEY as TESTS
from greenlane.experiments.storing.apply import (
    AppliedTests,
    CheckedTests,
    apply_experiments,
    check_experiments,
    is_experiments,
)
from greenlane.flags.storing.apply import KEY as FLAGS
from greenlane.flags.storing.apply import (
    AppliedFlags,
    CheckedFlags,
    apply_flags,
    check_flags,
    is_flags,
)
from greenlane.migrations.databases.applying import KEY as DATABASES
from greenlane.migrations.databases.applying import (
    AppliedDatabases,
    CheckedDatabases,
    apply_databases,
    check_databases,
    is_databases,
)
from greenlane.migrations.declaring.checking import (
    CheckedMigrations,
    check_migrations,
    is_migrations,
)
from greenlane.regions.declaring.document import KEY as REGIONS
from greenlane.regions.declaring.document import CheckedRegions, check_regions, is_regions
from greenlane.regions.keeping.applying import AppliedRegions, apply_regions

AnyChecked = (
    Checked | CheckedFlags | CheckedTests | CheckedDatabases | CheckedMigrations | CheckedRegions
)
AnyApplied = Applied | AppliedFlags | AppliedTests | AppliedDatabases | AppliedRegions

_TAKES = {
    "service": {"service"},
    "canary": {"service"},
    "success_criteria": {"service"},
    REGIONS: {"service", "reason"},
    DATABASES: set[str](),
    FLAGS: {"reason", "prune"},
    TESTS: {"reason", "start", "again"},
}
"""Which options each kind of file takes."""


def check(document: Path | str) -> AnyChecked:
    """Read a file (or, from a str, its text) and say what is wrong; nothing is called.

    Raises:
        InvalidDocument: with everything that is wrong.
    """
    text, name = text_of(document)
    if is_experiments(text, name):
        return check_experiments(text, name)
    if is_databases(text, name):
        return check_databases(text, name)
    if is_migrations(text, name):
        return check_migrations(document, text, name)
    if is_regions(text, name):
        return check_regions(text, name)
    return check_flags(text, name) if is_flags(text, name) else read_document(text, name)


def apply(
    greenlane: Greenlane,
    document: Path | str,
    *,
    service: str | None = None,
    by: str,
    reason: str = "",
    prune: bool = False,
    start: bool = False,
    again: bool = False,
    warn: Callable[[str], None] = lambda text: None,
) -> AnyApplied:
    """Apply a file (or, from a str, its text).

    Args:
        greenlane: the account and Region.
        document: the file.
        service: which service a file that names none is for; only what is about a service may.
        by: who applies it.
        reason: for the audit of flags and tests, and for the record of Regions.
        prune: take out the flags that the file does not have.
        start: begin the tests of the file that are drafts.
        again: begin tests again that have ended and are otherwise in the file.
        warn: takes what people should know.

    Raises:
        InvalidDocument: the file is wrong; nothing was changed.
        InvalidInput: an option is not for this kind of file.
        UnknownService, FlagConflict, Refused: as `Greenlane.apply`, `apply_regions`, `apply_flags`
            and `apply_experiments` say; or a flag and a test would have one name.
    """
    text, name = text_of(document)
    if is_migrations(text, name):
        raise InvalidInput("file", name, MIGRATIONS)
    given = {"service": service, "reason": reason, "prune": prune, "start": start, "again": again}
    kind = _kind(text, name)
    for option, value in given.items():
        if value and option not in _TAKES[kind]:
            raise refuse(option, value)
    if kind == "service":
        return greenlane.apply(document, service=service, by=by)
    now = greenlane.connection.clock.now()
    if kind == REGIONS:
        return apply_regions(
            greenlane.connection, text, name, service=service, by=by, at=now, reason=reason
        )
    if kind == DATABASES:
        return apply_databases(greenlane.connection.databases, text, name, by=by, at=now)
    if kind == TESTS:
        check_test_names(greenlane, _named(text, name, TESTS))
        return apply_experiments(
            greenlane.experiments,
            text,
            name,
            by=by,
            reason=reason,
            at=now,
            start=start,
            again=again,
        )
    check_flag_names(greenlane, _named(text, name, FLAGS), warn)
    return apply_flags(greenlane.flags, text, name, by=by, reason=reason, at=now, prune=prune)


def takes(kind: str, option: str) -> bool:
    """Whether a kind of file takes an option of `apply`."""
    return option in _TAKES[kind]


def refuse(option: str, value: object) -> InvalidInput:
    """What is said of an option that is not for a file."""
    return InvalidInput(option, value, _NOT_FOR[option])


def _kind(text: str, name: str) -> str:
    """The kind of a file; `service` for all that is `Greenlane.apply`'s, which reads it whole."""
    for kind, found in (
        (TESTS, is_experiments),
        (DATABASES, is_databases),
        (REGIONS, is_regions),
        (FLAGS, is_flags),
    ):
        if found(text, name):
            return kind
    return "service"


MIGRATIONS = (
    "migrations are run, not applied: --check reads them, `greenlane migrations run --phase PHASE` "
    "runs them by themselves, `greenlane deploy --migrations FOLDER` with a version"
)
"""What to do with a manifest of migrations instead."""

_NOT_FOR = {
    "service": "only a file that is about a service takes it; leave it out",
    "reason": "only a file of feature flags, A/B tests or regions takes a reason",
    "prune": "only a file of feature flags takes it",
    "start": "only a file of A/B tests takes it",
    "again": "only a file of A/B tests takes it",
}


def check_flag_names(
    greenlane: Greenlane, keys: Collection[str], warn: Callable[[str], None]
) -> None:
    """Refuse new flags that have a test's name; see `check_new_flags`."""
    known = greenlane.flags.read().flags
    check_new_flags(keys, known, lambda: greenlane.experiments.snapshot()["tests"], warn)


def check_test_names(greenlane: Greenlane, names: Collection[str]) -> None:
    """Refuse new tests that have a flag's name; see `check_new_tests`."""
    check_new_tests(
        names,
        lambda: greenlane.experiments.snapshot()["tests"],
        lambda: greenlane.flags.read().flags,
    )


def _named(text: str, name: str, key: str) -> Collection[str]:
    """What a file names under its key; whether it may be so is found when it is read."""
    found = load(text, name).data[key]
    return found if isinstance(found, dict) else ()
