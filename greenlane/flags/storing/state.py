"""All flags as they are stored: one document, with what people wrote and what became of it.

`FlagState` is what Greenlane itself knows of a flag in one environment: since when it is on, how
far its ramp was judged good, whether a condition stopped it. What people wrote stays as they wrote
it. The snapshot of an environment is made of both.

What belongs to a change has a key: a flag's own, `segment:<name>`, or `approvals:`. Each key has
the version of the document that last changed it, its revision; 0 is "not there".
"""

import json
from collections.abc import Collection
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, PlainSerializer

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.deployments.storing.stored import as_stored
from greenlane.durations import Duration
from greenlane.flags.definitions.compiling import COMPILER, compile_snapshot
from greenlane.flags.definitions.model import (
    Approvals,
    Condition,
    ConditionShape,
    EnvironmentSettings,
    Flag,
    FlagsDocument,
)

ANYWHERE = "*"
"""The environment of those that no flag names."""

SEGMENT, APPROVALS = "segment:", "approvals:"
"""Keys of what is no flag; a flag's key has no colon."""

StoredPercent = Annotated[Decimal, Field(ge=0, le=100)]
GOING = ("running", "held")
"""The statuses of a ramp that may still be raised."""

RampStatus = Literal["running", "held", "done", "retreated", "stopped"]
Owed = Literal["", "refused", "held", "retreated", "stopped"]


def as_written(model: BaseModel) -> dict[str, Any]:
    """A part of a file as plain JSON that reads as the same again: only the keys it had."""
    plain: dict[str, Any] = _plain(model.model_dump(by_alias=True, exclude_unset=True))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, Decimal):
        # At most three decimals: a float's shortest text is the number that was written.
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value


class Ramp(StoredModel):
    """A rollout in steps: `increment` percent more after each `interval`, until `target`.

    `last_good` is the level that was last judged good, `execution` the workflow's ARN where it is
    not the one that the ramp's own id names. `raised_at` is when the level was raised last.
    """

    id: str
    started_at: datetime
    by: str
    target: StoredPercent
    increment: StoredPercent
    interval: Duration
    status: RampStatus = "running"
    last_good: StoredPercent = Decimal(0)
    reason: str = ""
    execution: str | None = None
    raised_at: datetime | None = None

    @property
    def goes(self) -> bool:
        """Whether it may still be raised."""
        return self.status in GOING


class FlagState(StoredModel):
    """What is known of a flag in one environment.

    A `ramp`'s target stands for the percentage that was written, and `ceiling` caps it; both go
    when another percentage is written. `stopped` is off for everybody, groups too, until a person
    enables the flag again; `retreated` says why it was stopped, or why a ramp went back.
    `judged` is the level of a schedule that was last judged good, and `judged_at` when. `owed` is
    what became of the flag that people have not been told yet.
    """

    enabled_since: datetime | None = None
    ceiling: StoredPercent | None = None
    ramp: Ramp | None = None
    retreated: str | None = None
    stopped: bool = False
    judged: StoredPercent | None = None
    judged_at: datetime | None = None
    owed: Owed = ""

    @property
    def going(self) -> Ramp | None:
        """The ramp, as long as it may still be raised."""
        return self.ramp if self.ramp is not None and self.ramp.goes else None


