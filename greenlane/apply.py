"""Applying a file of any kind: the configuration of a service, flags, A/B tests, or databases.

The kind of a file is its top-level key. What configures a service is bound to it, and stands until
its next file; flags and tests belong to no service, and a database names its own.
"""

from collections.abc import Callable, Collection
from pathlib import Path

from greenlane.deployments.applying import Applied, text_of
from greenlane.deployments.client import Greenlane
from greenlane.deployments.document import Checked, read_document
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
from greenlane.regions.declaring.document import CheckedRegions, check_regions, is_regions

AnyChecked = (
    Checked | CheckedFlags | CheckedTests | CheckedDatabases | CheckedMigrations | CheckedRegions
)


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
    why: str = "",
    prune: bool = False,
    start: bool = False,
    again: bool = False,
    warn: Callable[[str], None] = lambda text: None,
) -> Applied | AppliedFlags | AppliedTests | AppliedDatabases:
    """Apply a file (or, from a str, its text).

    Args:
        greenlane: the account and Region.
        document: the file.
        service: which service a file that names none is for; only what configures a service may.
        by: who applies it.
        why: for the audit of flags and tests.
        prune: take out the flags that the file does not have.
        start: begin the tests of the file that are drafts.
        again: begin tests again that have ended and are otherwise in the file.
        warn: takes what people should know.

    Raises:
        InvalidDocument: the file is wrong; nothing was changed.
        InvalidInput: an option is not for this kind of file.
        UnknownService, FlagConflict, Refused: as `Greenlane.apply`, `apply_flags` and
            `apply_experiments` say; or a flag and a test would have one name.
    """
    text, name = text_of(document)
    flags, tests = is_flags(text, name), is_experiments(text, name)
    databases = is_databases(text, name)
    if is_migrations(text, name):
        raise InvalidInput("file", name, "migrations are run, not applied; --check reads them")
    given = {"service": service, "why": why, "prune": prune, "start": start, "again": again}
    takes = {"why", "start", "again"} if tests else {"why", "prune"} if flags else {"service"}
    takes = set() if databases else takes
    for option, value in given.items():
        if value and option not in takes:
            raise InvalidInput(option, value, _NOT_FOR[option])
    if not (tests or flags or databases):
        return greenlane.apply(document, service=service, by=by)
    now = greenlane.connection.clock.now()
    if databases:
        return apply_databases(greenlane.connection.databases, text, name, by=by, at=now)
    if tests:
        check_test_names(greenlane, _named(text, name, TESTS))
        return apply_experiments(
            greenlane.experiments,
            text,
            name,
            by=by,
            why=why,
            at=now,
            start=start,
            again=again,
        )
    check_flag_names(greenlane, _named(text, name, FLAGS), warn)
    return apply_flags(greenlane.flags, text, name, by=by, why=why, at=now, prune=prune)


_NOT_FOR = {
    "service": "only a file that configures a service takes it; leave it out",
    "why": "only a file of feature flags or A/B tests takes it",
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
