"""Time zones by name, from the `tzdata` package alone, and what abbreviations are taken for.

The zones of the machine are never read: they may be another year's, and a plan records which
edition it was made with (`IANA_VERSION`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from tzdata import IANA_VERSION as IANA_VERSION

ASSUMED: Mapping[str, str] = {
    "EST": "America/New_York",
    "PST": "America/Los_Angeles",
    "AKST": "America/Anchorage",
    "HST": "Pacific/Honolulu",
    "BRT": "America/Sao_Paulo",
    "WET": "Europe/Lisbon",
    "CET": "Europe/Berlin",
    "MET": "Europe/Berlin",
    "EET": "Europe/Athens",
    "MSK": "Europe/Moscow",
    "SAST": "Africa/Johannesburg",
    "WIB": "Asia/Jakarta",
    "SGT": "Asia/Singapore",
    "HKT": "Asia/Hong_Kong",
    "PHT": "Asia/Manila",
    "JST": "Asia/Tokyo",
    "KST": "Asia/Seoul",
    "AWST": "Australia/Perth",
    "NZST": "Pacific/Auckland",
}
"""The zone that an abbreviation is taken for. People write the winter's and mean all year, so those
with summer time are zones with summer time; IANA's own `EST` is -05:00 in July too."""

AMBIGUOUS: Mapping[str, tuple[str, ...]] = {
    "ACST": ("Australia/Adelaide", "Australia/Darwin"),
    "AEST": ("Australia/Sydney", "Australia/Brisbane"),
    "AMT": ("America/Manaus", "Asia/Yerevan"),
    "AST": ("America/Halifax", "Asia/Riyadh", "America/Puerto_Rico"),
    "BST": ("Europe/London", "Asia/Dhaka", "Pacific/Bougainville"),
    "BT": ("Asia/Thimphu", "Asia/Baghdad"),
    "CAT": ("Africa/Maputo", "Africa/Khartoum"),
    "CST": ("America/Chicago", "Asia/Shanghai", "America/Havana", "America/Costa_Rica"),
    "ECT": ("America/Guayaquil", "America/Puerto_Rico"),
    "GST": ("Asia/Dubai", "Atlantic/South_Georgia"),
    "IST": ("Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"),
    "MST": ("America/Denver", "America/Phoenix"),
    "NST": ("America/St_Johns", "Asia/Kathmandu"),
    "SST": ("Pacific/Pago_Pago", "Pacific/Guadalcanal"),
    "WAST": ("Africa/Windhoek", "Australia/Perth"),
    "WST": ("Australia/Perth", "Pacific/Apia"),
}
"""What is refused, since it means several zones; and those to choose from."""

SUMMER: Mapping[str, tuple[str, ...]] = {
    "ACDT": ("Australia/Adelaide",),
    "ADT": ("America/Halifax",),
    "AEDT": ("Australia/Sydney",),
    "AKDT": ("America/Anchorage",),
    "CDT": ("America/Chicago", "America/Havana"),
    "CEST": ("Europe/Berlin",),
    "EDT": ("America/New_York",),
    "EEST": ("Europe/Athens",),
    "IDT": ("Asia/Jerusalem",),
    "MDT": ("America/Denver",),
    "MEST": ("Europe/Berlin",),
    "NDT": ("America/St_Johns",),
    "NZDT": ("Pacific/Auckland",),
    "PDT": ("America/Los_Angeles",),
    "WEST": ("Europe/Lisbon",),
}
"""What is refused, since it holds for half of the year; and the zone that has it."""

_FIXED = re.compile(r"UTC([+-])(\d{2}):(\d{2})")
_REVERSED = re.compile(r"Etc/GMT([+-])(\d{1,2})")
_FARTHEST_MINUTES = 14 * 60
_NO_PLACE = ("Factory", "localtime")


@dataclass(frozen=True)
class Zone:
    """A time zone that is known.

    Args:
        written: as somebody wrote it.
        key: IANA's name, or a fixed offset such as `UTC-05:00`.
        assumption: what was assumed, for people; empty when nothing was.
    """

    written: str
    key: str
    assumption: str = ""

    @property
    def tz(self) -> tzinfo:
        """The rules of it."""
        return rules_of(self.key)


@cache
def names() -> tuple[str, ...]:
    """Every name of IANA's, those kept for old times' sake included."""
    listed = files("tzdata").joinpath("zones").read_text().split()
    return tuple(sorted(name for name in listed if name not in _NO_PLACE))


def zone_of(text: str) -> Zone:
    """The zone that a text means.

    Args:
        text: IANA's name, an abbreviation, or `UTC+hh:mm`.

    Raises:
        ValueError: it means none, or several; the message says what to write.
    """
    written = text.strip()
    name = written.upper()
    if name in ASSUMED:
        key = ASSUMED[name]
        return Zone(written, key, f"{written} → {key} (assumed)")
    if name in AMBIGUOUS:
        one_of = " or ".join(AMBIGUOUS[name])
        raise ValueError(
            f"{written} is not one time zone; write the one you mean, such as {one_of}"
        )
    if name in SUMMER:
        one_of = " or ".join(SUMMER[name])
        raise ValueError(f"{written} is summer time only; for all of the year write {one_of}")
    if _fixed(written) is not None:
        return Zone(written, written)
    if written in names():
        return Zone(written, written, _trap(written))
    raise ValueError(f"there is no time zone {written!r}; {_suggestion(written)}")


def _trap(name: str) -> str:
    """What people may not expect of a zone that IANA has; nothing for most."""
    if found := _REVERSED.fullmatch(name):
        sign = "-" if found[1] == "+" else "+"
        return f"{name} is UTC{sign}{int(found[2]):02}:00: in these names the sign is reversed"
    if name in ("GMT", "Greenwich"):
        return f"{name} has no summer time; London's is Europe/London"
    return ""


def _suggestion(written: str) -> str:
    by_fold = {name.casefold(): name for name in names()}
    folded = written.casefold().replace(" ", "_")
    if folded.startswith(("utc", "gmt")):
        return "write a fixed offset as UTC-05:00 or UTC+08:00"
    cities = {name.rpartition("/")[2].casefold(): name for name in names() if "/" in name}
    close = get_close_matches(folded, by_fold, n=1, cutoff=0.75)
    near = by_fold[close[0]] if close else cities.get(folded)
    hint = f"did you mean {near}?" if near else "write IANA's name, such as Europe/Berlin,"
    return hint if near else f"{hint} or a fixed offset, such as UTC-05:00"


def _fixed(text: str) -> timezone | None:
    """The offset that a text such as `UTC-05:00` means; None when it means none."""
    found = _FIXED.fullmatch(text)
    if found is None:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    if minutes > _FARTHEST_MINUTES or int(found[3]) > 59:
        return None
    return timezone(timedelta(minutes=minutes if found[1] == "+" else -minutes), text)


@cache
def rules_of(key: str) -> tzinfo:
    """The rules of a zone by its key, as `Zone.key` has it.

    Raises:
        ValueError: there is no such zone.
    """
    if (fixed := _fixed(key)) is not None:
        return fixed
    if key not in names():
        raise ValueError(f"there is no time zone {key!r}; {_suggestion(key)}")
    with files("tzdata.zoneinfo").joinpath(*key.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=key)
