"""How flags, their changes and their audit are printed."""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from greenlane.cli.session import Session

if TYPE_CHECKING:
    from datetime import datetime

    from pydantic import BaseModel

    from greenlane.flags.storing.audit import AuditEntry, FlagChange
    from greenlane.flags.storing.proposals import Proposal
    from greenlane.flags.storing.state import StoredFlag, StoredFlags


def tell_kept(
    session: Session, result: "BaseModel", keys: Sequence[str], proposal: "Proposal | None"
) -> None:
    """What a change of flags came to."""
    session.emit(result)
    if proposal is not None and proposal.status == "waiting":
        session.say(
            f"nothing changed yet: {', '.join(proposal.environments)} is protected; somebody else "
            f"approves it: greenlane flags approve {proposal.id}"
        )
        return
    version = getattr(result, "version", 0)
    said = ", ".join(keys) if keys else "unchanged"
    session.say(f"{said}, version {version}")


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
            ("ramping", state.ramp is not None and state.ramp.status in ("running", "held")),
        )
        if given
    ]
    if not flag.shares:
        return "rules"
    return " ".join([found, *(f"+{word}" for word in also)])


def detailed(key: str, stored: "StoredFlag", environments: Iterable[str]) -> list[str]:
    """One flag: what was written, and its state where it has one."""
    from greenlane.flags.storing.state import as_written

    at = f" at {stored.at:%Y-%m-%d %H:%M} UTC" if stored.at else ""
    lines = [f"{key}: revision {stored.revision}, by {stored.by or 'nobody'}{at}"]
    lines += [f"  {name}: {as_json(value)}" for name, value in as_written(stored.flag).items()]
    for environment in environments:
        state = stored.states.get(environment)
        told = (
            state.model_dump(mode="json", exclude_none=True, exclude_defaults=True) if state else {}
        )
        if told:
            lines.append(f"  in {environment}: {as_json(told)}")
    return lines


def differences(changes: Sequence["FlagChange"]) -> list[str]:
    """What changes, one line for each key that differs."""
    lines = []
    for change in changes:
        before, after = _flat(change.before), _flat(change.after)
        if change.before is None or change.after is None:
            lines.append(f"{'+' if change.before is None else '-'} {change.key}")
            continue
        lines.append(f"~ {change.key}")
        for name in dict.fromkeys([*before, *after]):
            old, new = before.get(name), after.get(name)
            if as_json(old) != as_json(new):
                lines.append(f"    {name}: {_shown(name, before)} -> {_shown(name, after)}")
    return lines


def entries(found: Sequence["AuditEntry"]) -> list[str]:
    """The audit, newest first."""
    lines = []
    for entry in found:
        author = f", proposed by {entry.author}" if entry.author else ""
        why = f": {entry.why}" if entry.why else ""
        lines.append(
            f"{entry.version:>5}  {entry.at:%Y-%m-%d %H:%M:%S} UTC  {entry.by}{author}{why}"
        )
        lines += [f"       {line}" for line in differences(entry.changes)]
    return lines


def as_json(value: Any) -> str:
    """A value on one line."""
    return json.dumps(value, ensure_ascii=False)


def _flat(content: Any) -> dict[str, Any]:
    """A flag's content by key: its own keys, and `in <environment>` for states."""
    if not isinstance(content, dict) or "flag" not in content:
        return {"is": content}
    states = {f"in {name}": _set(state) for name, state in content.get("states", {}).items()}
    return {**content["flag"], **states}


def _set(state: Any) -> Any:
    return {name: value for name, value in state.items() if value not in (None, False)}


def _shown(name: str, values: dict[str, Any]) -> str:
    return as_json(values[name]) if name in values else "nothing"
