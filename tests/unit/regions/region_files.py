"""Files of Regions that tests of plans begin with."""

from datetime import UTC, datetime
from pathlib import Path

from greenlane.regions.declaring.document import read_regions
from greenlane.regions.declaring.model import RegionsDocument
from greenlane.regions.planning.planner import plan_regions

SPEC = read_regions(Path("tests/data/spec/multi-region-config.yaml").read_text())
MONDAY = datetime(2026, 11, 30, 14, tzinfo=UTC)

EIGHT = {
    "us-east-1": (30, "America/New_York"),
    "us-west-2": (15, "America/Los_Angeles"),
    "eu-west-1": (15, "Europe/Dublin"),
    "eu-central-1": (12, "Europe/Berlin"),
    "ap-southeast-1": (10, "Asia/Singapore"),
    "ap-northeast-1": (8, "Asia/Tokyo"),
    "ap-south-1": (6, "Asia/Kolkata"),
    "sa-east-1": (4, "America/Sao_Paulo"),
}
UNBOUND = {"first_traffic": 100, "max_traffic": 100}


def document(regions, freezes=(), **strategy):
    return RegionsDocument.model_validate(
        {"regions": regions, "deployment_strategy": strategy, "freezes": freezes}
    )


def eight(**strategy):
    regions = {
        name: {"traffic_percentage": share, "deployment_window": f"02:00-04:00 {zone}"}
        for name, (share, zone) in EIGHT.items()
    }
    return document(regions, **strategy)


def plain(shares, **more):
    """Regions without windows, by their percent."""
    names = [f"eu-west-{number}" for number in range(1, len(shares) + 1)]
    regions = {
        name: {"traffic_percentage": share} for name, share in zip(names, shares, strict=True)
    }
    for name, values in more.pop("regions", {}).items():
        regions[name] |= values
    return document(regions, **more)


def order(document, **options):
    return plan_regions(document, now=MONDAY, **options).order
