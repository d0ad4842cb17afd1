"""HTTP tests and warm-up against the idle slot's tasks, from inside the VPC. No AWS calls.

A public balancer is not reachable from there, so the tasks are called themselves; that also
proves each of them, not whichever one a balancer picks.
"""

import http.client
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from greenlane.deployments.declaring.config import ValidationTest, WarmUp
from greenlane.deployments.model import Deployment, Probe
from greenlane.errors import ValidationFailed

_BODY_LIMIT_BYTES = 1_000_000
_PAUSE_SECONDS = 1.0
_TARGETS_AT_ONCE = 16


class Reply(BaseModel):
    """What a target answered, and how long that took."""

    model_config = ConfigDict(frozen=True)

    status: int
    body: bytes
    milliseconds: Decimal


def validate_slot(
    deployment: Deployment, *, sleep: Callable[[float], None] = time.sleep
) -> Deployment:
    """Run every test against every target, then warm each one up.

    Raises:
        ValidationFailed: a test failed on a target after its retries, or a warm-up request did.
    """
    probe = deployment.probe
    if probe is None or not probe.targets:
        raise ValidationFailed("there is no target to validate")

    def slowest_of(target: str) -> Decimal:
        times = [run_test(target, test, sleep=sleep) for test in probe.tests]
        return max(times, default=Decimal(0))

    with ThreadPoolExecutor(max_workers=_TARGETS_AT_ONCE) as pool:
        slowest = max(pool.map(slowest_of, probe.targets))
    warmed = _warm_up(probe)
    note = (
        f"{len(probe.tests)} tests on {len(probe.targets)} tasks passed, slowest "
        f"{slowest:.0f} ms; {warmed} warm-up requests"
    )
    return deployment.model_copy(update={"probe": None, "note": note})


def run_test(target: str, test: ValidationTest, *, sleep: Callable[[float], None]) -> Decimal:
    """One test against one target, with its retries; the time of the good answer, in ms.

    Raises:
        ValidationFailed: every attempt failed.
    """
    problem = ""
    for attempt in range(test.retries + 1):
        if attempt:
            sleep(_PAUSE_SECONDS)
        try:
            reply = _request(target, test)
        except (OSError, http.client.HTTPException) as error:
            problem = f"no answer: {type(error).__name__}: {error}"
            continue
        found = wrong_with(reply, test)
        if found is None:
            return reply.milliseconds
        problem = found
    raise ValidationFailed(
        f"test {test.name!r} ({test.method} {test.path}) failed on {target} after "
        f"{test.retries + 1} attempts: {problem}"
    )


def wrong_with(reply: Reply, test: ValidationTest) -> str | None:
    """What keeps an answer from meeting a test, in words; None when it does."""
    if reply.status != test.expect_status:
        return f"status {reply.status}, expected {test.expect_status}"
    if reply.milliseconds > test.max_latency:
        return f"{reply.milliseconds:.0f} ms, allowed {test.max_latency} ms"
    text = reply.body.decode("utf-8", errors="replace")
    if test.expect_body is not None and test.expect_body not in text:
        return f"the body does not contain {test.expect_body!r}"
    if test.expect_json is not None:
        try:
            document = json.loads(text)
        except ValueError:
            return "the body is not JSON"
        return _json_difference(document, test.expect_json)
    return None


def _json_difference(document: Any, expected: dict[str, Any]) -> str | None:
    """The first expected path whose value differs; paths are keys joined by dots."""
    for path, wanted in expected.items():
        value = document
        for key in [path] if isinstance(document, dict) and path in document else path.split("."):
            if not isinstance(value, dict) or key not in value:
                return f"the body has no {path}"
            value = value[key]
        if isinstance(wanted, dict) and isinstance(value, dict):
            inner = _json_difference(value, wanted)
            if inner is not None:
                return f"{path}: {inner}"
        elif value != wanted:
            return f"{path} is {value!r}, expected {wanted!r}"
    return None


def _request(target: str, test: ValidationTest) -> Reply:
    timeout_seconds = float(test.max_latency) / 1000 + 1
    return fetch(
        target,
        test.path,
        method=test.method,
        headers=test.headers,
        body=test.body,
        timeout_seconds=timeout_seconds,
    )


def fetch(
    target: str,
    path: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: str | None = None,
    timeout_seconds: float = 10,
) -> Reply:
    """One HTTP request to a task.

    Raises:
        OSError: no connection, or no answer in time.
        http.client.HTTPException: the answer is not HTTP.
    """
    address = urlsplit(target)
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port or 80, timeout=timeout_seconds
    )
    started = time.perf_counter()
    try:
        connection.request(
            method, path, body=body.encode() if body is not None else None, headers=headers or {}
        )
        answer = connection.getresponse()
        content = answer.read(_BODY_LIMIT_BYTES)
    finally:
        connection.close()
    elapsed = Decimal(str(time.perf_counter() - started)) * 1000
    return Reply(status=answer.status, body=content, milliseconds=elapsed)


def _warm_up(probe: Probe) -> int:
    """Send the warm-up requests to every target; how many."""
    plan: WarmUp = probe.warm_up
    jobs = [
        (target, path)
        for target in probe.targets
        for path in plan.paths
        for _ in range(plan.requests)
    ]
    if not jobs:
        return 0
    with ThreadPoolExecutor(max_workers=plan.concurrency) as pool:
        problems = [problem for problem in pool.map(_warm, jobs) if problem is not None]
    if 2 * len(problems) > len(jobs):
        raise ValidationFailed(
            f"warm-up: {len(problems)} of {len(jobs)} requests failed, such as {problems[0]}"
        )
    return len(jobs)


def _warm(job: tuple[str, str]) -> str | None:
    """What went wrong with one request; it is no test, so a single failure decides nothing."""
    target, path = job
    try:
        reply = fetch(target, path)
    except (OSError, http.client.HTTPException) as error:
        return f"{path} on {target}: no answer: {type(error).__name__}: {error}"
    return None if reply.status < 500 else f"{path} on {target}: status {reply.status}"
