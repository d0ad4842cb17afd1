"""How a deployment window and a freeze are written, and what they mean as instants."""

import re
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from greenlane.deployments.storing.shapes import Document
from greenlane.regions.windows.window import EVERY_DAY, Window
from greenlane.regions.windows.zones import Zone, zone_of

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")
_WRITE_HOURS = "write hours of the day such as 02:00-04:00; 23:00-01:00 ends on the next day"


def _minutes_of(text: str) -> tuple[int, int]:
    """The minutes of the day that hours begin and end with; ValueError if they are none."""
    found = _HOURS.fullmatch(text.strip())
    if found is None:
        raise ValueError(_WRITE_HOURS)
    first, first_minute, last, last_minute = map(int, found.groups())
    start, end = first * 60 + first_minute, last * 60 + last_minute
    if first_minute > 59 or last_minute > 59 or start >= 24 * 60 or end > 24 * 60:
        raise ValueError(_WRITE_HOURS)
    if start == (end or 24 * 60) or start == end:
        raise ValueError("it begins when it ends; for all of the day write 00:00-24:00")
    return start, end or 24 * 60


def _checked_hours(text: str) -> str:
    _minutes_of(text)
    return text.strip()


def _checked_zone(text: str) -> str:
    return zone_of(text).written


def _checked_day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise ValueError("write a day such as 2026-12-24") from None
    return text


ZoneName = Annotated[str, AfterValidator(_checked_zone)]
Hours = Annotated[str, AfterValidator(_checked_hours)]
CalendarDay = Annotated[str, AfterValidator(_checked_day)]


def _from_text(value: Any) -> Any:
    """`02:00-04:00 EST` is `{hours: 02:00-04:00, zone: EST}`."""
    if not isinstance(value, str):
        return value
    hours, _, zone = value.strip().rpartition(" ")
    if not hours or _HOURS.fullmatch(value.strip()):
        raise ValueError("write hours and a time zone, such as 02:00-04:00 Europe/Berlin")
    _minutes_of(hours)
    return {"hours": hours.strip(), "zone": zone_of(zone).written}


class WindowShape(Document):
    """When a Region may be deployed to, each day.

    Args:
        hours: from and to in local time; `00:00-24:00` is always.
        zone: IANA's name, `UTC-05:00`, or an abbreviation that is taken for a zone.
        days: weekdays of the start.
    """

    hours: Hours
    zone: ZoneName
    days: Annotated[tuple[Day, ...], Field(min_length=1)] = DAYS

    @property
    def place(self) -> Zone:
        """The zone it is in."""
        return zone_of(self.zone)

    @property
    def window(self) -> Window:
        """It, for counting with."""
        start, end = _minutes_of(self.hours)
        chosen = frozenset(DAYS.index(day) for day in self.days)
        return Window(start, end, self.place, chosen)

    @property
    def text(self) -> str:
        """How it is shown, the zone as it was understood."""
        days = "" if len(set(self.days)) == len(DAYS) else f" {', '.join(self.days)}"
        return f"{self.hours} {self.place.key}{days}"


DeploymentWindow = Annotated[WindowShape, BeforeValidator(_from_text)]

ALWAYS = Window(0, 24 * 60, zone_of("UTC"), EVERY_DAY)
"""The window of a Region that declares none."""


class FreezeShape(Document):
    """Whole days on which nothing is deployed; going back is not held up.

    Args:
        name: what to call it, such as `black friday`.
        first_day: such as 2026-11-26, as the clocks show it.
        last_day: the last one that is frozen.
        zone: whose clocks; each Region's own if left out (UTC for one without a window).
        regions: which ones; all if left out.
    """

    name: Annotated[str, Field(min_length=1, max_length=64)]
    first_day: CalendarDay
    last_day: CalendarDay
    zone: ZoneName | None = None
    regions: Annotated[tuple[str, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.last_day < self.first_day:
            raise ValueError(f"last_day: it is before {self.first_day}, the first day")
        return self

    def holds_for(self, region: str) -> bool:
        """Whether a Region is frozen by it."""
        return self.regions is None or region in self.regions
