import pytest
from moto import mock_aws

from tests.world import World


@pytest.fixture
def world():
    with mock_aws():
        yield World()
