"""The HTTP API on a local cloud, with all that can be chosen and some flags and A/B tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from greenlane.deployments.connection import TABLE
from tests.flag_api import DeployedApi, deployed_api
from tests.infra.conftest import Assembly
from tests.infra.conftest import synthesizer as synthesizer
from tests.infra.conftest import vary as vary
from tests.infra.conftest import whole as whole
from tests.on_record import put_on_record

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


@pytest.fixture(scope="session")
def whole_api(whole: Assembly) -> Path:
    """An assembly in which every route is there: with databases, Regions and webhooks."""
    return whole.folder


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, whole_api: Path) -> Iterator[DeployedApi]:
    with deployed_api(tmp_path_factory.mktemp("api"), whole_api) as found:
        found.put(FLAGS)
        found.begin(TESTS)
        put_on_record(found.cloud.client("dynamodb"), TABLE)
        yield found
