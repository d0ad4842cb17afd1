"""What people do with flags: put, set, delete, switch on and off.

Every change says who and may say why, and answers with what it came to: a new version, or a
proposal where an environment is protected (see `proposals`). What is written is checked as a whole
first: a flag that others need cannot go.

`disable` is the kill switch. It is kept beside what was written, so applying the same file again
does not switch the flag on; only `enable` does. It is never held up, and never told of a conflict:
whatever else changes meanwhile, the flag goes off.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from greenlane.errors import Refused
from greenlane.flags.definitions.lints import unprotecting
from greenlane.flags.definitions.model import Flag, FlagsDocument
from greenlane.flags.storing.approving import approve as approve
from greenlane.flags.storing.approving import reject as reject
from greenlane.flags.storing.audit import FlagChange
from greenlane.flags.storing.ramp_records import start_ramp as start_ramp
from greenlane.flags.storing.ramp_records import stop_ramp as stop_ramp
from greenlane.flags.storing.state import (
    StoredApprovals,
    StoredFlag,
    StoredFlags,
    StoredSegment,
    as_written,
    changed_keys,
    overridden,
)
from greenlane.flags.storing.store import Edit, FlagStore
from greenlane.flags.storing.submitting import (
    LONGEST_WHY,
    NOWHERE,
    Kept,
    checked,
    environments_of,
    flag_in,
    known,
    readable,
    submit,
    surely,
)
from greenlane.problems import InvalidDocument
from greenlane.source import Source

DISABLED_BY = "disabled by "
"""How the reason begins of what a person has switched off."""


def get(store: FlagStore, key: str) -> StoredFlag:
    """One flag; raises `UnknownFlag`."""
    return flag_in(store.read(), key)


def put(
    store: FlagStore,
    document: FlagsDocument,
    *,
    by: str,
    reason: str = "",
    at: datetime,
    prune: bool = False,
    touches: Mapping[str, int] | None = None,
    source: Source | None = None,
) -> Kept:
    """Put the flags and segments of a file over those that are stored.

    Args:
        store: where flags are kept.
        document: the file; its flags may need others that are stored.
        by: who.
        reason: for the audit.
        at: when.
        prune: take out the flags and segments that the file does not have.
        touches: revisions that must not have moved, by key.
        source: the file, for line numbers in errors.

    Raises:
        InvalidDocument: the set would be wrong; nothing was changed.
        FlagConflict: somebody else changed the same in between.
        Refused: it changes the percentage of a flag whose ramp runs, or `prune` would take out a
            flag that was switched off, and with it that it was.
    """
    edit = merging(document, prune=prune, source=source)
    return submit(store, edit, by=by, reason=reason, at=at, touches=touches, source=source)


def merging(document: FlagsDocument, *, prune: bool = False, source: Source | None = None) -> Edit:
    """The edit that puts a file over what is stored; see `put` for what it raises."""

    def edit(flags: StoredFlags) -> StoredFlags:
        kept = {} if prune else dict(flags.flags)
        for key, one in flags.flags.items():
            stopped = [name for name, state in one.states.items() if state.stopped]
            if prune and stopped and key not in document.feature_flags:
                # Another file that has it would bring it back on.
                raise Refused(
                    f"{key}: it was switched off in {', '.join(stopped)}, which taking it out "
                    f"would forget; if it shall go: `greenlane flags delete {key}`"
                )
        for key, flag in document.feature_flags.items():
            kept[key] = _with_definition(key, flags.flags.get(key), flag, flags.environments)
        segments = {} if prune else dict(flags.segments)
        for name, condition in document.segments.items():
            before = flags.segments.get(name) or StoredSegment(condition=condition)
            segments[name] = before.model_copy(update={"condition": condition})
        approvals = flags.approvals
        if document.approvals is not None:
            approvals = StoredApprovals(
                environments=document.approvals.environments, revision=approvals.revision
            )
        after = flags.model_copy(
            update={"flags": kept, "segments": segments, "approvals": approvals}
        )
        _check_protects(flags, after, source or NOWHERE)
        return after

    return edit


def _check_protects(before: StoredFlags, after: StoredFlags, source: Source) -> None:
    old = {*before.approvals.environments}
    new = {*after.approvals.environments} - old
    # An environment may be known by its protection alone, which says nothing about its name.
    known = {*before.environments} - old
    if new and (found := unprotecting(after.document(), source, new=new, known=known)):
        raise InvalidDocument(source.name, found)


def put_flag(
    store: FlagStore,
    key: str,
    flag: Flag,
    *,
    by: str,
    reason: str = "",
    at: datetime,
    touches: Mapping[str, int] | None = None,
) -> Kept:
    """Put one flag; see `put`."""
    document = checked(FlagsDocument, {"feature_flags": {key: as_written(flag)}})
    return put(store, document, by=by, reason=reason, at=at, touches=touches)


def difference(
    flags: StoredFlags, document: FlagsDocument, *, prune: bool = False
) -> list[FlagChange]:
    """What applying a file would change."""
    changed = changed_keys(flags, merging(document, prune=prune)(flags))
    return [FlagChange(key=key, before=old, after=new) for key, (old, new) in changed.items()]


def delete(
    store: FlagStore, keys: Sequence[str], *, by: str, reason: str = "", at: datetime
) -> Kept:
    """Take flags out; raises `UnknownFlag`, or `InvalidDocument` when another flag needs one."""

    def edit(flags: StoredFlags) -> StoredFlags:
        for key in keys:
            flag_in(flags, key)
        rest = {key: one for key, one in flags.flags.items() if key not in keys}
        return flags.model_copy(update={"flags": rest})

    return submit(store, edit, by=by, reason=reason, at=at)


def set_keys(
    store: FlagStore,
    key: str,
    changes: Mapping[str, Any],
    *,
    environment: str | None = None,
    by: str,
    reason: str = "",
    at: datetime,
) -> Kept:
    """Change some keys of a flag, everywhere or in one environment; a None takes the key out.

    A percentage counts from now on, also where it is the one that was written and a ramp has led
    elsewhere since: that ramp is over then.

    Args:
        store: where flags are kept.
        key: the flag.
        changes: as a file would have them, such as `{"percentage": 25}`.
        environment: whose settings are meant; the flag's own when left out.
        by: who.
        reason: for the audit.
        at: when.

    Raises:
        InvalidInput: a key or a value is wrong, or nothing names the environment.
        Refused: the percentage belongs to a ramp that runs.
    """

    def edit(flags: StoredFlags) -> StoredFlags:
        stored = flag_in(flags, key)
        written = as_written(stored.flag)
        place = written
        if environment is not None:
            known(flags, environment)
            place = written.setdefault("per_environment", {}).setdefault(environment, {})
        place |= changes
        for name in [name for name, value in changes.items() if value is None]:
            del place[name]
        flag = checked(Flag, written)
        anew = [
            name
            for name in flags.environments
            if "percentage" in changes and _is_of(stored.flag, name, environment)
        ]
        after = _with_definition(key, stored, flag, flags.environments, anew)
        return flags.with_flag(key, after)

    return submit(store, edit, by=by, reason=reason, at=at)


def enable(
    store: FlagStore,
    key: str,
    environment: str | None = None,
    *,
    by: str,
    reason: str = "",
    at: datetime,
) -> Kept:
    """Switch a flag on, in one environment or wherever it is.

    Without an environment, `enabled: false` of single environments stays.
    """

    def on(stored: StoredFlag, name: str) -> StoredFlag:
        if not stored.state(name).stopped:
            return stored
        return stored.with_state(name, stopped=False, retreated=None)

    def edit(flags: StoredFlags) -> StoredFlags:
        stored = _switched(flags, key, environment, on)
        flag = stored.flag
        if environment is None and not flag.enabled:
            flag = flag.model_copy(update={"enabled": True})
        elif environment is not None and not flag.within(environment).enabled:
            flag = overridden(flag, environment, enabled=True)
        return flags.with_flag(key, stored.model_copy(update={"flag": flag}))

    return submit(store, edit, by=by, reason=reason, at=at)


def disable(
    store: FlagStore,
    key: str,
    environment: str | None = None,
    *,
    by: str,
    reason: str = "",
    at: datetime,
) -> Kept:
    """Switch a flag off for everybody, in one environment or everywhere, until it is enabled.

    A ramp that runs there is stopped. This is never held up by approvals, nor by other changes.
    """
    # Kept for each environment, so a whole log in it must not make the flags too large.
    told = readable(f"{DISABLED_BY}{by}{f': {reason}' if reason else ''}")[:LONGEST_WHY]

    def off(stored: StoredFlag, name: str) -> StoredFlag:
        state = stored.state(name)
        if state.stopped:
            return stored
        ramp = state.ramp
        if ramp is not None and ramp.goes:
            ramp = ramp.model_copy(update={"status": "stopped", "reason": told})
        return stored.with_state(name, stopped=True, retreated=told, ramp=ramp)

    def edit(flags: StoredFlags) -> StoredFlags:
        return flags.with_flag(key, _switched(flags, key, environment, off))

    return surely(lambda: submit(store, edit, by=by, reason=reason, at=at, takes_away=True))


def _switched(
    flags: StoredFlags,
    key: str,
    environment: str | None,
    switch: Callable[[StoredFlag, str], StoredFlag],
) -> StoredFlag:
    """A flag after `switch` in the environment that is meant, or in each that there is."""
    stored = flag_in(flags, key)
    for name in environments_of(flags, environment):
        stored = switch(stored, name)
    return stored


def _is_of(flag: Flag, name: str, environment: str | None) -> bool:
    """Whether a percentage written for `environment` is the one of `name`."""
    if environment is not None:
        return name == environment
    own = flag.per_environment.get(name)
    return own is None or "percentage" not in own.model_fields_set


def _with_definition(
    key: str,
    before: StoredFlag | None,
    flag: Flag,
    environments: Sequence[str],
    anew: Sequence[str] = (),
) -> StoredFlag:
    """The flag as it is written now; where its percentage is another one, its ramp is over.

    `anew` are the environments where it is over in any case.

    Raises:
        Refused: that ramp still runs.
    """
    if before is None:
        return StoredFlag(flag=flag)
    after = before.model_copy(update={"flag": flag})
    for name in environments:
        state = before.state(name)
        same = flag.within(name).percentage == before.flag.within(name).percentage
        if same and name not in anew:
            continue
        if state.going is not None:
            raise Refused(
                f"{key}: its percentage in {name} belongs to the ramp {state.going.id}, which is "
                f"{state.going.status}; stop that first: "
                f"`greenlane flags ramp {key} --environment {name} --stop`"
            )
        if state.ramp is not None or state.ceiling is not None:
            after = after.with_state(name, ramp=None, ceiling=None)
    return after
