"""What runs in the functions: one asset with our code, one prebuilt layer with dependencies."""

from pathlib import Path

from aws_cdk import IgnoreMode
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

ROOT = Path(__file__).resolve().parent.parent
LAYER = ROOT / "build" / "layer"
MIGRATION_LAYER = ROOT / "build" / "migration-layer"
RUNTIME = lambda_.Runtime.PYTHON_3_14
ARCHITECTURE = lambda_.Architecture.ARM_64

# Everything out, the two packages back in, and of those not what runs on a laptop.
EXCLUDED = [
    "/*",
    "!/functions",
    "!/greenlane",
    "/greenlane/local",
    "/greenlane/cli",
    "__pycache__",
    "*.egg-info",
]


class LayerMissing(Exception):
    """`make layer` has not been run, so functions would start without their dependencies."""


def our_code() -> lambda_.Code:
    """`functions/` and `greenlane/`, one asset for every function."""
    return lambda_.Code.from_asset(str(ROOT), exclude=EXCLUDED, ignore_mode=IgnoreMode.GIT)


class Dependencies(Construct):
    """A layer that `make layer` built; synth itself needs neither Docker nor a registry.

    Raises:
        LayerMissing: the folder is not there.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        folder: Path = LAYER,
        package: str = "pydantic",
        name: str = "greenlane-dependencies",
    ) -> None:
        super().__init__(scope, id)
        if not (folder / "python" / package).is_dir():
            place = folder.relative_to(ROOT)
            raise LayerMissing(f"{place}/python holds no dependencies: run `make layer` first")
        self.layer = lambda_.LayerVersion(
            self,
            "Layer",
            layer_version_name=name,
            code=lambda_.Code.from_asset(str(folder)),
            compatible_runtimes=[RUNTIME],
            compatible_architectures=[ARCHITECTURE],
        )
