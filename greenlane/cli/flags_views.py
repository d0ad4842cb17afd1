"""How flags, their changes and their audit are printed."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from greenlane.cli.session import Session

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from pydantic import BaseModel

    from greenlane.flags.storing.audit import AuditEntry, FlagChange
    from greenlane.flags.storing.proposals import Proposal
    from greenlane.flags.storing.state import Ramp, StoredFlag, StoredFlags


def tell_kept(
    session: Session,
    result: "BaseModel",
    keys: Sequence[str],
    proposal: "Proposal | None",
    *,
    means: str = "",
    done: str = "changed",
    named: Sequence[str] = ("flags",),
) -> None:
    """What a change of flags came to, and what that `means`; or which flags stay switched off.

    Args:
        session: where to say it.
        result: what a program gets.
        keys: what changed; nothing if empty.
        proposal: what waits for a second person instead.
        means: what that is for the flags, in words.
        done: the same in a word, where nothing better is known.
        named: of whom it is said that nothing changed.
    """
    session.emit(result)
    if proposal is not None and proposal.status == "waiting":
        session.say(
            f"nothing changed yet: {', '.join(proposal.environments)} is protected; somebody else "
            f"approves it: greenlane flags approve {proposal.id}"
        )
        return
    version = getattr(result, "version", 0)
    # That of what is nobody's own ends in a colon, so that no flag has it.
    gone = getattr(result, "taken_out", ())
    parts = (
        ([key.removesuffix(":") for key in keys if key not in gone], means or done),
        (gone, "taken out"),
        ([] if keys else named, "unchanged"),
    )
    said = "; ".join(f"{', '.join(names)}: {what}" for names, what in parts if names)
    session.say(f"{said}, version {version}")
    for key, where in {} if means else getattr(result, "switched_off", {}).items():
        places = ", ".join(where)
        session.warn(f"{key} stays switched off in {places}; see greenlane flags enable")


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def listed(flags: "StoredFlags", environments: Sequence[str], now: "datetime") -> list[str]:
    """All flags, with their level in each environment."""
    if not flags.flags:
        return ["there are no flags yet; put some with `greenlane apply -f FILE`"]
    rows = [("flag", *environments, "changed", "by")]
    for key, one in sorted(flags.flags.items()):
        levels = [level_text(one, name, now) for name in environments]
        at = f"{one.at:%Y-%m-%d %H:%M}" if one.at else ""
        rows.append((key, *levels, at, one.by))
    return table(rows)


def level_text(stored: "StoredFlag", environment: str, now: "datetime") -> str:
    """What a flag is in one environment, in a word or two: `off`, `25%`, `rules`."""
    from greenlane.flags.storing.ramp_records import level

    state, flag = stored.state(environment), stored.effective(environment).within(environment)
    if state.stopped:
        return "stopped"
    if not stored.is_on(environment):
        return "off"
    found = f"{level(stored, environment, now.timestamp()).normalize():f}%"
    also = [
        word
        for word, given in (
            ("rules", flag.rules),
            ("groups", flag.user_groups),
            ("targeted", flag.targeting and flag.targeting.user_attributes),
            ("ramping", state.going is not None),
        )
        if given
    ]
    if not flag.shares:
        return "rules"
    return " ".join([found, *(f"+{word}" for word in also)])


def detailed(
    key: str, stored: "StoredFlag", environments: Iterable[str], now: "datetime"
) -> list[str]:
    """One flag: what was written, and what became of it in each environment that it is for."""
    from greenlane.flags.storing.state import as_written

    at = f" at {_moment(stored.at)}" if stored.at else ""
    lines = [f"{key}: revision {stored.revision}, by {stored.by or 'nobody'}{at}"]
    lines += [f"  {name}: {as_json(value)}" for name, value in as_written(stored.flag).items()]
    for environment in environments:
        if stored.flag.environments and environment not in stored.flag.environments:
            continue
        state = stored.state(environment)
        since = state.enabled_since
        on = f", on since {_moment(since)}" if since and stored.is_on(environment) else ""
        lines.append(f"  in {environment}: {level_text(stored, environment, now)}{on}")
        if state.retreated:
            lines.append(f"    {state.retreated}")
        if state.ramp is not None:
            lines += [f"    {line}" for line in _ramp(state.ramp)]
    return lines


def _ramp(ramp: "Ramp") -> list[str]:
    from greenlane.durations import format_seconds

    each = format_seconds(ramp.interval.total_seconds())
    by = f" by {ramp.by}" if ramp.by else ""
    why = f": {ramp.reason}" if ramp.reason else ""
    lines = [
        f"ramp {ramp.id}{by}: {_percent(ramp.increment)} more each {each}, to "
        f"{_percent(ramp.target)}",
        f"  {ramp.status}{why}; judged good up to {_percent(ramp.last_good)}",
    ]
    if ramp.goes and ramp.raised_at is not None:
        due = ramp.raised_at + ramp.interval
        lines.append(f"  raised at {_moment(ramp.raised_at)}, next at {_moment(due)} if it is good")
    return lines


def _moment(at: "datetime") -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _percent(level: "Decimal") -> str:
    return f"{level.normalize():f}%"


def differences(changes: Sequence["FlagChange"]) -> list[str]:
    """What changes, one line for each key that differs."""
    lines = []
    for change in changes:
        if change.before is None or change.after is None:
            lines.append(f"{'+' if change.before is None else '-'} {change.key}")
            continue
        lines.append(f"~ {change.key}")
        lines += [f"    {line}" for line in _differing(_named(change.before), _named(change.after))]
    return lines


def _differing(before: dict[str, Any], after: dict[str, Any], where: str = "") -> Iterator[str]:
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if as_json(old) == as_json(new):
            continue
        if isinstance(old, _Parts) and isinstance(new, _Parts) and old.same_as(new):
            yield from _differing(old, new, f"{where}{name}: ")
        else:
            yield f"{where}{name}: {_shown(name, before)} -> {_shown(name, after)}"


class _Parts(dict[str, Any]):
    """What is compared by its parts: a state, and a ramp as long as it is the same one."""

    def same_as(self, other: "_Parts") -> bool:
        return bool(self.get("id") == other.get("id"))


def entries(found: Sequence["AuditEntry"]) -> list[str]:
    """The audit, newest first."""
    lines = []
    for entry in found:
        author = f", proposed by {entry.author}" if entry.author else ""
        why = f": {entry.reason}" if entry.reason else ""
        lines.append(
            f"{entry.version:>5}  {entry.at:%Y-%m-%d %H:%M:%S} UTC  {entry.by}{author}{why}"
        )
        lines += [f"       {line}" for line in differences(entry.changes)]
    return lines


def as_json(value: Any) -> str:
    """A value on one line."""
    return json.dumps(value, ensure_ascii=False)


def _named(content: Any) -> dict[str, Any]:
    """A change's content by key: a flag's own keys, and `in <environment>` for its states."""
    if not isinstance(content, dict):
        return {"environments" if isinstance(content, list) else "is": content}
    if "flag" not in content:
        return {"is": content}
    states = {f"in {name}": _parts(state) for name, state in content.get("states", {}).items()}
    return {**content["flag"], **states}


def _parts(state: dict[str, Any]) -> _Parts:
    """What a state says; what is empty, off or unknown says nothing."""
    return _Parts(
        {
            name: _parts(value) if isinstance(value, dict) else value
            for name, value in state.items()
            if value not in (None, False, "")
        }
    )


def _shown(name: str, values: dict[str, Any]) -> str:
    return as_json(values[name]) if name in values else "nothing"
