"""Lambda functions, run for real: processes, time limits, retries and error documents.

Each version of a function (or `$LATEST`) runs in processes of its own under AWS's runtime client,
with the environment its template gives it and what the Lambda service itself sets. A process is
started at the first call (a cold start), stays warm, and handles one invocation at a time; more
calls at once start more processes. Timeouts are real seconds: functions run at their own speed.
"""

import base64
import hashlib
import io
import json
import logging
import os
import shutil
import threading
import time
import uuid
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moto.awslambda.models import LambdaFunction, lambda_backends
from moto.sqs.models import sqs_backends

from greenlane.local.context import ACCOUNT_ID, CODE, LocalContext
from greenlane.local.journal import Journal, access_key_of
from greenlane.local.patches import Patches
from greenlane.local.processes import ProcessTemplate
from greenlane.local.runtime_api import Instance, Invocation, Outcome, RuntimeApi, error_outcome

_log = logging.getLogger(__name__)

# Lambda gives an initialisation ten seconds. One that takes longer is begun anew, as a part of the
# invocation: within the function's own timeout
# (docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html, "Init phase").
_INIT_SECONDS = 10.0
# An asynchronous invocation that fails is tried again after one and two (virtual) minutes.
_ASYNC_RETRY_SECONDS = (60.0, 120.0)
_LOG_TAIL_BYTES = 4096


@dataclass(frozen=True)
class _Revision:
    """What makes two invocations able to share a process."""

    name: str
    version: str
    digest: str


