"""One synth for all tests of the templates; a variant is a second one in the same process."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.synthesizing import (
    API,
    PRODUCT,
    ROOT,
    SAMPLE,
    Assembly,
    Resource,
    Synthesizer,
    Template,
    context,
)

__all__ = [
    "API",
    "PRODUCT",
    "ROOT",
    "SAMPLE",
    "Assembly",
    "Resource",
    "Synthesizer",
    "Template",
    "context",
]

Vary = Callable[..., Assembly]

MIGRATIONS: dict[str, Any] = {
    "subnet_ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
    "security_group_ids": ["sg-0123456789abcdef0"],
    "databases": [
        {
            "name": "orders",
            "cluster": "orders-prod",
            "resource_id": "cluster-ABC123",
            "user": "greenlane",
        },
        {"name": "billing", "instance": "billing-1", "secret": "greenlane/billing"},
    ],
}
"""Settings with which migrations exist: a database of each kind, signed in to in each way."""

REGIONS: dict[str, Any] = {
    "home": "eu-west-1",
    "standby": "us-east-1",
    "regions": ["eu-west-1", "us-east-1", "ap-southeast-1"],
}
"""Settings with which there is a coordinator of several Regions."""


EVERYWHERE: dict[str, Any] = {
    "regions": {**REGIONS, "stacks": "everywhere"},
    "flags": {"replicas": ["us-east-1"]},
}
"""Settings with which one app has the stacks of all Regions."""


@pytest.fixture(scope="session")
def synthesizer(tmp_path_factory: pytest.TempPathFactory) -> Synthesizer:
    # Each process of a parallel run has a folder of its own below that of the run.
    processes = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if processes else base) / "assemblies"
    shared.mkdir(exist_ok=True)
    return Synthesizer(shared, tmp_path_factory.mktemp)


@pytest.fixture(scope="session")
def vary(synthesizer: Synthesizer) -> Vary:
    """Synthesize with changed settings: `vary(sample={"rule_priority": 50})`."""
    return synthesizer.vary


@pytest.fixture(scope="session")
def assembly(vary: Vary) -> Assembly:
    """The templates as they are in the repository."""
    return vary()


@pytest.fixture(scope="session")
def whole(vary: Vary) -> Assembly:
    """The templates with all that can be chosen, so with every function and machine."""
    found = vary(migrations=MIGRATIONS, regions=REGIONS)
    assert found.folder.exists()  # so its templates are made together
    return found


@pytest.fixture(scope="session")
def product(assembly: Assembly) -> Template:
    return assembly.product


@pytest.fixture(scope="session")
def api(assembly: Assembly) -> Template:
    return assembly.api


@pytest.fixture(scope="session")
def sample(assembly: Assembly) -> Template:
    return assembly.sample
