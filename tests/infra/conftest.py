"""One synth for all tests of the templates; a variant is a second one in the same process."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = "Greenlane"
API = "GreenlaneApi"
SAMPLE = "GreenlaneWorkload"


@dataclass(frozen=True)
class Resource:
    """One resource of a template."""

    logical_id: str
    body: Mapping[str, Any]

    @property
    def type(self) -> str:
        return str(self.body["Type"])

    @property
    def properties(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.body.get("Properties", {})
        return found


@dataclass(frozen=True)
class Template:
    """One synthesized template, as plain JSON."""

    body: Mapping[str, Any]

    def resources(self, *types: str) -> list[Resource]:
        """The resources of these types, or all of them."""
        return [
            Resource(logical_id, body)
            for logical_id, body in self.body["Resources"].items()
            if not types or body["Type"] in types
        ]

    def only(self, type: str, **properties: Any) -> Resource:
        """The one resource of that type whose properties have these values."""
        found = [
            resource
            for resource in self.resources(type)
            if all(resource.properties.get(key) == value for key, value in properties.items())
        ]
        assert len(found) == 1, f"{len(found)} of {type} with {properties}"
        return found[0]


@dataclass(frozen=True)
class Assembly:
    """What one synth wrote."""

    folder: Path

    def template(self, stack: str) -> Template:
        return Template(json.loads((self.folder / f"{stack}.template.json").read_text()))

    @property
    def product(self) -> Template:
        return self.template(PRODUCT)

    @property
    def api(self) -> Template:
        return self.template(API)

    @property
    def sample(self) -> Template:
        return self.template(SAMPLE)

    @property
    def templates(self) -> dict[str, Template]:
        return {PRODUCT: self.product, API: self.api, SAMPLE: self.sample}


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


def context() -> dict[str, Any]:
    """The context of `cdk.json`, fresh."""
    found: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]
    return found


@pytest.fixture(scope="session")
def vary(tmp_path_factory: pytest.TempPathFactory) -> Vary:
    """Synthesize with changed settings: `vary(sample={"rule_priority": 50})`.

    Keys of `sample` replace those of the sample's settings, `sample=False` leaves the sample out;
    other keys replace those of the whole settings. Equal changes are synthesized once, by whichever
    of the processes of this run needs them first.
    """
    # Each process of a parallel run has a folder of its own below that of the run.
    processes = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if processes else base) / "assemblies"
    shared.mkdir(exist_ok=True)

    def synthesize(
        *,
        sample: Mapping[str, Any] | Literal[False] | None = None,
        **changed: Any,
    ) -> Assembly:
        key = json.dumps([sample, changed], sort_keys=True)
        assembly = Assembly(shared / hashlib.sha256(key.encode()).hexdigest()[:16])
        if not assembly.folder.exists():
            # Here, because importing the CDK starts Node, which no other test needs.
            from infra.application import build_app
            from infra.settings import Settings

            chosen = context()["greenlane"]
            chosen.update(changed)
            if sample is False:
                del chosen["sample"]
            elif sample:
                chosen["sample"].update(sample)
            folder = tmp_path_factory.mktemp("assembly")
            # Assets are named after what is in them, and those that are there are not copied again.
            for asset in shared.glob("*/asset.*"):
                with contextlib.suppress(FileExistsError):
                    (folder / asset.name).symlink_to(asset.resolve())
            settings = Settings.from_context(chosen)
            build_app(settings, context=context(), outdir=str(folder)).synth()
            needed = "".join(one.read_text() for one in folder.glob("*.assets.json"))
            for asset in folder.glob("asset.*"):
                if asset.name not in needed:
                    asset.unlink()
            with contextlib.suppress(OSError):  # another process was first
                folder.rename(assembly.folder)
        return assembly

    return synthesize


@pytest.fixture(scope="session")
def assembly(vary: Vary) -> Assembly:
    """The templates as they are in the repository."""
    return vary()


@pytest.fixture(scope="session")
def whole(vary: Vary) -> Assembly:
    """The templates with all that can be chosen, so with every function and machine."""
    return vary(migrations=MIGRATIONS, regions=REGIONS)


@pytest.fixture(scope="session")
def product(assembly: Assembly) -> Template:
    return assembly.product


@pytest.fixture(scope="session")
def api(assembly: Assembly) -> Template:
    return assembly.api


@pytest.fixture(scope="session")
def sample(assembly: Assembly) -> Template:
    return assembly.sample