class Functions:
    """Runs the functions of one local cloud; moto keeps their definitions."""

    def __init__(self, context: LocalContext, journal: Journal) -> None:
        """See the class."""
        self._context = context
        self._journal = journal
        self._api = RuntimeApi()
        # Unpacked code is named by its content, so clouds can share it, and what Python compiles.
        self._code = Path(os.environ.get(CODE) or context.directory / "code")
        self._template = ProcessTemplate(context.directory / "logs", self._ended)
        self._patches = Patches()
        self._idle: dict[_Revision, list[Instance]] = defaultdict(list)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._background: set[threading.Thread] = set()

    def start(self) -> None:
        """Take over moto's invocations."""
        self._api.start()
        self._template.start()
        host = self

        def invoke(
            function: LambdaFunction, body: Any, request_headers: Any, response_headers: Any
        ) -> bytes:
            return host._invoked(function, body, request_headers, response_headers)

        self._patches.set(LambdaFunction, "invoke", invoke)

    def stop(self) -> None:
        """Kill every process; whoever waits for one gets an error document."""
        self._closing.set()
        self._patches.undo()
        self._template.stop()
        for instance in list(self._api.instances.values()):
            instance.end("the local cloud stopped")
        for thread in list(self._background):
            thread.join(timeout=5)
        self._api.stop()

    def invoke_later(self, arn: str, payload: bytes) -> threading.Event:
        """Invoke asynchronously, as event sources do; raises what the Invoke API would.

        Args:
            arn: a function's ARN, qualified or not.
            payload: the event, JSON.

        Returns:
            What is set once the first attempt has ended, well or not.
        """
        backend = lambda_backends[ACCOUNT_ID][arn.split(":")[3]]
        return self._in_background(backend.get_function(arn), payload)

    def end_idle(self, name: str) -> None:
        """End every warm process of a function, so that its next invocation starts cold."""
        with self._lock:
            of_it = [revision for revision in self._idle if revision.name == name]
            idle = [instance for revision in of_it for instance in self._idle.pop(revision)]
        for instance in idle:
            self._kill(instance)

    def run(self, function: LambdaFunction, payload: bytes) -> tuple[Outcome, bytes]:
        """Invoke and wait; returns the outcome and the tail of the log (at most 4 KB)."""
        revision = _revision_of(function)
        log = self._context.directory / "logs" / f"{revision.name}.log"
        instance = self._take(revision, function)
        invocation = Invocation(
            str(uuid.uuid4()), payload, function.function_arn, float(function.timeout)
        )
        began = log.stat().st_size if log.exists() else 0
        _write_log(log, f"START RequestId: {invocation.id} Version: {revision.version}")
        clock = time.perf_counter()
        instance.offer(invocation)
        if not invocation.started.wait(_INIT_SECONDS) and instance.take_back():
            self._kill(instance)
            invocation.deadline = time.time() + invocation.timeout
            instance = self._spawn(revision, function)
            instance.offer(invocation)
        outcome = self._await(instance, invocation)
        milliseconds = (time.perf_counter() - clock) * 1000
        _write_log(log, f"REPORT RequestId: {invocation.id} Duration: {milliseconds:.2f} ms")
        problem = f": {outcome.payload[:1000].decode(errors='replace')}" if outcome.is_error else ""
        _log.info("%s ran for %.0f ms%s", revision.name, milliseconds, problem)
        self._give_back(revision, instance)
        with log.open("rb") as file:
            file.seek(max(began, file.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
            return outcome, file.read()

    def _await(self, instance: Instance, invocation: Invocation) -> Outcome:
        if not invocation.done.wait(invocation.timeout):
            self._kill(instance)
            return error_outcome(
                "Sandbox.Timedout",
                f"RequestId: {invocation.id} Error: Task timed out after "
                f"{invocation.timeout:.2f} seconds",
            )
        assert invocation.outcome is not None
        return invocation.outcome

    def _kill(self, instance: Instance) -> None:
        instance.ended.set()
        self._template.kill(instance.name)

    def _take(self, revision: _Revision, function: LambdaFunction) -> Instance:
        """A warm process of this revision, or a new one."""
        with self._lock:
            while self._idle[revision]:
                instance = self._idle[revision].pop()
                if not instance.ended.is_set():
                    return instance
            outdated = [
                old
                for key in self._idle
                if (key.name, key.version) == (revision.name, revision.version) and key != revision
                for old in self._idle[key]
            ]
        for old in outdated:
            self._kill(old)
        return self._spawn(revision, function)

    def _give_back(self, revision: _Revision, instance: Instance) -> None:
        with self._lock:
            if not instance.ended.is_set():
                self._idle[revision].append(instance)

    def _spawn(self, revision: _Revision, function: LambdaFunction) -> Instance:
        instance = Instance(uuid.uuid4().hex)
        self._api.instances[instance.name] = instance
        directory = self._unpacked(function)
        clock = self._context.clock
        self._template.spawn(
            instance.name,
            {
                "environ": self._environment(revision, function, directory, instance.name),
                "directory": str(directory),
                "handler": function.handler,
                "api": self._api.address,
                "prefix": f"/{instance.name}",
                "log": str(self._context.directory / "logs" / f"{revision.name}.log"),
                "clock": [clock.origin.isoformat(), clock.scale],
            },
        )
        return instance

    def _ended(self, name: str, reason: str) -> None:
        """The template process reports that a function's process has ended."""
        instance = self._api.instances.pop(name, None)
        if instance is not None:
            instance.end(f"Runtime exited with error: {reason}")

    def _environment(
        self, revision: _Revision, function: LambdaFunction, directory: Path, instance: str
    ) -> dict[str, str]:
        """The template's variables and those the Lambda service sets."""
        key = access_key_of(revision.name)
        self._journal.name_caller(key, revision.name)
        region = function.region
        return {
            # No file of the person at this machine may reach a function.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            **function.environment_vars,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_SESSION_TOKEN": "local",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": self._context.endpoint_url,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
            "AWS_LAMBDA_FUNCTION_NAME": revision.name,
            "AWS_LAMBDA_FUNCTION_VERSION": revision.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{revision.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": f"[{revision.version}]{instance}",
            "AWS_LAMBDA_RUNTIME_API": f"{self._api.address}/{instance}",
            "_HANDLER": function.handler,
            "LAMBDA_TASK_ROOT": str(directory),
            "LANG": "en_US.UTF-8",
            "PATH": os.environ.get("PATH", os.defpath),
            "TZ": ":UTC",
        }

    def _unpacked(self, function: LambdaFunction) -> Path:
        """The directory of a code archive: one for each content, so versions keep their own."""
        digest = base64.b64decode(function.code_sha_256).hex()
        directory = self._code / digest[:32]
        with self._lock:
            if not directory.exists():
                partial = directory.with_suffix(f".{uuid.uuid4().hex}")
                with zipfile.ZipFile(io.BytesIO(function.code_bytes)) as archive:
                    archive.extractall(partial)
                try:
                    partial.rename(directory)
                except OSError:  # another cloud was faster
                    shutil.rmtree(partial)
                    if not directory.exists():
                        raise
        return directory

    def _invoked(self, function: LambdaFunction, body: Any, asked: Any, answered: Any) -> bytes:
        """Answer the Invoke API in the place of moto's `LambdaFunction.invoke`."""
        payload = body.encode() if isinstance(body, str) else bytes(body or b"")
        kind = asked.get("X-Amz-Invocation-Type") or "RequestResponse"
        if kind == "DryRun":
            return b""
        if kind == "Event":
            self._in_background(function, payload)
            return b""
        outcome, log = self.run(function, payload or b"{}")
        answered["X-Amz-Executed-Version"] = _version_of(function)
        answered["x-amz-log-result"] = base64.b64encode(log).decode()
        if outcome.is_error:
            answered["x-amz-function-error"] = "Unhandled"
        return outcome.payload

    def _in_background(self, function: LambdaFunction, payload: bytes) -> threading.Event:
        tried = threading.Event()

        def work() -> None:
            try:
                self._run_with_retries(function, payload or b"{}", tried)
            finally:
                tried.set()
                self._background.discard(threading.current_thread())

        thread = threading.Thread(target=work, name=f"async-{function.function_name}", daemon=True)
        self._background.add(thread)
        thread.start()
        return tried

    def _run_with_retries(
        self, function: LambdaFunction, payload: bytes, tried: threading.Event
    ) -> None:
        for pause in (*_ASYNC_RETRY_SECONDS[: _retries_of(function)], None):
            if self._closing.is_set():
                return
            outcome, _ = self.run(function, payload)
            tried.set()
            if not outcome.is_error or self._closing.is_set():
                return
            if pause is None:
                _log.error("%s gave up: %s", function.function_name, outcome.payload[:500])
                _keep_failure(function, payload, outcome)
            elif self._closing.wait(self._context.clock.real_seconds(pause)):
                return


def _asynchronous(function: LambdaFunction) -> dict[str, Any]:
    """How the function's asynchronous invocations are configured; empty if they are not."""
    for config in reversed(function.event_invoke_config):
        if config.arn == function.function_arn:
            return dict(config.config)
    return {}


def _retries_of(function: LambdaFunction) -> int:
    """How often an asynchronous invocation is tried again: as configured, else twice."""
    return int(_asynchronous(function).get("MaximumRetryAttempts", len(_ASYNC_RETRY_SECONDS)))


def _keep_failure(function: LambdaFunction, payload: bytes, outcome: Outcome) -> None:
    """Send what was given up to the queue that is its destination, if there is one."""
    on_failure = _asynchronous(function).get("DestinationConfig", {}).get("OnFailure", {})
    queue = on_failure.get("Destination", "")
    if not queue.startswith("arn:aws:sqs:"):
        return
    _, _, _, region, _, name = queue.split(":")
    document = {
        "version": "1.0",
        "requestContext": {
            "functionArn": function.function_arn,
            "condition": "RetriesExhausted",
            "approximateInvokeCount": _retries_of(function) + 1,
        },
        "requestPayload": json.loads(payload),
        "responseContext": {"functionError": "Unhandled"},
        "responsePayload": json.loads(outcome.payload),
    }
    sqs_backends[ACCOUNT_ID][region].send_message(name, json.dumps(document))


def _version_of(function: LambdaFunction) -> str:
    """`$LATEST`, or the number of a published version (moto numbers both)."""
    tail = function.function_arn.split(":function:")[1].partition(":")[2]
    return tail or "$LATEST"


def _revision_of(function: LambdaFunction) -> _Revision:
    settings = (
        function.code_sha_256,
        function.handler,
        sorted(function.environment_vars.items()),
        function.timeout,
        function.memory_size,
    )
    digest = hashlib.sha256(repr(settings).encode()).hexdigest()
    return _Revision(function.function_name, _version_of(function), digest)


def _write_log(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
