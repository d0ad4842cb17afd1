"""The HTTP API on a local cloud, with some flags."""

from collections.abc import Iterator

import pytest

from tests.flag_api import DeployedApi, deployed_api

FLAGS = """
feature_flags:
  new_checkout: {percentage: 25, per_environment: {production: {enabled: true}}}
  banner:
    type: string
    variants: {a: red, b: blue}
    default: a
    rules: [{id: premium, when: {plan: premium}, serve: b}]
  gone: {enabled: false}
"""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedApi]:
    with deployed_api(tmp_path_factory.mktemp("api")) as found:
        found.put(FLAGS)
        yield found
