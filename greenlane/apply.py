"""Applying a file of any kind: the configuration of a service, or feature flags.

The kind of a file is its top-level key. What configures a service is bound to it, and stands until
its next file; flags belong to no service.
"""

from pathlib import Path

from greenlane.deployments.applying import Applied, text_of
from greenlane.deployments.client import Greenlane
from greenlane.deployments.document import Checked, read_document
from greenlane.errors import InvalidInput
from greenlane.flags.storing.apply import (
    AppliedFlags,
    CheckedFlags,
    apply_flags,
    check_flags,
    is_flags,
)


def check(document: Path | str) -> Checked | CheckedFlags:
    """Read a file (or, from a str, its text) and say what is wrong; nothing is called.

    Raises:
        InvalidDocument: with everything that is wrong.
    """
    text, name = text_of(document)
    return check_flags(text, name) if is_flags(text, name) else read_document(text, name)


def apply(
    greenlane: Greenlane,
    document: Path | str,
    *,
    service: str | None = None,
    by: str,
    why: str = "",
    prune: bool = False,
) -> Applied | AppliedFlags:
    """Apply a file (or, from a str, its text).

    Args:
        greenlane: the account and Region.
        document: the file.
        service: which service a file that names none is for; flags are for none.
        by: who applies it.
        why: for the audit of flags.
        prune: take out the flags that the file does not have.

    Raises:
        InvalidDocument: the file is wrong; nothing was changed.
        InvalidInput: an option is not for this kind of file.
        UnknownService, FlagConflict, Refused: as `Greenlane.apply` and `apply_flags` say.
    """
    text, name = text_of(document)
    if not is_flags(text, name):
        if prune or why:
            option, value = ("prune", prune) if prune else ("why", why)
            raise InvalidInput(option, value, "only a file of feature flags takes it")
        return greenlane.apply(document, service=service, by=by)
    if service is not None:
        raise InvalidInput("service", service, "flags belong to no service; leave it out")
    now = greenlane.connection.clock.now()
    return apply_flags(greenlane.flags, text, name, by=by, why=why, at=now, prune=prune)
