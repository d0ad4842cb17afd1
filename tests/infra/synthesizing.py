"""Synth for the tests: what is looked at, once a run, whichever of its processes needs it first."""

import contextlib
import fcntl
import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = "Greenlane"
API = "GreenlaneApi"
SAMPLE = "GreenlaneWorkload"
PIPELINE = "GreenlanePipeline"
STACKS = (PRODUCT, API, SAMPLE, PIPELINE)

Sample = Mapping[str, Any] | Literal[False] | None


def context() -> dict[str, Any]:
    """The context of `cdk.json`, fresh."""
    found: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]
    return found


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


@functools.cache
def read(file: Path) -> Template:
    return Template(json.loads(file.read_text()))


@dataclass(frozen=True)
class Assembly:
    """What a synth with some settings writes, which it does when that is looked at."""

    synthesize: Callable[[str | None], Path]

    @property
    def folder(self) -> Path:
        """The whole of it."""
        return self.synthesize(None)

    def template(self, stack: str) -> Template:
        """The template of a stack: most of a synth is the other stacks."""
        return read(self.synthesize(stack) / f"{stack}.template.json")

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


class Synthesizer:
    """Synthesizes with changed settings.

    What it wrote lies in a folder that all processes of a run share.
    """

    def __init__(self, shared: Path, make_folder: Callable[[str], Path]) -> None:
        self._shared = shared
        self._make_folder = make_folder

    def vary(self, *, sample: Sample = None, **changed: Any) -> Assembly:
        """`vary(sample={"rule_priority": 50})`: that one setting is another one.

        Keys of `sample` replace those of the sample's settings, `sample=False` leaves the sample
        out; other keys replace those of the whole settings.
        """
        return Assembly(lambda stack: self._found(sample, changed, stack))

    def apart(self, stack: str, **changed: Any) -> Template:
        """The template of a stack that was synthesized without the others."""
        return read(self._alone(None, changed, stack) / f"{stack}.template.json")

    def together(self, *, checked: bool = False, sample: Sample = None, **changed: Any) -> Path:
        """What the whole app writes.

        With `checked` its report has the findings of CloudFormation's own checks as well: to make
        these ready takes longer than a synth, so what reads no report goes without.
        """
        kind = "checked" if checked else "whole"
        with self._once(kind, sample, changed) as (folder, missing):
            if missing:
                self._build(folder, settings(sample, changed), checked=checked)
        return folder

    def _found(self, sample: Sample, changed: dict[str, Any], stack: str | None) -> Path:
        if not changed and isinstance(sample, Mapping):
            return self._of_sample(sample) if stack is None else self._alone(sample, changed, stack)
        # Of the settings of the repository all is looked at by some test.
        whole = stack not in STACKS or not (sample is False or changed)
        if not whole and not self._place("whole", sample, changed).exists():
            assert stack is not None
            return self._alone(sample, changed, stack)
        return self.together(sample=sample, **changed)

    def _of_sample(self, sample: Mapping[str, Any]) -> Path:
        """The assembly as it is, but for the sample's stack.

        That no other stack knows the settings of the sample is a test of its own.
        """
        here = self._found(None, {}, None)
        alone = self._alone(sample, {}, SAMPLE)
        with self._once("of sample", sample) as (folder, missing):
            if missing:
                made = self._make_folder("assembly")
                found = {file.name: file for file in here.iterdir()}
                found |= {file.name: file for file in alone.glob("asset.*")}
                found |= {file.name: file for file in alone.glob(f"{SAMPLE}.*")}
                for name, file in found.items():
                    (made / name).symlink_to(file)
                made.rename(folder)
        return folder

    def _alone(self, sample: Sample, changed: dict[str, Any], stack: str) -> Path:
        with self._once("alone", sample, changed, stack) as (folder, missing):
            if missing:
                self._build(folder, settings(sample, changed), stack)
        return folder

    def _place(self, *key: Any) -> Path:
        return self._shared / hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()

    @contextlib.contextmanager
    def _once(self, *key: Any) -> Iterator[tuple[Path, bool]]:
        """The folder of something, and whether to make it: nobody else does so meanwhile."""
        place = self._place(*key)
        if place.exists():
            yield place, False
            return
        with place.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield place, not place.exists()

    def _build(
        self,
        place: Path,
        chosen: dict[str, Any],
        stack: str | None = None,
        *,
        checked: bool = False,
    ) -> None:
        # Here, because importing the CDK starts Node, which no other test needs.
        from infra.application import build_app
        from infra.settings import Settings

        folder = self._make_folder("assembly")
        self.provide_assets(folder)
        found = Settings.from_context(chosen)
        if stack is None:
            app = build_app(found, context=context(), outdir=str(folder), validate=checked)
        else:
            app = build_alone(found, stack, folder)
        app.synth()
        needed = "".join(one.read_text() for one in folder.glob("*.assets.json"))
        for asset in folder.glob("asset.*"):
            if asset.name not in needed:
                asset.unlink()
        folder.rename(place)

    def provide_assets(self, folder: Path) -> None:
        """Assets are named after what is in them, and those that are there are not copied again."""
        synthesized = ROOT / "cdk.out"
        known = [*self._shared.glob("*/asset.*")]
        with contextlib.suppress(FileNotFoundError):
            # Written at the end of a synth: what is younger may not be whole.
            done = (synthesized / "manifest.json").stat().st_mtime
            known += [one for one in synthesized.glob("asset.*") if one.stat().st_mtime <= done]
        for asset in known:
            with contextlib.suppress(FileExistsError):
                (folder / asset.name).symlink_to(asset.resolve())


def build_alone(chosen: Any, stack: str, folder: Path) -> Any:
    """An app with one of the stacks, as the whole one has it."""
    from aws_cdk import App, Environment, Validations
    from cdk_nag import AwsSolutionsChecks

    from infra.api_stack import ApiStack
    from infra.pipeline import PipelineStack
    from infra.stacks import GreenlaneStack
    from infra.workload_stack import WorkloadStack

    kinds: dict[str, Any] = {
        PRODUCT: GreenlaneStack,
        API: ApiStack,
        SAMPLE: WorkloadStack,
        PIPELINE: PipelineStack,
    }
    app = App(context=context(), outdir=str(folder), builtin_cloud_formation_validation=False)
    kinds[stack](app, stack, settings=chosen, env=Environment(region=chosen.region))
    Validations.of(app).add_plugins(AwsSolutionsChecks(app, verbose=True))
    return app


def settings(sample: Sample, changed: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the repository with changes."""
    chosen: dict[str, Any] = context()["greenlane"]
    chosen.update(changed)
    if sample is False:
        del chosen["sample"]
    elif sample:
        chosen["sample"].update(sample)
    return chosen