class StoredFlag(StoredModel):
    """A flag, when it was last changed, and its state by environment."""

    flag: Annotated[Flag, as_stored(Flag), PlainSerializer(as_written)]
    revision: int = 0
    by: str = ""
    at: datetime | None = None
    states: dict[str, FlagState] = Field(default_factory=dict)

    def state(self, environment: str) -> FlagState:
        """Its state in an environment; of one that nobody named before, that of `*`."""
        return self.states.get(environment) or self.states.get(ANYWHERE) or FlagState()

    def is_on(self, environment: str) -> bool:
        """Whether anybody can have it there."""
        here = not self.flag.environments or environment in self.flag.environments
        stopped = self.state(environment).stopped
        return here and self.flag.within(environment).enabled and not stopped

    def effective(self, environment: str) -> Flag:
        """The flag with what its state says in an environment: off, or with a ramp's target."""
        state, flag = self.state(environment), self.flag
        if state.ramp is not None and flag.within(environment).scheduled_rollout is None:
            flag = overridden(flag, environment, percentage=state.ramp.target)
        return overridden(flag, environment, enabled=False) if state.stopped else flag

    def with_state(self, environment: str, **changes: Any) -> "StoredFlag":
        """The same flag with some fields of its state in one environment changed.

        An environment that had the state of all others gets one of its own. A ramp that goes there
        goes on as another one: each is raised by an execution that is named after it.
        """
        state = self.state(environment)
        if environment not in self.states and state.going is not None:
            changes = {"ramp": _apart(state.going, environment), **changes}
        state = state.model_copy(update=changes)
        return self.model_copy(update={"states": {**self.states, environment: state}})

    @property
    def content(self) -> dict[str, Any]:
        """All that a change can change, as JSON."""
        return self.model_dump(mode="json", include={"flag", "states"})


class StoredSegment(StoredModel):
    """A segment, and the version that last changed it."""

    condition: Annotated[Condition, as_stored(ConditionShape), PlainSerializer(as_written)]
    revision: int = 0


class StoredApprovals(StoredModel):
    """Where a second person must agree, and the version that last changed it."""

    environments: tuple[str, ...] = ()
    revision: int = 0


class StoredFlags(StoredModel):
    """All flags of an account, at one version.

    `environments` are those that were ever named and not forgotten: each of them keeps a snapshot.
    `compiler` is the way in which those were compiled.
    """

    version: int = 0
    flags: dict[str, StoredFlag] = Field(default_factory=dict)
    segments: dict[str, StoredSegment] = Field(default_factory=dict)
    approvals: StoredApprovals = StoredApprovals()
    environments: tuple[str, ...] = (ANYWHERE,)
    compiler: int = 1

    def document(self) -> FlagsDocument:
        """What people wrote, as one file would have it."""
        return FlagsDocument(
            feature_flags={key: one.flag for key, one in self.flags.items()},
            segments={name: one.condition for name, one in self.segments.items()},
            approvals=Approvals(environments=self.approvals.environments),
        )

    def revision(self, key: str) -> int:
        """The version that last changed what the key names; 0 when it is not there."""
        if key == APPROVALS:
            return self.approvals.revision
        if key.startswith(SEGMENT):
            segment = self.segments.get(key.removeprefix(SEGMENT))
            return segment.revision if segment is not None else 0
        return self.flags[key].revision if key in self.flags else 0

    def with_flag(self, key: str, flag: StoredFlag | None) -> "StoredFlags":
        """The same set with one flag put or, when None, taken out."""
        rest = {name: one for name, one in self.flags.items() if name != key or flag is not None}
        return self.model_copy(update={"flags": rest | ({key: flag} if flag is not None else {})})

    def compiled(self, environment: str, only: Collection[str] | None = None) -> dict[str, Any]:
        """The snapshot of one environment, with this set's version, in the order of keys.

        Args:
            environment: its name.
            only: the flags that are wanted; all when left out.
        """
        flags, since, ceilings = {}, {}, {}
        for key, one in sorted(self.flags.items()):
            if only is not None and key not in only:
                continue
            state = one.state(environment)
            if state.enabled_since is not None:
                since[key] = state.enabled_since.timestamp()
            if state.ceiling is not None:
                ceilings[key] = state.ceiling
            flags[key] = one.effective(environment)
        segments = {name: one.condition for name, one in sorted(self.segments.items())}
        return compile_snapshot(
            FlagsDocument(feature_flags=flags, segments=segments),
            environment,
            version=self.version,
            enabled_since=since,
            ceilings=ceilings,
        )


def _apart(ramp: Ramp, environment: str) -> Ramp:
    """The same ramp for one environment; its id keeps the whole of the other's, and stays short."""
    digest = blake2b(environment.encode(), digest_size=3).hexdigest()
    return ramp.model_copy(update={"id": f"{ramp.id}-{digest}", "execution": None})


