"""What is wrong with a file of Regions beyond single values, and what was assumed on the way."""

from collections.abc import Iterator
from decimal import Decimal

from greenlane.durations import format_seconds
from greenlane.errors import InvalidInput
from greenlane.problems import ABSENT, Path, dotted, excerpt, suggest
from greenlane.regions.declaring.model import Region, RegionsDocument
from greenlane.regions.windows.zones import zone_of
from greenlane.source import Source

TOLERANCE = Decimal("0.5")
"""By how many percent the shares of traffic may miss 100; they are written rounded."""

_SELF = "a region cannot take over from itself; name another one, or leave it out"

Found = Iterator[tuple[Path, object, str]]


def problems_of(document: RegionsDocument, source: Source) -> list[InvalidInput]:
    """Everything that is wrong, with lines."""
    found = [
        *_traffic(document),
        *(
            (("regions", name, *at), value, said)
            for name, region in document.regions.items()
            for at, value, said in _region(name, region, document)
        ),
        *_freezes(document),
    ]
    return [
        InvalidInput(dotted(at), excerpt(value), said, line=source.line(at))
        for at, value, said in found
    ]


def strict_problems_of(document: RegionsDocument, source: Source) -> list[InvalidInput]:
    """As `problems_of`, and nothing may have been assumed of time zones."""
    return problems_of(document, source) + [
        InvalidInput(
            dotted(at), written, f"{said}; write the zone's own name", line=source.line(at)
        )
        for at, written, said in _assumptions(document)
    ]


def assumptions_of(document: RegionsDocument) -> tuple[str, ...]:
    """What was assumed of time zones, each said once."""
    return tuple(dict.fromkeys(said for _, _, said in _assumptions(document)))


def _assumptions(document: RegionsDocument) -> Iterator[tuple[Path, str, str]]:
    for name, region in document.regions.items():
        window = region.deployment_window
        if window is not None and window.place.assumption:
            at: Path = ("regions", name, "deployment_window")
            yield at, window.zone, window.place.assumption
    for number, freeze in enumerate(document.freezes):
        if freeze.zone is not None and (said := zone_of(freeze.zone).assumption):
            yield ("freezes", number, "zone"), freeze.zone, said


def _traffic(document: RegionsDocument) -> Found:
    shares = {
        name: region.traffic_percentage
        for name, region in document.regions.items()
        if region.stage == "production"
    }
    for name, share in shares.items():
        if share is None:
            said = "a region of production needs its percent of the traffic"
            yield ("regions", name, "traffic_percentage"), ABSENT, said
    known = [share for share in shares.values() if share is not None]
    total = sum(known, Decimal(0))
    if known and len(known) == len(shares) and abs(total - 100) > TOLERANCE:
        named = " + ".join(f"{share.normalize():f}" for share in known)
        said = f"the traffic of production adds up to {total.normalize():f} ({named}); make it 100"
        yield ("regions",), f"{total.normalize():f} percent", said


def _region(name: str, region: Region, document: RegionsDocument) -> Found:
    if region.stage != "production":
        if region.traffic_percentage:
            said = (
                f"a region of {region.stage} has no production traffic; leave it out (to go "
                "early in production, give it a lower priority)"
            )
            yield ("traffic_percentage",), region.traffic_percentage, said
        if region.primary:
            said = "the primary region is one of production"
            yield ("primary",), True, said
    yield from _failover(name, region, document)
    yield from _window(region, document)
    strategy = document.deployment_strategy
    if strategy.bake.requests is not None and region.requests_per_minute is None:
        said = "baking by requests needs to know how many the region gets in a minute"
        yield ("requests_per_minute",), ABSENT, said


def _failover(name: str, region: Region, document: RegionsDocument) -> Found:
    seen: set[str] = set()
    for number, other in enumerate(region.failover_regions):
        at = ("failover_regions", number)
        if other == name:
            yield at, other, _SELF
        elif other not in document.regions:
            known = list(document.regions)
            hint = suggest(other.replace("-", "_"), [one.replace("-", "_") for one in known])
            near = hint.replace("_", "-") or f"; there are {', '.join(known)}"
            yield at, other, f"this file has no region of that name{near}"
        elif document.regions[other].stage != region.stage:
            said = f"it is of {document.regions[other].stage}, which does not take over"
            yield at, other, f"{said} from {region.stage}"
        elif other in seen:
            yield at, other, "it stands here already; keep one of the two"
        seen.add(other)


def _window(region: Region, document: RegionsDocument) -> Found:
    shape = region.deployment_window
    if shape is None:
        return
    strategy = document.deployment_strategy
    has, needs = shape.window.minutes * 60, strategy.need_of(region).total_seconds()
    if has < needs:
        what = "switch" if strategy.type == "blue_green" else "deployment"
        said = (
            f"it is {format_seconds(has)} long, and baseline and {what} take "
            f"{format_seconds(needs)}; widen it, or lower baseline or expected_duration"
        )
        yield ("deployment_window",), shape.text, said


def _freezes(document: RegionsDocument) -> Found:
    for number, freeze in enumerate(document.freezes):
        for index, name in enumerate(freeze.regions or ()):
            if name not in document.regions:
                said = (
                    f"this file has no region of that name; there are {', '.join(document.regions)}"
                )
                yield ("freezes", number, "regions", index), name, said
