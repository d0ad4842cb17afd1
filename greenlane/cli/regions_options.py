"""What the commands about several Regions have in common: policies and overrides."""

from typing import TYPE_CHECKING

from greenlane.cli.session import Session
from greenlane.errors import InvalidInput

if TYPE_CHECKING:
    from greenlane.regions.planning.model import Override, Policy


def policy_of(text: str) -> "Policy":
    """A policy by its name.

    Raises:
        InvalidInput: there is none of that name.
    """
    from greenlane.problems import suggest
    from greenlane.regions.planning.model import POLICIES

    for policy in POLICIES:
        if policy == text:
            return policy
    raise InvalidInput("--policy", text, f"use safe, balanced or fast{suggest(text, POLICIES)}")


def overrides_of(session: Session, windows: str | None, freezes: str | None) -> list["Override"]:
    """What somebody sets aside, with the reasons.

    Raises:
        InvalidInput: a reason is empty.
    """
    from greenlane.regions.planning.model import Override

    found = []
    if windows is not None:
        reason = _reason("--despite-windows", windows)
        found.append(Override(what="windows", reason=reason, by=session.person))
    if freezes is not None:
        reason = _reason("--despite-freezes", freezes)
        found.append(Override(what="freezes", reason=reason, by=session.person))
    return found


def _reason(option: str, text: str) -> str:
    if not text.strip():
        raise InvalidInput(option, text, "say why, for the record")
    return text.strip()
