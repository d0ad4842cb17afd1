"""Several Regions by the same action as deployments."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from greenlane.errors import InvalidInput
from greenlane.regions.keeping.applying import apply_regions
from tests.builders import SERVICE
from tests.region_town import RegionTown, regions_file
from tests.town_connection import TownConnection as RegionsOf
from tests.unit.pipelines.turns import Pipeline, asked


class Files:
    """An artifact with one file of Regions."""

    any = True

    def read(self, name: str, artifact: str | None) -> str:
        assert (name, artifact) == ("multi-region.yaml", None)
        return regions_file(3)


@pytest.fixture
def regions() -> Iterator[RegionTown]:
    made = RegionTown(regions_file(3))
    yield made
    made.kernel.close()


def rolling(town: RegionTown, **changed: Any) -> Pipeline:
    wanted = {"service": SERVICE, "version": "1.4.2", "regions": "multi-region.yaml"} | changed
    return Pipeline(SimpleNamespace(connection=RegionsOf(town)), asked(Files(), **wanted))


def test_a_rollout_is_begun_and_followed_region_by_region(regions: RegionTown) -> None:
    pipeline = rolling(regions)

    entry, first = pipeline.turn()
    pipeline.turn()
    regions.run(done=lambda: "succeeded" in _states(regions))
    _, middle = pipeline.turn()
    regions.run()
    _, last = pipeline.turn()

    assert (first.end, middle.end) == (None, None)
    assert "of 3 Regions are baked" in middle.summary
    assert 0 < middle.percent < 100
    assert last.end is not None
    assert last.end.outputs["outcome"] == "succeeded"
    assert last.end.outputs["rollout_id"] == entry.subject_id
    assert len(regions.started) == 3


def _states(regions: RegionTown) -> list[str]:
    return [one.state for one in regions.home.record.regions.values()]


def test_regions_may_be_written_in_the_request_itself(regions: RegionTown) -> None:
    written = {name: {"traffic_percentage": 100 // 3} for name in regions.regions}
    wanted = {"service": SERVICE, "version": "1.4.2", "regions": written, "strategy": "canary"}

    found = asked(**wanted).subject

    assert found.kind == "canary"
    assert found.request.strategy is None


def test_the_regions_may_be_those_that_were_applied(regions: RegionTown) -> None:
    home: Any = RegionsOf(regions)
    now = regions.kernel.now()
    apply_regions(home, regions_file(2), service=SERVICE, by="ada", at=now)
    pipeline = rolling(regions, regions="applied")
    pipeline.turn()
    assert len(regions.home.record.regions) == 2


def test_the_applied_regions_are_asked_for_as_themselves_whatever_they_say_by_then() -> None:
    def digest(regions: str) -> str:
        return asked(Files(), service=SERVICE, version="1.4.2", regions=regions).digest

    assert digest("applied") == digest("applied")
    assert digest("applied") != digest("multi-region.yaml")


def test_a_stopped_pipeline_takes_every_touched_region_back(regions: RegionTown) -> None:
    pipeline = rolling(regions)
    pipeline.turn()
    regions.run(done=lambda: "baking" in _states(regions))

    assert "every touched Region goes back" in pipeline.stop()
    regions.run()
    _, seen = pipeline.turn()
    assert seen.end is not None
    assert seen.end.name == "rolled_back"
    assert "the pipeline was stopped" in seen.end.reason


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"strategy": "linear"}, "through several Regions use rolling, blue_green, canary"),
        ({"policy": "reckless"}, "use safe, balanced, fast"),
        ({"regions": 7}, "the name of a file in the artifact, or a mapping"),
        ({"despite_hold": ""}, "say why, for the record"),
        ({"flag": {"key": "a", "enabled": True}}, "ask one thing at once"),
    ],
)
def test_what_is_wrong_with_a_rollout_is_said(changed: dict[str, Any], said: str) -> None:
    wanted = {"service": SERVICE, "version": "1.4.2", "regions": "multi-region.yaml"} | changed

    with pytest.raises(InvalidInput, match=said):
        asked(Files(), **wanted)


def test_a_version_that_went_back_is_refused_as_by_the_command_line(regions: RegionTown) -> None:
    pipeline = rolling(regions)
    pipeline.turn()
    regions.run(done=lambda: "baking" in _states(regions))
    pipeline.stop()
    regions.run()
    pipeline.turn()

    entry, seen = pipeline.turn(retried=True)

    assert entry.attempt == 2
    assert seen.end is not None
    assert seen.end.name == "refused"
    assert "despite-hold" in seen.end.reason
