"""Changes that wait for a second person: where it is asked for, and when nobody is waited for.

`approvals: {environments: [production]}` protects an environment. A change that alters its
snapshot becomes a proposal; somebody else than its author approves it, or rejects it. A change
that only takes something away from users, at once and from everybody alike, is never held up: a
flag that goes off, a ceiling that falls.

A proposal names the revisions that it is based on. When one of them has moved since, what was
looked at is not what would come about, so it has to be proposed anew.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import AliasChoices, Field

from greenlane.deployments.storing.shapes import OnceWhy, StoredModel
from greenlane.flags.storing.audit import FlagChange
from greenlane.flags.storing.state import (
    APPROVALS,
    SEGMENT,
    StoredApprovals,
    StoredFlag,
    StoredFlags,
    StoredSegment,
    changed_keys,
    same,
    settled,
)

Status = Literal["waiting", "approved", "rejected"]


class Proposal(StoredModel):
    """A change as it would be: what it puts, and what it takes out.

    `based` has the revision of each thing that it changes, as its author saw it; `environments`
    are the protected ones that it alters.
    """

    id: str
    at: datetime
    by: str
    reason: OnceWhy = ""
    status: Status = "waiting"
    environments: tuple[str, ...] = ()
    based: dict[str, int] = Field(default_factory=dict)
    flags: dict[str, StoredFlag] = Field(default_factory=dict)
    segments: dict[str, StoredSegment] = Field(default_factory=dict)
    approvals: StoredApprovals | None = None
    removed: tuple[str, ...] = ()
    decided_by: str | None = None
    decided_at: datetime | None = None
    decided_reason: str = Field("", validation_alias=AliasChoices("decided_reason", "decided_why"))

    def edit(self, flags: StoredFlags) -> StoredFlags:
        """The set with this change carried out."""
        gone = set(self.removed)
        return flags.model_copy(
            update={
                "flags": {
                    **{key: one for key, one in flags.flags.items() if key not in gone},
                    **self.flags,
                },
                "segments": {
                    **{
                        name: one
                        for name, one in flags.segments.items()
                        if f"{SEGMENT}{name}" not in gone
                    },
                    **self.segments,
                },
                "approvals": self.approvals or flags.approvals,
            }
        )

    def changes(self, flags: StoredFlags) -> list[FlagChange]:
        """What it would change in a set."""
        found = changed_keys(flags, self.edit(flags))
        return [FlagChange(key=key, before=old, after=new) for key, (old, new) in found.items()]


def proposal_of(
    before: StoredFlags, after: StoredFlags, *, id: str, by: str, reason: str, at: datetime
) -> Proposal:
    """The change from one set to another, as it waits."""
    changed = changed_keys(before, after)
    return Proposal(
        id=id,
        at=at,
        by=by,
        reason=reason,
        environments=held_up(before, after, by=by, at=at),
        based={key: before.revision(key) for key in changed},
        flags={key: after.flags[key] for key in changed if key in after.flags},
        segments={
            name: one for name, one in after.segments.items() if f"{SEGMENT}{name}" in changed
        },
        approvals=after.approvals if APPROVALS in changed else None,
        removed=tuple(key for key, (_, new) in changed.items() if new is None),
    )


def held_up(before: StoredFlags, after: StoredFlags, *, by: str, at: datetime) -> tuple[str, ...]:
    """The protected environments for which a change needs a second person.

    Protected is what was so before the change, so nobody lifts the protection alone. A flag that
    is not for an environment, neither before nor after, is nothing to it; one that is switched off
    is, for who approves that it goes on again looks at little more than that. A ramp that begins is
    held up as well, for a snapshot may be the same until it raises the ceiling; and so is taking
    away a condition that others counted on when they approved.
    """
    if not before.approvals.environments:
        return ()
    after = settled(before, after, by=by, at=at)
    changed = changed_keys(before, after)
    lifted = set(before.approvals.environments) - set(after.approvals.environments)
    return tuple(
        name
        for name in before.approvals.environments
        if name in lifted
        or any(
            _begins(before.flags.get(key), after.flags[key], name)
            or _unguards(before.flags.get(key), after.flags[key], name)
            for key in changed
            if key in after.flags
        )
        or not only_less(
            *(_of_environment(one, name, changed, before, after) for one in (before, after))
        )
    )


def _begins(before: StoredFlag | None, after: StoredFlag, name: str) -> bool:
    """Whether a ramp goes in an environment that did not go before."""
    old = None if before is None else before.state(name).going
    new = after.state(name).going
    return new is not None and (old is None or old.id != new.id)


def _unguards(before: StoredFlag | None, after: StoredFlag, name: str) -> bool:
    """Whether a flag loses a condition in an environment that it is for, or whom it is about."""
    if before is None:
        return False
    old, new = before.flag.within(name), after.flag.within(name)
    if old.environments and name not in old.environments:
        return False
    if not (old.rollback_conditions or old.signal_conditions):
        return False
    lost = {*old.rollback_conditions} - {*new.rollback_conditions} or (
        {*old.signal_conditions} - {*new.signal_conditions, *new.rollback_conditions}
    )
    return bool(lost) or old.service != new.service


def _of_environment(
    flags: StoredFlags,
    name: str,
    changed: Collection[str],
    before: StoredFlags,
    after: StoredFlags,
) -> Mapping[str, Any]:
    """A snapshot with the changed flags that are for the environment, before or after."""
    there = {
        key
        for one in (before, after)
        for key in changed
        if (stored := one.flags.get(key)) is not None
        and (not stored.flag.environments or name in stored.flag.environments)
    }
    return flags.compiled(name, there)


def only_less(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a snapshot differs at most by flags that are off now, and by lower ceilings."""
    if not same(before["segments"], after["segments"]) or before["flags"].keys() != (
        after["flags"].keys()
    ):
        return False
    return all(_less(one, after["flags"][key]) for key, one in before["flags"].items())


def _less(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    if same(before, after):
        return True
    if not same({**before, "on": 0, "rules": 0}, {**after, "on": 0, "rules": 0}):
        return False
    if after["on"] and not before["on"] or len(before["rules"]) != len(after["rules"]):
        return False
    for old, new in zip(before["rules"], after["rules"], strict=True):
        if not same(_without_ceiling(old), _without_ceiling(new)):
            return False
        if "ceiling" in old and ("ceiling" not in new or new["ceiling"] > old["ceiling"]):
            return False
    return True


def _without_ceiling(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in rule.items() if name != "ceiling"}
