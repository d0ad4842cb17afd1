from collections.abc import Iterator

import pytest

from greenlane.local.cloud import LocalCloud
from tests.workflows.machines import SCALE, Machines


@pytest.fixture(scope="module")
def _machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), time_scale=SCALE, parts=()) as cloud:
        yield Machines(cloud)


@pytest.fixture
def machines(_machines: Machines) -> Machines:
    """The machines, with functions that nobody has given an answer yet."""
    _machines.functions.reset()
    _machines.rollbacks()
    return _machines
