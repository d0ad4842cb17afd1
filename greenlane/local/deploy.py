"""Deploys synthesized templates, unmodified, into a local cloud.

What CloudFormation, its bootstrap and its asset publishing do in AWS is done here through the AWS
API of the local endpoint, with each resource handled by a few lines of boto3. Types that have no
local effect are named in `greenlane.local.resources.NOT_EMULATED`; any other unknown type is an
error. The rules that assert on parameters (`Rules`) are not evaluated.
"""

import functools
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from greenlane.local.cloud import LocalCloud
from greenlane.local.context import ACCOUNT_ID
from greenlane.local.errors import DeploymentFailed
from greenlane.local.resources import Site
from greenlane.local.resources.custom import ResponseUrls
from greenlane.local.resources.storage import make_bucket
from greenlane.local.stacks import Change, Stack, Update

CALLER = "cloudformation"
_BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
_BOOTSTRAP_VERSION = "30"
_SSM = "AWS::SSM::Parameter::Value<"
# Archives must be the same for the same files, whenever they were made.
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Artifact:
    """A stack of a cloud assembly: its template, and the files that it needs."""

    name: str
    directory: Path
    template: Mapping[str, Any]
    files: Mapping[str, Any]


class Deployer:
    """Deploys stacks into one running local cloud, and remembers what it deployed."""

    def __init__(self, cloud: LocalCloud) -> None:
        """See the class."""
        self._cloud = cloud
        self.stacks: dict[str, Stack] = {}
        self._client = functools.cache(lambda service: cloud.client(service, caller=CALLER))
        self._site = Site(self._client, ResponseUrls(cloud.server, self._client("lambda")))
        self._published: set[tuple[str, str]] = set()
        self._bootstrapped = False

    def deploy_assembly(
        self, directory: Path | str, *, roll_back: bool = False
    ) -> dict[str, list[Change]]:
        """Deploy every stack of a cloud assembly (`cdk.out`), in the order it asks for.

        Args:
            directory: where `python app.py` wrote to.
            roll_back: let each stack's update fail at its end, as `deploy` does.

        Returns:
            What was done, by stack.

        Raises:
            DeploymentFailed: a stack could not be deployed; it was rolled back.
        """
        return {
            artifact.name: self.deploy(artifact, roll_back=roll_back)
            for artifact in read_assembly(Path(directory))
        }

    def deploy(self, artifact: Artifact, *, roll_back: bool = False) -> list[Change]:
        """Create the stack, or bring it from what was deployed last to this template.

        Args:
            artifact: the stack.
            roll_back: let the update fail after its last resource, so that everything gets its
                old properties again, as CloudFormation does after a failure.

        Returns:
            What was done, in order.

        Raises:
            DeploymentFailed: a resource could not be brought to its properties.
        """
        self._publish(artifact)
        stack = self.stacks.get(artifact.name) or Stack.new(artifact.name, self._cloud.region)
        exports: dict[str, Any] = {}
        for other in self.stacks.values():
            exports |= other.exports
        update = Update(
            stack,
            artifact.template,
            self._parameters(artifact.template),
            self._site,
            exports,
            self._lookup,
        )
        self.stacks[artifact.name] = stack
        return update.run(fail=roll_back)

    def delete(self, name: str) -> list[Change]:
        """Delete a stack, except for what its policies retain."""
        stack = self.stacks.pop(name)
        nothing: dict[str, Any] = {"Resources": {}}
        return Update(stack, nothing, {}, self._site, {}, self._lookup).run()

    def _parameters(self, template: Mapping[str, Any]) -> dict[str, Any]:
        """The template's parameters: their defaults, or what SSM holds under them."""
        found: dict[str, Any] = {}
        for name, parameter in template.get("Parameters", {}).items():
            kind = parameter["Type"]
            if "Default" not in parameter:
                raise DeploymentFailed(f"parameter {name} has no default and none is given")
            value: Any = str(parameter["Default"])
            if kind.startswith(_SSM):
                value = self._lookup("ssm", value)
            if "List<" in kind or kind == "CommaDelimitedList":
                value = [item.strip() for item in value.split(",")]
            found[name] = value
        return found

    def _lookup(self, service: str, path: str) -> str:
        """The value of a dynamic reference, or of a parameter that SSM holds."""
        try:
            if service == "secretsmanager":
                # The path is name:SecretString:key, the last two optional.
                name, _, key = path.partition(":SecretString")
                secret = self._client("secretsmanager").get_secret_value(SecretId=name)
                text: str = secret["SecretString"]
                return str(json.loads(text)[key.strip(":")]) if key.strip(":") else text
            found = self._client("ssm").get_parameter(Name=path, WithDecryption=True)
            return str(found["Parameter"]["Value"])
        except ClientError as error:
            raise DeploymentFailed(f"{service} has no {path}: {error}") from error

    def _publish(self, artifact: Artifact) -> None:
        """Do what `cdk bootstrap` and the publishing of assets do."""
        if not self._bootstrapped:
            self._bootstrapped = True
            self._client("ssm").put_parameter(
                Name=_BOOTSTRAP_PARAMETER, Value=_BOOTSTRAP_VERSION, Type="String", Overwrite=True
            )
        for file in artifact.files.values():
            for destination in file["destinations"].values():
                bucket = destination["bucketName"].replace("${AWS::AccountId}", ACCOUNT_ID)
                bucket = bucket.replace("${AWS::Region}", self._cloud.region)
                key = destination["objectKey"]
                if (bucket, key) in self._published or file["source"]["packaging"] != "zip":
                    continue
                self._make_bucket(bucket)
                body = archive_of(artifact.directory / file["source"]["path"])
                self._client("s3").put_object(Bucket=bucket, Key=key, Body=body)
                self._published.add((bucket, key))

    def _make_bucket(self, name: str) -> None:
        if any(bucket == name for bucket, _ in self._published):
            return
        make_bucket(self._client("s3"), name, self._cloud.region)


def read_assembly(directory: Path) -> list[Artifact]:
    """The stacks of a cloud assembly, each after those it depends on.

    Raises:
        DeploymentFailed: the directory holds no assembly.
    """
    manifest_path = directory / "manifest.json"
    if not manifest_path.exists():
        raise DeploymentFailed(f"{directory} holds no templates: run `make synth` first")
    artifacts = json.loads(manifest_path.read_text())["artifacts"]
    ordered: list[Artifact] = []

    def add(name: str) -> None:
        artifact = artifacts[name]
        if artifact["type"] != "aws:cloudformation:stack" or any(
            one.name == name for one in ordered
        ):
            return
        for dependency in artifact.get("dependencies", []):
            add(dependency)
        template = json.loads((directory / artifact["properties"]["templateFile"]).read_text())
        assets = directory / f"{name}.assets.json"
        files = json.loads(assets.read_text())["files"] if assets.exists() else {}
        stack_name = artifact["properties"].get("stackName", name)
        ordered.append(Artifact(stack_name, directory, template, files))

    for name in artifacts:
        add(name)
    return ordered


def archive_of(path: Path) -> bytes:
    """A zip archive of a folder (or the archive itself, if it is one already)."""
    if path.is_file():
        return path.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in sorted(path.rglob("*")):
            if file.is_file():
                entry = zipfile.ZipInfo(str(file.relative_to(path)), _EPOCH)
                archive.writestr(entry, file.read_bytes())
    return buffer.getvalue()
