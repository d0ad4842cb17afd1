"""What the scene of three Regions did, read from outside, and whether that was promised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from greenlane.local.loadgen import Snapshot

MOST_SHOWN = 90
"""Characters of a reason; the records have all of it."""

AFTER = "after"
"""The phase of the load once everything is back."""


@dataclass(frozen=True)
class RegionResult:
    """One Region.

    Args:
        region: its name.
        wave: from 1.
        had: the version it had before.
        state: how the rollout ended there.
        reason: why, in the rollout's words.
        weights: percent of the live rule by version at the end.
        requests: `ok` and `failed` by version, from the rollout's begin to its end and after.
        after: the same, of what was sent after the end alone.
        failures: requests that failed, by version and outcome.
        back_seconds: real seconds from the first write that took a Region's traffic back until
            that of this Region; None where nothing had to go back.
    """

    region: str
    wave: int
    had: str
    state: str
    reason: str
    weights: Mapping[str, int]
    requests: Mapping[str, Mapping[str, int]]
    after: Mapping[str, Mapping[str, int]]
    failures: Mapping[str, int]
    back_seconds: float | None = None

    def reached(self, version: str) -> bool:
        """Whether a version had any request here."""
        return version in self.requests

    @property
    def sent(self) -> int:
        """Requests that ended."""
        return sum(one["ok"] + one["failed"] for one in self.requests.values())

    @property
    def failed(self) -> int:
        """Of them."""
        return sum(self.failures.values())


@dataclass
class WorldResult:
    """The whole scene. Seconds are real unless `virtual` says otherwise.

    `bad_in` is the Region where the version is bad, empty if it is good everywhere.
    """

    scene: str
    title: str
    version: str
    bad_in: str
    phase: str
    cause: str
    cause_region: str
    seconds: float
    virtual_seconds: float
    regions: Sequence[RegionResult]
    broken: list[str] = field(default_factory=list)

    def lost_by_switching(self) -> dict[str, int]:
        """Requests that failed in any other way than the bad version makes them fail."""
        return {
            f"{one.region}: {how}": count
            for one in self.regions
            for how, count in one.failures.items()
            if (one.region, how) != (self.bad_in, f"{self.version}: 500")
        }

    def as_json(self) -> dict[str, Any]:
        """For `summary.json`."""
        return {
            "scene": self.scene,
            "title": self.title,
            "version": self.version,
            "ended": self.phase,
            "cause": self.cause,
            "cause_region": self.cause_region,
            "seconds": round(self.seconds, 1),
            "virtual_seconds": round(self.virtual_seconds, 1),
            "regions": [vars(one) | {"sent": one.sent} for one in self.regions],
            "lost_by_switching": self.lost_by_switching(),
            "promises_broken": self.broken,
        }

    def lines(self) -> list[str]:
        """What there is to read at the end."""
        said = [
            f"the rollout ended {self.phase.replace('_', ' ')}: {shortly(self.cause)}",
            "when traffic went back, in real seconds from the first Region that took it back:",
        ]
        for one in self.regions:
            back = "" if one.back_seconds is None else f" after {one.back_seconds:.1f} s"
            weights = ", ".join(f"{name} {percent} %" for name, percent in one.weights.items())
            said.append(
                f"  wave {one.wave}  {one.region}: {one.state.replace('_', ' ')}{back}; "
                f"had {one.had}, has {weights}"
            )
            counts = ", ".join(
                f"{name or 'no version'} {count['ok']} ok {count['failed']} failed"
                for name, count in sorted(one.requests.items())
            )
            said.append(f"          clients: {counts}")
        lost = self.lost_by_switching()
        said.append(
            f"lost by the switching itself: {sum(lost.values())} of "
            f"{sum(one.sent for one in self.regions)} requests{f' ({lost})' if lost else ''}"
        )
        return said + [f"PROMISE BROKEN: {words}" for words in self.broken]


def shortly(text: str) -> str:
    """What there is room for in a line."""
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def failures_of(traffic: Snapshot) -> dict[str, int]:
    """How many requests failed, by version and outcome."""
    found: dict[str, int] = {}
    for one in traffic.counts:
        if not one.ok:
            how = f"{one.version or 'no version'}: {one.outcome}"
            found[how] = found.get(how, 0) + one.count
    return found


def broken_promises(result: WorldResult) -> list[str]:
    """What the scene promised and did not keep, in words."""
    broken = []
    if (result.phase, result.cause_region) != ("rolled_back", result.bad_in):
        broken.append(
            f"it ended {result.phase} because of {result.cause_region or 'nobody'}, instead of "
            f"rolled_back because of {result.bad_in}: {result.cause}"
        )
    bad = next(one for one in result.regions if one.region == result.bad_in)
    if not bad.failures.get(f"{result.version}: 500"):
        broken.append(f"{result.version} failed no request in {bad.region}: {result.cause}")
    caught = bad.wave
    for one in result.regions:
        expected = "rolled_back" if one.wave <= caught else "waiting"
        if one.state != expected:
            broken.append(f"{one.region} is {one.state} instead of {expected}: {one.reason}")
        if one.wave > caught and one.reached(result.version):
            broken.append(f"{result.version} got to {one.region}, after it was caught")
        if one.wave < caught and one.requests.get(result.version, {}).get("ok", 0) == 0:
            broken.append(f"{result.version} had no traffic in {one.region}, where it is good")
    return broken + _not_back(result.regions) + _lost(result)


def _not_back(regions: Sequence[RegionResult]) -> list[str]:
    """Regions that do not have the version they had, and nothing else."""
    broken = []
    for one in regions:
        if dict(one.weights) != {one.had: 100}:
            broken.append(f"{one.region} has {dict(one.weights)}, and had {one.had}")
        if set(one.after) != {one.had}:
            broken.append(f"at the end {one.region} was answered by {sorted(one.after)}")
    return broken


def _lost(result: WorldResult) -> list[str]:
    lost = result.lost_by_switching()
    return [f"clients lost requests by the switching: {lost}"] if lost else []


MOST_UNTIL_TAKEN_OVER = 25 * 60.0
"""Virtual seconds: three looks, five minutes apart, and what functions take of compressed time."""


@dataclass
class LostHomeResult(WorldResult):
    """The scene in which home is lost.

    Args:
        home: the Region of the coordinator.
        took_over_virtual_seconds: from the loss to the standby's own record; None is never.
        standby_phase: of that record at the end.
    """

    home: str = ""
    took_over_virtual_seconds: float | None = None
    standby_phase: str = ""

    def as_json(self) -> dict[str, Any]:
        """For `summary.json`."""
        return super().as_json() | {
            "home": self.home,
            "took_over_virtual_seconds": self.took_over_virtual_seconds,
            "standby_ended": self.standby_phase,
        }

    def lines(self) -> list[str]:
        """What there is to read at the end."""
        seconds = self.took_over_virtual_seconds
        minutes = "never" if seconds is None else f"after {seconds / 60:.0f} virtual minutes"
        return [f"the standby took over {minutes}", *super().lines()]

    def broken_promises(self) -> list[str]:
        """What the scene promised and did not keep, in words."""
        broken = []
        seconds = self.took_over_virtual_seconds
        if seconds is None or seconds > MOST_UNTIL_TAKEN_OVER:
            broken.append(f"the standby took over after {seconds} virtual seconds")
        for who, phase in (("home", self.phase), ("the standby", self.standby_phase)):
            if phase != "rolled_back":
                broken.append(f"{who} ended {phase} instead of rolled_back: {self.cause}")
        for one in self.regions:
            if one.reached(self.version) == (one.region == self.home):
                verb = "got to" if one.region == self.home else "had no traffic in"
                broken.append(f"{self.version} {verb} {one.region}")
        return broken + _not_back(self.regions) + _lost(self)
