"""Text made to fit what a vendor takes. Pure; no I/O.

Vendors count characters in different ways. Here one counts as UTF-16 does, in which the rare ones
are two: no vendor counts more.
"""

import re

CUT = "…"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_CONTROL_BUT_BREAKS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]+")


def units(text: str) -> int:
    """The length of a text as the strictest vendor counts it."""
    # Halves of pairs that stand alone are one each.
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def clip(text: str, limit: int) -> str:
    """The text, or as much of its beginning as fits into `limit` (at least 1) with a `…`."""
    if units(text) <= limit:
        return text
    room, kept = limit - 1, []
    for character in text[:limit]:
        room -= 1 + (character > "\uffff")
        if room < 0:
            break
        kept.append(character)
    return "".join(kept) + CUT


def readable(text: str) -> str:
    """The text without control characters (line breaks stay) and without broken halves."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return _CONTROL_BUT_BREAKS.sub(" ", whole.replace("\r\n", "\n").replace("\t", " "))


def one_line(text: str, limit: int) -> str:
    """The text on one line, of at most `limit`; never empty."""
    return clip(" ".join(_CONTROL.sub(" ", readable(text)).split()) or "(nothing)", limit)


def is_link(text: str) -> bool:
    """Whether a reader could follow it: an `http` or `https` address on one line."""
    return re.fullmatch(r"https?://[^\s<>|\"']+", text) is not None
