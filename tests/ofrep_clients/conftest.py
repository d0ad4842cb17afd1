"""One local cloud with the API and flags of every kind, for all clients."""

from collections.abc import Iterator

import pytest

from tests.flag_api import TIME_SCALE, DeployedApi, deployed_api

FLAGS = """
feature_flags:
  premium:
    targeting: {user_attributes: [{plan: premium}]}
    metadata: {owner: checkout, tier: 2}
  half: {percentage: 50}
  off: {enabled: false}
  elsewhere: {environments: [staging]}
  text:
    type: string
    variants: {de: hallo, en: hello}
    default: en
    rules: [{id: germany, when: {country: de}, serve: de}]
  whole:
    type: number
    variants: {low: 1, high: 3}
    default: low
    rules: [{id: premium, when: {plan: premium}, serve: high}]
  fraction:
    type: number
    variants: {low: 1, high: 2.5}
    default: low
    rules: [{id: premium, when: {plan: premium}, serve: high}]
  object:
    type: object
    variants: {full: {title: Neu, sizes: [1, 2.5], on: true}, none: {}}
    default: none
    rules: [{id: everybody, serve: full}]
"""


@pytest.fixture(scope="module")
def api(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeployedApi]:
    scale = getattr(request.module, "TIME_SCALE", TIME_SCALE)
    with deployed_api(tmp_path_factory.mktemp("api"), time_scale=scale) as found:
        found.put(FLAGS)
        yield found
