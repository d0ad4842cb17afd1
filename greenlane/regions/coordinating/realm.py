"""All Regions of a rollout at AWS, asked and told at once."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from greenlane.logs import logger
from greenlane.regions.coordinating.beginning import asked_of_regions
from greenlane.regions.coordinating.model import SILENT, Act, RegionSeen, RegionState, Rollout
from greenlane.regions.coordinating.remote import Condition, RemoteRegion
from greenlane.regions.coordinating.waves import next_wave
from greenlane.regions.declaring.model import RegionsDocument
from greenlane.regions.planning.situating import Calendars
from greenlane.regions.windows.gate import may_begin, when_it_closes
from greenlane.regions.windows.instants import seconds_of

AtOnce = Callable[[Mapping[str, Callable[[], Any]]], Mapping[str, Any]]
"""Makes several calls at the same time; their answers, by name. None of the calls raises."""


class AwsRealm:
    """See the module.

    Args:
        region_of: the edge to a Region, by its name.
        document: the file of Regions; None where going back needs none, or it cannot be read.
        at_once: makes the calls.
    """

    def __init__(
        self,
        region_of: Callable[[str], RemoteRegion],
        document: RegionsDocument | None,
        at_once: AtOnce,
    ) -> None:
        """See the class."""
        self._region_of, self._document, self._at_once = region_of, document, at_once

    def look(self, record: Rollout, now: datetime) -> Mapping[str, RegionSeen]:
        """What is to be seen; a Region that does not answer is silent."""
        answers = self._ask(record.regions, lambda there, name: there.look(record, record.at(name)))
        conditions = self._conditions(record)
        calendars = None if self._document is None else Calendars(self._document, seconds_of(now))
        total = _total(record, conditions)
        found = {}
        for name, one in record.regions.items():
            seen = answers[name]
            if not isinstance(seen, RegionSeen):
                _log(record, name, seen)
                found[name] = SILENT
                continue
            known = conditions.get(name)
            found[name] = seen.model_copy(
                update={
                    **self._window(record, one, calendars, now),
                    "red": known.red if known is not None else None,
                    "share": _share(known, total),
                }
            )
        return found

    def claim(self, record: Rollout) -> int:
        """How many Regions take the record's epoch."""
        answers = self._ask(record.regions, lambda there, _: there.claim(record))
        return sum(answer is True for answer in answers.values())

    def act(self, record: Rollout, acts: Sequence[Act]) -> Mapping[str, str]:
        """Do everything; by Region, why something could not be done."""
        by_region = {act.region: act for act in acts}
        request = asked_of_regions(record.request, record.type)

        def do(there: RemoteRegion, name: str) -> None:
            match by_region[name].what:
                case "start":
                    there.start(record, request)
                case "take_back":
                    there.take_back(record, record.at(name).back_at or record.updated_at)
                case what:
                    there.signal(record, what)

        answers = self._ask(by_region, do)
        return {
            name: f"{type(answer).__name__}: {answer}"
            for name, answer in answers.items()
            if isinstance(answer, Exception)
        }

    def _ask(
        self, regions: Mapping[str, Any], what: Callable[[RemoteRegion, str], Any]
    ) -> Mapping[str, Any]:
        def call(name: str) -> Callable[[], Any]:
            def safely() -> Any:
                try:
                    return what(self._region_of(name), name)
                except Exception as error:
                    # Of whatever kind, such as a record that a later version wrote there: all
                    # other Regions have their turn.
                    return error

            return safely

        return self._at_once({name: call(name) for name in regions})

    def _conditions(self, record: Rollout) -> Mapping[str, Condition]:
        """How all Regions are, if a wave may be about to start; else it is nobody's question."""
        wave = next_wave(record)
        if record.phase != "advancing" or wave is None:
            return {}
        if not any(record.at(name).state == "waiting" for name in wave.regions):
            return {}
        answers = self._ask(record.regions, lambda there, _: there.condition(record.service))
        for name, answer in answers.items():
            if isinstance(answer, Exception):
                _log(record, name, answer)
        return {name: one for name, one in answers.items() if isinstance(one, Condition)}

    def _window(
        self, record: Rollout, one: RegionState, calendars: Calendars | None, now: datetime
    ) -> dict[str, Any]:
        if calendars is None:
            return {"opens_at": None, "closed_for": "the file of regions cannot be read"}
        aside = {override.what for override in record.overrides}
        calendar = calendars.of(
            one.region, windows="windows" not in aside, freezes="freezes" not in aside
        )
        gate = may_begin("advance", calendar, now, timedelta(seconds=one.need_seconds))
        return {
            "opens_at": gate.at,
            "closed_for": gate.reason,
            "at_end": when_it_closes(record.on_window_end, "advance", calendar, now),
        }


def _total(record: Rollout, conditions: Mapping[str, Condition]) -> int | None:
    """The requests of all Regions with production traffic; None when one is not known."""
    total = 0
    for name, one in record.regions.items():
        if one.traffic_percentage:
            known = conditions.get(name)
            if known is None or known.requests is None:
                return None
            total += known.requests
    return total


def _share(known: Condition | None, total: int | None) -> Decimal | None:
    if known is None or known.requests is None or total is None:
        return None
    # Without any traffic nobody is at risk.
    return Decimal(100) * known.requests / total if total else Decimal(0)


def _log(record: Rollout, region: str, why: object) -> None:
    logger.warning("region not read", rollout=record.rollout_id, of=region, error=repr(why))
