"""Every test here gets the same kind of world, and may have a server."""

from collections.abc import Iterator

import pytest

from tests.unit.people.server import Server
from tests.unit.people.town import Town
from tests.world import World
from tests.world import world as world


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


@pytest.fixture
def town(world: World, server: Server) -> Town:
    return Town(world, server)
