"""Every test here gets the world that the core's own tests use, with what reports need besides."""

import pytest

from tests.unit.incidents.reported import ReportedWorld
from tests.world import World
from tests.world import world as world


@pytest.fixture
def reported(world: World) -> ReportedWorld:
    return ReportedWorld(world)
