"""The way of every change: edited, checked as a whole, then kept, or proposed where it must be."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.errors import FlagConflict, InvalidInput, UnknownFlag
from greenlane.flags.definitions.lints import problems_of
from greenlane.flags.storing.proposals import Proposal, held_up, proposal_of
from greenlane.flags.storing.state import APPROVALS, SEGMENT, StoredFlag, StoredFlags
from greenlane.flags.storing.store import Changed, Edit, FlagStore
from greenlane.problems import InvalidDocument, as_error, excerpt, explain, suggest
from greenlane.source import Source

ModelT = TypeVar("ModelT", bound=BaseModel)

LONGEST_WHY = 1000
"""Characters of a reason; of one for switching a flag off the rest is left out."""

SURELY = 20
"""How often a flag is tried to be switched off while others change it."""


NOWHERE = Source("the flags", "", {})
"""Of what came from no file: errors have no lines."""


class Kept(StoredModel):
    """What a change came to.

    `keys` is what changed, and `flags` has the flags among that as they are now, None for one that
    is gone; `taken_out` is what is gone of it, segments too. With a `proposal` nothing has changed
    yet: it waits for a second person.
    """

    version: int
    keys: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    flags: dict[str, StoredFlag | None] = {}
    taken_out: tuple[str, ...] = ()
    proposal: Proposal | None = None

    @property
    def switched_off(self) -> dict[str, tuple[str, ...]]:
        """Where a flag that was changed is switched off by a person or a condition, by key."""
        found = {
            key: tuple(sorted(name for name, state in one.states.items() if state.stopped))
            for key, one in self.flags.items()
            if one is not None
        }
        return {key: where for key, where in found.items() if where}

    @property
    def changed(self) -> bool:
        """Whether anything is otherwise now than before."""
        return bool(self.keys)


class _HeldUp(Exception):
    """On the way out of an edit: this must be proposed."""

    def __init__(self, before: StoredFlags, after: StoredFlags) -> None:
        self.before, self.after = before, after


def flag_in(flags: StoredFlags, key: str) -> StoredFlag:
    """One flag of a set; raises `UnknownFlag`."""
    if key not in flags.flags:
        raise UnknownFlag(key, sorted(flags.flags))
    return flags.flags[key]


def readable(text: str) -> str:
    """Text that a terminal can print: what is half a character, or no UTF-8, becomes `?`.

    A shell hands on any bytes. They must not keep a flag from going off, nor the audit from being
    read.
    """
    return text.encode("utf-8", "replace").decode()


def surely(change: Callable[[], Kept]) -> Kept:
    """Make a change of a single field again while others change the same flag."""
    for _ in range(SURELY - 1):
        try:
            return change()
        except FlagConflict:
            continue
    return change()


def submit(
    store: FlagStore,
    edit: Edit,
    *,
    by: str,
    reason: str,
    at: datetime,
    touches: Mapping[str, int] | None = None,
    source: Source | None = None,
    takes_away: bool = False,
) -> Kept:
    """Make a change, or propose it where a second person must agree.

    A change that only `takes_away` is neither held up nor checked: a set that was stored before a
    rule became stricter can be wrong now, and a flag must go off all the same.

    Raises:
        InvalidInput: a reason that is too long.
        InvalidDocument, FlagConflict, FlagsTooLarge: nothing was written.
    """
    by, reason = readable(by), readable(reason)
    if len(reason) > LONGEST_WHY:
        if not takes_away:
            raise InvalidInput("reason", excerpt(reason), f"write at most {LONGEST_WHY} characters")
        reason = reason[:LONGEST_WHY]

    def guarded(flags: StoredFlags) -> StoredFlags:
        after = edit(flags)
        if takes_away:
            return after
        check(after, source)
        moved = any(flags.revision(key) != revision for key, revision in (touches or {}).items())
        # What has moved is a conflict, which the store tells.
        if not moved and held_up(flags, after, by=by, at=at):
            raise _HeldUp(flags, after)
        return after

    try:
        return kept(store.change(guarded, by=by, reason=reason, at=at, touches=touches))
    except _HeldUp as held:
        proposal = proposal_of(
            held.before,
            held.after,
            id=f"{at:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
            by=by,
            reason=reason,
            at=at,
        )
        store.propose(proposal)
        return Kept(version=held.before.version, proposal=proposal)


def kept(changed: Changed) -> Kept:
    """What a change came to, with the flags that it is about alone."""
    return Kept(
        version=changed.version,
        keys=changed.keys,
        environments=changed.environments,
        flags={
            key: changed.flags.flags.get(key)
            for key in changed.keys
            if key != APPROVALS and not key.startswith(SEGMENT)
        },
        taken_out=tuple(key for key in changed.keys if not _is_in(changed.flags, key)),
    )


def _is_in(flags: StoredFlags, key: str) -> bool:
    """Whether what a key of a change names is there; how approvals are given always is."""
    if key.startswith(SEGMENT):
        return key.removeprefix(SEGMENT) in flags.segments
    return key == APPROVALS or key in flags.flags


def check(flags: StoredFlags, source: Source | None = None) -> None:
    """Refuse a set that is wrong.

    Raises:
        InvalidDocument: with everything that is wrong, by line where `source` has it.
    """
    source = source or NOWHERE
    if found := problems_of(flags.document(), source):
        raise InvalidDocument(source.name, found)


def checked(model: type[ModelT], data: Mapping[str, Any]) -> ModelT:
    """Data as a model of the edges.

    Raises:
        InvalidInput: naming what is wrong.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise as_error(explain(error, model, data), "the flag") from None


def environments_of(flags: StoredFlags, environment: str | None) -> Sequence[str]:
    """The environment that was asked for, which there must be, or all."""
    return flags.environments if environment is None else [known(flags, environment)]


def known(flags: StoredFlags, environment: str) -> str:
    """An environment that a flag names.

    Raises:
        InvalidInput: no flag names it.
    """
    if environment not in flags.environments:
        names = ", ".join(flags.environments)
        near = suggest(environment, flags.environments)
        raise InvalidInput(
            "environment",
            environment,
            f"the flags name {names}{near}; what they do not name has what * has",
        )
    return environment
