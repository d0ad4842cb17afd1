"""The HTTP API on a local cloud: its stack, and the tables of the product, as they stand."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from greenlane.experiments.names import TABLE as EXPERIMENTS
from greenlane.experiments.storing.apply import apply_experiments
from greenlane.experiments.storing.store import DynamoExperimentStore
from greenlane.flags.definitions.document import read_flags
from greenlane.flags.storing.state import (
    StoredApprovals,
    StoredFlag,
    StoredFlags,
    StoredSegment,
)
from greenlane.flags.storing.store import DynamoFlagStore
from greenlane.local.cloud import LocalCloud
from greenlane.local.deploy import Artifact, Deployer, read_assembly
from greenlane.local.resolve import references
from tests.role_guard import RoleGuard

STAGE = "production"
TIME_SCALE = 10
"""What functions keep for seconds (the TTL of flags) is over in tenths of them."""

TTL_SECONDS = 5.0
"""How long a lookup may tell what was, by the functions' clock."""

PRODUCT, API = "Greenlane", "GreenlaneApi"


@dataclass
class Answer:
    """One answer; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def send(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    """One request over HTTP."""
    asked = urllib.request.Request(url, data=body, method=method, headers=dict(headers))
    try:
        with urllib.request.urlopen(asked, timeout=120) as found:
            return Answer(found.status, lower(found.headers), found.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, lower(error.headers), error.read())


def lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def signature(
    method: str,
    url: str,
    body: bytes | None = None,
    *,
    key: str = "local",
    secret: str = "local",
    region: str = "eu-west-1",
    service: str = "execute-api",
    headers: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The headers of a signed request, by AWS's own client library."""
    asked: Any = AWSRequest(method=method, url=url, data=body, headers=dict(headers or {}))
    signer: Any = SigV4Auth(Credentials(key, secret), service, region)
    signer.add_auth(asked)
    return dict(asked.headers)


@dataclass
class DeployedApi:
    """The API of a local cloud, with short cuts for what tests do with it."""

    cloud: LocalCloud
    deployer: Deployer
    _kept: tuple[str, int] | None = None

    @property
    def url(self) -> str:
        return self.cloud.gateway.url("greenlane", STAGE)

    @property
    def key(self) -> str:
        return self.cloud.gateway.key(f"greenlane-{STAGE}")

    @cached_property
    def store(self) -> DynamoFlagStore:
        return DynamoFlagStore(
            self.cloud.client("dynamodb"), "greenlane-flags", environments=(STAGE,)
        )

    def put(self, yaml: str) -> int:
        """Have the flags of a file, as if there had never been others; the version."""
        if self._kept == (yaml, now := self.store.read().version):
            return now
        document = read_flags(yaml)
        approvals = document.approvals.environments if document.approvals else ()

        def edit(flags: StoredFlags) -> StoredFlags:
            return StoredFlags(
                version=flags.version,
                flags={key: StoredFlag(flag=one) for key, one in document.feature_flags.items()},
                segments={
                    name: StoredSegment(condition=one) for name, one in document.segments.items()
                },
                approvals=StoredApprovals(environments=approvals),
                environments=flags.environments,
            )

        at = self.cloud.clock.now()
        self._kept = yaml, self.store.change(edit, by="a test", reason="", at=at).version
        return self._kept[1]

    @cached_property
    def experiments(self) -> DynamoExperimentStore:
        return DynamoExperimentStore(self.cloud.client("dynamodb"), EXPERIMENTS)

    def begin(self, yaml: str) -> None:
        """Have the A/B tests of a file run."""
        now = self.cloud.clock.now()
        apply_experiments(self.experiments, yaml, by="a test", at=now, start=True)

    def tell(self, path: str, content: Any, **headers: str) -> Answer:
        """One request by API key of what users were shown and did."""
        given = {"content-type": "application/json", "x-api-key": self.key, **headers}
        return send("POST", self.url + path, json.dumps(content).encode(), given)

    def look_up(self, path: str = "", context: Any = None, **headers: str) -> Answer:
        """One lookup: of all flags, or of `/<key>`."""
        body = json.dumps({"context": {} if context is None else context}).encode()
        given = {"content-type": "application/json", "x-api-key": self.key}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return send("POST", f"{self.url}/ofrep/v1/evaluate/flags{path}", body, given)

    def look_up_fresh(self, path: str, context: Any = None) -> Any:
        """What the first lookup says after the TTL: what was changed before, it must know."""
        until = time.monotonic() + 60
        while True:
            time.sleep(self.cloud.clock.real_seconds(TTL_SECONDS))
            told = self.look_up(path, context).json
            # So says a lookup that could not read: a busy machine may be too late for it.
            if told.get("reason") != "STALE":
                return told
            assert time.monotonic() < until, told

    def manage(
        self,
        method: str,
        path: str,
        content: Any = None,
        headers: Mapping[str, str] | None = None,
        **signing: str,
    ) -> Answer:
        """One signed request."""
        body = None if content is None else json.dumps(content).encode()
        given = {"content-type": "application/json", **(headers or {})}
        signed = signature(method, self.url + path, body, headers=given, **signing)
        return send(method, self.url + path, body, signed)


@contextmanager
def deployed_api(
    directory: Path, assembly: Path = Path("cdk.out"), time_scale: float = TIME_SCALE
) -> Iterator[DeployedApi]:
    """A local cloud with the API's stack, the tables and the buckets; `make synth` comes first.

    The product's machines are there by their names, and end at once. The functions may do what
    their roles say, and whoever tries more fails the tests.
    """
    with LocalCloud(directory, time_scale=time_scale, parts=()) as cloud:
        deployer = Deployer(cloud)
        stacks = {one.name: one for one in read_assembly(assembly)}
        deployer.deploy(part(stacks[PRODUCT], "AWS::DynamoDB::", "AWS::S3::Bucket"))
        stand_in(cloud, stacks[PRODUCT])
        deployer.deploy(stacks[API])
        guard = RoleGuard([stacks[API].template])
        cloud.server.before.append(guard)
        yield DeployedApi(cloud, deployer)
        assert not guard.refused, guard.refused


def stand_in(cloud: LocalCloud, artifact: Artifact) -> None:
    """Machines of the names that a template has, without their functions."""
    nothing = {"StartAt": "Nothing", "States": {"Nothing": {"Type": "Succeed"}}}
    for resource in artifact.template["Resources"].values():
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            cloud.client("stepfunctions").create_state_machine(
                name=resource["Properties"]["StateMachineName"],
                definition=json.dumps(nothing),
                roleArn="arn:aws:iam::123456789012:role/nobody",
            )


def part(artifact: Artifact, *prefixes: str) -> Artifact:
    """The resources of some types and all that they need, unchanged."""
    resources = artifact.template["Resources"]
    wanted: set[str] = set()
    open_ends = [name for name, one in resources.items() if one["Type"].startswith(prefixes)]
    while open_ends:
        name = open_ends.pop()
        if name in wanted or name not in resources:
            continue
        wanted.add(name)
        open_ends += references(resources[name].get("Properties", {}))
    kept = {name: resources[name] for name in resources if name in wanted}
    template = {**artifact.template, "Resources": kept, "Outputs": {}, "Parameters": {}}
    return Artifact(artifact.name, artifact.directory, template, artifact.files)