def overridden(flag: Flag, environment: str, **changes: Any) -> Flag:
    """The flag with some keys of `per_environment` set for one environment."""
    settings = flag.per_environment.get(environment) or EnvironmentSettings()
    own = {**flag.per_environment, environment: settings.model_copy(update=changes)}
    return flag.model_copy(update={"per_environment": own})


def named_environments(flags: StoredFlags) -> set[str]:
    """Every environment that a flag or the approvals name, and `*`."""
    named = {ANYWHERE, *flags.approvals.environments}
    for one in flags.flags.values():
        named |= {*one.flag.environments, *one.flag.per_environment}
    return named


def adds_nothing(before: StoredFlags, after: StoredFlags) -> bool:
    """Whether all that people wrote was there before: states move, or something is taken out."""
    return (
        after.flags.keys() <= before.flags.keys()
        and after.segments.items() <= before.segments.items()
        and {*after.approvals.environments} <= {*before.approvals.environments}
        and {*after.environments} <= {*before.environments}
        and all(
            one is before.flags[key] or one.flag == before.flags[key].flag
            for key, one in after.flags.items()
        )
    )


def changed_keys(before: StoredFlags, after: StoredFlags) -> dict[str, tuple[Any, Any]]:
    """What differs, by key, as JSON before and after; None is "not there"."""
    found: dict[str, tuple[Any, Any]] = {}
    for key in sorted(before.flags.keys() | after.flags.keys()):
        one, other = before.flags.get(key), after.flags.get(key)
        # The same object needs no look: most flags, in most changes of a large set.
        if one is not other:
            found[key] = (one and one.content, other and other.content)
    for name in sorted(before.segments.keys() | after.segments.keys()):
        old, new = before.segments.get(name), after.segments.get(name)
        if old is not new:
            found[f"{SEGMENT}{name}"] = (
                old and as_written(old.condition),
                new and as_written(new.condition),
            )
    found[APPROVALS] = (list(before.approvals.environments), list(after.approvals.environments))
    return {key: pair for key, pair in found.items() if not same(*pair)}


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 1 is neither 1.0 nor true, and order counts."""
    return one is other or json_text(one) == json_text(other)


def json_text(value: Any) -> str:
    """A value as JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def settled(
    before: StoredFlags, after: StoredFlags, *, by: str, at: datetime, more: tuple[str, ...] = ()
) -> StoredFlags:
    """The next version: revisions of what changed, and since when what is on now is on.

    Args:
        before: what was read.
        after: what an edit made of it.
        by: who.
        at: when.
        more: further environments that have a snapshot.
    """
    version = before.version + 1
    named = {*after.environments, *named_environments(after), *more}
    flags = {
        key: _switched_on(before.flags.get(key), one, named, at) for key, one in after.flags.items()
    }
    after = after.model_copy(update={"flags": flags})
    changed = changed_keys(before, after).keys()
    stamp = {"revision": version, "by": by, "at": at}
    return after.model_copy(
        update={
            "version": version,
            "environments": tuple(sorted(named)),
            "compiler": COMPILER,
            "flags": {
                key: one.model_copy(update=stamp) if key in changed else one
                for key, one in flags.items()
            },
            "segments": {
                name: one.model_copy(update={"revision": version})
                if f"{SEGMENT}{name}" in changed
                else one
                for name, one in after.segments.items()
            },
            "approvals": after.approvals.model_copy(update={"revision": version})
            if APPROVALS in changed
            else after.approvals,
        }
    )


def _switched_on(
    before: StoredFlag | None, after: StoredFlag, environments: set[str], at: datetime
) -> StoredFlag:
    """With the time at which the flag was switched on, where it was off."""
    if before is after:
        return after
    for environment in sorted(environments):
        if after.is_on(environment) and (before is None or not before.is_on(environment)):
            after = after.with_state(environment, enabled_since=at)
    return after
