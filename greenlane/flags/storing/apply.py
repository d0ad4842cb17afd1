"""Applying a file of feature flags: read, checked together with what is stored, and kept."""

from datetime import datetime
from typing import Literal

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.documents import Source, load, validate
from greenlane.flags.definitions.document import read_flags
from greenlane.flags.definitions.model import FlagsDocument
from greenlane.flags.storing import keeping
from greenlane.flags.storing.proposals import Proposal
from greenlane.flags.storing.store import FlagStore

KEY = "feature_flags"
"""The top-level key that makes a file one of flags."""


class CheckedFlags(StoredModel):
    """A file of flags without a problem."""

    file: str
    kind: Literal["feature_flags"] = "feature_flags"
    flags: tuple[str, ...]


class AppliedFlags(StoredModel):
    """What applying a file of flags came to; with a `proposal` it waits for a second person.

    `switched_off` has where flags of it stay switched off, whatever the file says.
    """

    kind: Literal["feature_flags"] = "feature_flags"
    version: int
    changed: bool
    keys: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    proposal: Proposal | None = None
    switched_off: dict[str, tuple[str, ...]] = {}
    taken_out: tuple[str, ...] = ()


def is_flags(text: str, name: str = "document") -> bool:
    """Whether a file is one of flags; raises `InvalidDocument` when it is no YAML."""
    return KEY in load(text, name).data


def check_flags(text: str, name: str = "document") -> CheckedFlags:
    """Read a file of flags by itself, without a cloud; raises `InvalidDocument`."""
    document = read_flags(text, name)
    return CheckedFlags(file=name, flags=tuple(document.feature_flags))


def read_part(text: str, name: str = "document") -> tuple[FlagsDocument, Source]:
    """Read a file whose flags may need others that are stored; raises `InvalidDocument`.

    What names other flags and segments is checked when it is put together with those.
    """
    source = load(text, name)
    return validate(FlagsDocument, source), source


def apply_flags(
    store: FlagStore,
    text: str,
    name: str = "document",
    *,
    by: str,
    reason: str = "",
    at: datetime,
    prune: bool = False,
) -> AppliedFlags:
    """Put the flags of a file over those that are stored.

    Args:
        store: where flags are kept.
        text: the file.
        name: what to call it.
        by: who applies it.
        reason: for the audit.
        at: when.
        prune: take out what the file does not have.

    Raises:
        InvalidDocument: the flags would be wrong; nothing was changed.
        FlagConflict: somebody else changed the same in between.
        Refused: it changes the percentage of a flag whose ramp runs.
    """
    document, source = read_part(text, name)
    kept = keeping.put(store, document, by=by, reason=reason, at=at, prune=prune, source=source)
    return AppliedFlags(
        version=kept.version,
        changed=kept.changed,
        keys=kept.keys,
        environments=kept.environments,
        proposal=kept.proposal,
        switched_off=kept.switched_off,
        taken_out=kept.taken_out,
    )
