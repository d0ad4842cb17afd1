"""Who may call a method of the local API Gateway: API keys, usage plans, signatures.

A signature is verified in full (AWS Signature Version 4, by botocore's own code), with the keys of
the emulated IAM, and of the functions and the person of this local cloud, whose secret is `local`.
Policies are not evaluated, and session tokens are not looked at: whoever signs correctly may call.
"""

import hashlib
import hmac
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.apigateway.models import APIGatewayBackend, ApiKey, UsagePlan
from moto.awslambda.models import lambda_backends
from moto.iam.models import iam_backends

from greenlane.local.context import ACCOUNT_ID
from greenlane.local.journal import PERSON, access_key_of

LOCAL = "local"
"""The access key and the secret of whoever works with the local cloud by hand."""

_AUTHORIZATION = re.compile(
    r"^AWS4-HMAC-SHA256 Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[^/,\s]+)/"
    r"(?P<service>[^/,\s]+)/aws4_request, ?SignedHeaders=(?P<headers>[a-z0-9;-]+), ?"
    r"Signature=(?P<signature>[0-9a-f]{64})$"
)
_STAMP = "%Y%m%dT%H%M%SZ"
_DRIFT_SECONDS = 300


class Denied(Exception):
    """The call is refused: the type of gateway response, its status and what it says."""

    def __init__(self, type: str, status: int, message: str) -> None:
        self.type, self.status, self.message = type, status, message


@dataclass(frozen=True)
class Principal:
    """Who signed, as `requestContext.identity` names them."""

    arn: str
    access_key: str


class Buckets:
    """A token bucket for each key of a usage plan, in real seconds: AWS's rate and burst."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """See the class."""
        self._clock = clock
        self._levels: dict[tuple[str, str], tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, plan: str, key: str, rate: float, burst: float) -> bool:
        """Whether one more request fits."""
        with self._lock:
            now = self._clock()
            level, at = self._levels.get((plan, key), (burst, now))
            level = min(burst, level + (now - at) * rate)
            fits = level >= 1
            self._levels[plan, key] = (level - 1 if fits else level, now)
            return fits


def check_key(
    backend: APIGatewayBackend, buckets: Buckets, api: str, stage: str, value: str
) -> ApiKey:
    """The key of a request, which a usage plan of this stage must have.

    Raises:
        Denied: there is none, it is switched off, or its plan's throttle is used up.
    """
    for key in list(backend.keys.values()):
        if value and hmac.compare_digest(str(key.value).encode(), value.encode()):
            plan = _plan_of(backend, key, api, stage)
            if plan is None or not key.enabled:
                break
            _throttle(buckets, plan, key)
            return key
    raise Denied("INVALID_API_KEY", 403, "Forbidden")


def _plan_of(backend: APIGatewayBackend, key: ApiKey, api: str, stage: str) -> UsagePlan | None:
    for plan in list(backend.usage_plans.values()):
        here = any(one["apiId"] == api and one["stage"] == stage for one in plan.api_stages)
        if here and key.id in backend.usage_plan_keys.get(plan.id, {}):
            return plan
    return None


def _throttle(buckets: Buckets, plan: UsagePlan, key: ApiKey) -> None:
    limits = plan.throttle
    if not limits:
        return
    rate, burst = float(limits.get("rateLimit", 0)), float(limits.get("burstLimit", 0))
    if not buckets.take(str(plan.id), str(key.id), rate, burst):
        raise Denied("THROTTLED", 429, "Too Many Requests")


def check_signature(
    region: str,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime | None = None,
) -> Principal:
    """Who signed a request.

    Args:
        region: of the API.
        method: the HTTP method.
        url: the whole URL as it was signed, its path still percent-encoded.
        headers: by names in lower case.
        body: the request's.
        now: real time, by default the machine's.

    Raises:
        Denied: it is not signed, or not by anybody who is known.
    """
    given = headers.get("authorization", "")
    if not given:
        raise Denied("MISSING_AUTHENTICATION_TOKEN", 403, "Missing Authentication Token")
    parts = _AUTHORIZATION.match(given)
    stamp = headers.get("x-amz-date", "")
    if parts is None or not {"host", "x-amz-date"} <= set(parts["headers"].split(";")):
        raise Denied("INVALID_SIGNATURE", 403, "Authorization header is not of AWS4-HMAC-SHA256")
    if (parts["service"], parts["region"]) != ("execute-api", region):
        raise Denied("INVALID_SIGNATURE", 403, f"Credential should be scoped to {region}")
    _check_time(stamp, parts["date"], now or datetime.now(UTC))
    secret, arn = _known(parts["key"], region)
    signed = {name: headers[name] for name in parts["headers"].split(";") if name in headers}
    request: Any = AWSRequest(method=method, url=url, data=body, headers=signed)
    expected = _signature(Credentials(parts["key"], secret), parts, request)
    digest = hashlib.sha256(body).hexdigest()
    if headers.get("x-amz-content-sha256", digest) != digest:
        raise Denied("INVALID_SIGNATURE", 403, "x-amz-content-sha256 is not that of the body")
    if not hmac.compare_digest(expected, parts["signature"]):
        message = "The request signature we calculated does not match the signature you provided"
        raise Denied("INVALID_SIGNATURE", 403, message)
    return Principal(arn, parts["key"])


def _check_time(stamp: str, date: str, now: datetime) -> None:
    try:
        signed = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise Denied("INVALID_SIGNATURE", 403, "x-amz-date is not YYYYMMDD'T'HHMMSS'Z'") from None
    if abs((now - signed).total_seconds()) > _DRIFT_SECONDS or not stamp.startswith(date):
        raise Denied("INVALID_SIGNATURE", 403, f"Signature expired: {stamp}")


def _known(key: str, region: str) -> tuple[str, str]:
    """Secret and ARN of an access key of this cloud."""
    for user in list(iam_backends[ACCOUNT_ID]["aws"].users.values()):
        for one in user.access_keys:
            if one.access_key_id == key and one.status == "Active":
                return str(one.secret_access_key), str(user.arn)
    if key in (LOCAL, access_key_of(PERSON)):
        return LOCAL, f"arn:aws:iam::{ACCOUNT_ID}:user/{LOCAL}"
    for function in lambda_backends[ACCOUNT_ID][region].list_functions():
        name = function.function_name
        if key == access_key_of(name):
            role = str(function.role).rpartition("/")[2]
            return LOCAL, f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{role}/{name}"
    message = "The security token included in the request is invalid."
    raise Denied("INVALID_SIGNATURE", 403, message)


def _signature(credentials: Credentials, scope: "re.Match[str]", request: AWSRequest) -> str:
    """What the signature must be of a request that has nothing but its signed headers."""
    signer: Any = SigV4Auth(credentials, scope["service"], scope["region"])
    request.context["timestamp"] = request.headers["x-amz-date"]
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return str(signer.signature(text, request))
