"""Applying several files at once, or those of a folder, in an order in which each finds the others.

All are read before anything is changed, so a mistake in the last one changes nothing. The order is
that of `ORDER`, whatever the order in which they are named: what declares a service comes before
what lies over it, and flags come before the tests that choose among their variants.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

from greenlane.apply import (
    MIGRATIONS,
    AnyApplied,
    AnyChecked,
    apply,
    check,
    refuse,
    takes,
)
from greenlane.deployments.client import Greenlane
from greenlane.deployments.declaring.document import Checked
from greenlane.errors import InvalidInput
from greenlane.migrations.declaring.checking import CheckedMigrations
from greenlane.problems import ABSENT

ORDER = (
    "service",
    "success_criteria",
    "canary",
    "regions",
    "databases",
    "feature_flags",
    "ab_tests",
)
"""The kinds of files in the order in which they are applied."""

_OF_ONE_SERVICE = ("success_criteria", "canary", "regions")
"""Kinds that name no service: the next file of a kind replaces the one before."""

_ENDINGS = (".yaml", ".yml")


class Options(TypedDict):
    """What is said of files besides where they are; see `apply_files`."""

    service: str | None
    reason: str
    prune: bool
    start: bool
    again: bool


class File(NamedTuple):
    """A file that was read and found right.

    Args:
        document: where it is, or its text.
        checked: what it says.
    """

    document: Path | str
    checked: AnyChecked

    @property
    def name(self) -> str:
        """What to call it."""
        return str(self.document) if isinstance(self.document, Path) else "document"

    @property
    def kind(self) -> str:
        """What it is, as in `ORDER`; `migrations` is not in it."""
        return self.checked.kind

    @property
    def declares(self) -> str | None:
        """The service that it names."""
        return self.checked.service if isinstance(self.checked, Checked) else None


def expand(documents: Sequence[Path | str]) -> list[Path | str]:
    """Files as they are, and folders as the YAML files that lie in them, by name.

    Raises:
        InvalidInput: a folder has none, or a file is named twice.
    """
    found: list[Path | str] = []
    for document in documents:
        if isinstance(document, str) or not document.is_dir():
            found.append(document)
            continue
        inside = sorted(one for one in document.iterdir() if one.suffix in _ENDINGS)
        if not inside:
            raise InvalidInput(
                "file", str(document), f"no file in it ends in {' or '.join(_ENDINGS)}"
            )
        found += inside
    for name, times in Counter(map(str, found)).items():
        if times > 1:
            raise InvalidInput("file", name, "it is named twice; leave one out")
    return found


def read_files(documents: Sequence[Path | str]) -> list[File]:
    """Read files and those of folders, in the order in which they are applied; no cloud is asked.

    Raises:
        InvalidInput: a folder has no YAML, or a file is named twice.
        InvalidDocument: the first file that is wrong, with everything that is.
    """
    files = [File(document, check(document)) for document in expand(documents)]
    ranks = {kind: number for number, kind in enumerate(ORDER)}
    return sorted(files, key=lambda file: ranks.get(file.kind, len(ORDER)))


def apply_files(
    greenlane: Greenlane,
    files: Sequence[File],
    *,
    service: str | None = None,
    by: Callable[[str], str],
    reason: str = "",
    prune: bool = False,
    start: bool = False,
    again: bool = False,
    warn: Callable[[str], None] = lambda text: None,
) -> Iterator[AnyApplied]:
    """Apply files that were read, one after the other; what each came to, as it is done.

    An option goes to the files that take it. Where no `service` is named and one file declares one,
    those that name none are for that one.

    Args:
        greenlane: the account and Region.
        files: as `read_files` gives them.
        service: which service the files that name none are for.
        by: who applies a file of a kind.
        reason: for the audit.
        prune: take out the flags that the file of flags does not have.
        start: begin the tests that are drafts.
        again: begin tests again that have ended and are otherwise in their file.
        warn: takes what people should know.

    Raises:
        InvalidInput: an option is for none of the files, or files are at odds with each other;
            nothing was changed.
        Refused, UnknownService, FlagConflict: as `apply` says; the files before it are applied,
            and `warn` was told which.
    """
    given = {"service": service, "reason": reason, "prune": prune, "start": start, "again": again}
    check_together(files, given)
    declared = {file.declares for file in files if file.declares is not None}
    bound = service or (declared.pop() if len(declared) == 1 else None)
    for number, file in enumerate(files):
        named = None if file.declares is not None and service is None else bound
        try:
            applied = apply(
                greenlane,
                file.document,
                service=named if takes(file.kind, "service") else None,
                by=by(file.kind),
                reason=reason if takes(file.kind, "reason") else "",
                prune=prune and takes(file.kind, "prune"),
                start=start and takes(file.kind, "start"),
                again=again and takes(file.kind, "again"),
                warn=warn,
            )
        except BaseException:  # an interrupt too leaves the rest undone
            if len(files) > 1:
                warn(_left(files, number))
            raise
        yield applied


def _left(files: Sequence[File], number: int) -> str:
    """What was done before the file that failed, and what was not."""
    failed, *rest = (file.name for file in files[number:])
    further = f", and not begun were {', '.join(rest)}" if rest else ""
    return (
        f"{number} of {len(files)} files were applied; {failed} was not, or not all of it"
        f"{further}; apply all of them again: what is applied already stays as it is"
    )


def check_together(files: Sequence[File], given: Mapping[str, object]) -> None:
    """Refuse files that cannot be applied in one go, before the first one is.

    Raises:
        InvalidInput: naming the option or the file.
    """
    for file in files:
        if isinstance(file.checked, CheckedMigrations):
            raise InvalidInput("file", file.name, MIGRATIONS)
    for option, value in given.items():
        if value and not any(takes(file.kind, option) for file in files):
            raise refuse(option, value)
    kinds = Counter(file.kind for file in files)
    services = Counter(file.declares for file in files if file.declares is not None)
    _refuse_seconds(files, kinds, services)
    if given.get("prune") and kinds["feature_flags"] > 1:
        raise InvalidInput(
            "prune", True, "several files of flags: each would take out those of the others"
        )
    wanted = given.get("service")
    unnamed = next((file for file in files if file.kind in _OF_ONE_SERVICE), None)
    for name in services:
        if wanted is not None and name != wanted:
            raise InvalidInput("service", wanted, f"a file declares {name}; leave --service out")
    if wanted is None and len(services) > 1 and unnamed is not None:
        known = ", ".join(sorted(services))
        raise InvalidInput(
            "service",
            ABSENT,
            f"{unnamed.name} names no service, and these files declare {known}; "
            "apply it by itself with --service NAME",
        )


def _refuse_seconds(files: Sequence[File], kinds: "Counter[str]", services: "Counter[str]") -> None:
    """Refuse files of which the later one would replace the earlier one."""
    for file in reversed(files):
        twice = kinds[file.kind] > 1 and file.kind in _OF_ONE_SERVICE
        if twice or services[file.declares or ""] > 1:
            what = file.kind.replace("_", " ")
            raise InvalidInput(
                "file", file.name, f"a second file of this kind ({what}) would replace the first"
            )
