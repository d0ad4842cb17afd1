"""The HTTP API on a local cloud, with some flags and A/B tests."""

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

TESTS = """
segments:
  staff: {plan: staff}
ab_tests:
  checkout:
    variants: {control: 50, treatment: 50}
    metrics:
      - conversion_rate
      - {name: basket, kind: mean, direction: higher, covariate: basket_before}
    guardrail_metrics: [error_rate < 0.01]
    segments: {mobile: {device: mobile}}
    minimum_sample_size: 10
    maximum_duration: 14d
  targeted:
    variants: {control: 50, a: 25, b: 25}
    metrics: [click_rate]
    targeting: {not: {segment: staff}}
    traffic: 50
"""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedApi]:
    with deployed_api(tmp_path_factory.mktemp("api")) as found:
        found.put(FLAGS)
        found.begin(TESTS)
        yield found
