"""Every test here gets the same kind of world."""

from tests.world import world as world
