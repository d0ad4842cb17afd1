"""What else the functions reach: S3, logs, secrets, OpsCenter, and servers on the internet."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from greenlane.people.channel import Untold
from greenlane.people.posting import Answer
from tests.builders import NEW_IMAGE, SERVICE, workload
from tests.fakes import error
from tests.faults.edge import LATENCY_SECONDS
from tests.faults.faults import LATE_SECONDS, SLOW_SECONDS, Faults, Kind
from tests.faults.kernel import Kernel, Killed

POST_SECONDS = 8.0
SCAN_SECONDS = 75.0
"""A scan ends after the tasks have started, so that it is waited for."""
SECRETS = {f"greenlane/{SERVICE}/pagerduty": "0123456789abcdef0123456789abcdef"}
PEOPLE: dict[str, Any] = {
    "notifications": {"pagerduty_integration": True, "opscenter": True},
    "monitoring": {"alert_manager": "http://alertmanager:9093"},
}
"""Whom the service of every run tells: over the internet, by an AWS API, and inside the VPC."""


class Bucket:
    """A boto3 `s3` client: reports by key."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, *, Key: str, Body: bytes, **_: Any) -> None:  # noqa: N803
        self.objects[Key] = Body


class Logs:
    """A boto3 `logs` client: nobody logged anything."""

    def start_query(self, **_: Any) -> dict[str, Any]:
        return {"queryId": "1"}

    def get_query_results(self, **_: Any) -> dict[str, Any]:
        return {"status": "Complete", "results": []}


class Secrets:
    """A boto3 `secretsmanager` client."""

    def get_secret_value(self, SecretId: str) -> dict[str, Any]:  # noqa: N803
        if SecretId not in SECRETS:
            raise error("ResourceNotFoundException", "GetSecretValue")
        return {"SecretString": SECRETS[SecretId]}


class Registry:
    """A boto3 `ecr` client: every tag names the new version, whose scan takes its time."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def describe_image_scan_findings(self, **_: Any) -> dict[str, Any]:
        done = self._kernel.seconds > SCAN_SECONDS
        return {"imageScanStatus": {"status": "COMPLETE" if done else "IN_PROGRESS"}}

    def describe_images(self, **_: Any) -> dict[str, Any]:
        return {"imageDetails": [{"imageDigest": NEW_IMAGE.split("@")[1]}]}

    def describe_repositories(self, **_: Any) -> dict[str, Any]:
        return {"repositories": [{"repositoryUri": NEW_IMAGE.split("@")[0]}]}


class Inspector:
    """A boto3 `inspector2` client: it has found nothing."""

    def list_findings(self, **_: Any) -> dict[str, Any]:
        return {"findings": []}


def ask_prometheus(address: str, seconds: float) -> bytes:
    """A Prometheus in which a queue waits a tenth of a second, always."""
    del seconds
    asked = {
        key: float(value[0])
        for key, value in parse_qs(urlsplit(address).query).items()
        if key in ("start", "end", "step")
    }
    times = range(int(asked["start"]), int(asked["end"]) + 1, int(asked["step"]))
    values = [[at, "100"] for at in times]
    data = {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}
    return json.dumps({"status": "success", "data": data}).encode()


class Systems:
    """A boto3 `ssm` client: OpsCenter, with one open item for each deployment, and the workload."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}

    def get_parameter(self, **_: Any) -> dict[str, Any]:
        return {"Parameter": {"Value": workload().model_dump_json()}}

    def get_parameters_by_path(self, **_: Any) -> dict[str, Any]:
        return {"Parameters": []}

    def create_ops_item(self, **arguments: Any) -> dict[str, Any]:
        key = arguments["OperationalData"]["/aws/dedup"]["Value"]
        if key in self.items:
            raise error("OpsItemAlreadyExistsException", "CreateOpsItem")
        self.items[key] = arguments
        return {"OpsItemId": f"oi-{len(self.items)}"}


class Wire:
    """HTTP for one function: posts take time, and may fail like any other call.

    Args:
        kernel: the time.
        faults: what goes wrong.
        caller: the function's module.
        received: what reached the other side, as (host, document).
    """

    def __init__(
        self, kernel: Kernel, faults: Faults, caller: str, received: list[tuple[str, Any]]
    ) -> None:
        self._kernel, self._faults, self._caller = kernel, faults, caller
        self._received = received

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """See `greenlane.people.posting.post`."""
        del headers
        host, document = url.split("/")[2], json.loads(body)
        kind = self._faults.of(self._caller, "https", "post", self._kernel.seconds)
        if kind == "killed":
            raise Killed
        self._kernel.sleep(_before(kind))
        if kind in _STATUSES:
            return Answer(_STATUSES[kind], b"{}")
        if kind == "late":
            self._kernel.after(LATE_SECONDS, lambda: self._received.append((host, document)))
        if kind in ("late", "timeout"):
            raise Untold(f"no answer from {host}", again=True)
        self._received.append((host, document))
        if kind == "killed_after":
            raise Killed
        self._kernel.sleep(LATENCY_SECONDS / 2)
        if kind == "after":
            raise Untold(f"no answer from {host}", again=True)
        return Answer(202, b"{}")


_STATUSES: dict[Kind | None, int] = {"before": 500, "throttled": 429, "denied": 403}


def _before(kind: Kind | None) -> float:
    if kind in ("timeout", "late"):
        return POST_SECONDS
    return SLOW_SECONDS if kind == "slow" else LATENCY_SECONDS / 2
