"""An account with a pipeline before it: the real functions and machines, and a strict CodePipeline.

Neither moto nor any other imitation takes the results of jobs. This one does: what it is sent is
checked against botocore's own model, patterns and lengths included; a job takes one result; and a
continued job is another job, thirty seconds later.
"""

import io
import json
import re
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

import boto3

from greenlane.deployments.connection import Connection
from greenlane.experiments.names import TABLE as EXPERIMENTS
from greenlane.flags.names import TABLE as FLAGS
from greenlane.pipelines.book import Book
from greenlane.pipelines.runtime import FunctionConnection, PipelineRuntime
from greenlane.runtime import Runtime
from tests.builders import NEW_IMAGE, SERVICE
from tests.checked_parameters import check
from tests.fakes import STATES, client, error
from tests.faults.account import Account, in_simulation
from tests.faults.edge import Edge
from tests.faults.faults import Faults
from tests.faults.kernel import Kernel
from tests.faults.machine import Execution, load
from tests.faults.wiring import TABLE, runtime_of
from tests.table import Table

QUICK: dict[str, Any] = {
    "strategy": "canary",
    "steps": [10, 100],
    "bake": "1m",
    "watch": "2m",
    "extended_watch": "10m",
    "propagation": "30s",
    "max_hold": "10m",
    "max_duration": "2h",
}
EXECUTION = "3137f7cb-7cf7-4abc-9f1f-d7eu3EXAMPLE".lower().replace("u", "0")
ASKED: dict[str, Any] = {
    "service": SERVICE,
    "image": NEW_IMAGE,
    "pipeline_execution_id": EXECUTION,
}
CREDENTIALS = {
    "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
    "secretAccessKey": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
    "sessionToken": "fICCQD6m7oRw0uXOjANBgkqhkiG9w0BAQUFADCBiDELMAkGA1UEBhMCVVMxEXAMPLE",
}
CONTINUED_AFTER_SECONDS = 30.0
SERVING = ("run_pipeline_action", "answer_dead_job", "follow_request", "cancel_requests")


def job_event(
    job: str,
    parameters: Any,
    *,
    token: str | None = None,
    artifacts: tuple[str, ...] = (),
) -> dict[str, Any]:
    """A job as Lambda gets it; `parameters` that are no text are written as JSON."""
    configuration: dict[str, Any] = {"FunctionName": "greenlane-run-pipeline-action"}
    if parameters is not None:
        text = parameters if isinstance(parameters, str) else json.dumps(parameters)
        configuration["UserParameters"] = text
    data: dict[str, Any] = {
        "actionConfiguration": {"configuration": configuration},
        "inputArtifacts": [
            {
                "name": name,
                "revision": None,
                "location": {
                    "type": "S3",
                    "s3Location": {"bucketName": "artifacts", "objectKey": f"run/{name}"},
                },
            }
            for name in artifacts
        ],
        "outputArtifacts": [],
        "artifactCredentials": CREDENTIALS,
        "encryptionKey": {"id": "arn:aws:kms:eu-west-1:123456789012:key/1", "type": "KMS"},
    }
    if token is not None:
        data["continuationToken"] = token
    return {"CodePipeline.job": {"id": job, "accountId": "123456789012", "data": data}}


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    """An artifact with these files."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return written.getvalue()


def checked(operation: str, arguments: dict[str, Any]) -> None:
    """Refuse what AWS would refuse, by botocore's model; patterns besides, which it leaves out."""
    made = client("codepipeline")
    shape = made.meta.service_model.operation_model(operation).input_shape
    check(arguments, shape)
    _patterns(arguments, shape)


def _patterns(value: Any, shape: Any) -> None:
    if shape.type_name == "structure":
        for name, part in value.items():
            _patterns(part, shape.members[name])
    elif shape.type_name == "map":
        for name, part in value.items():
            _patterns(name, shape.key)
            _patterns(part, shape.value)
    elif shape.type_name == "string":
        pattern, most = shape.metadata.get("pattern"), shape.metadata.get("max")
        assert pattern is None or re.fullmatch(pattern, value), f"{value!r} is not {pattern}"
        assert most is None or len(value) <= most, f"{len(value)} characters of {most}"
        assert not shape.enum or value in shape.enum, value
    elif shape.type_name == "integer":
        assert shape.metadata.get("min", value) <= value <= shape.metadata.get("max", value)


class CodePipeline:
    """A boto3 `codepipeline` client, and the service behind it.

    Attributes:
        results: what each job was answered: the operation's name, and its arguments.
        refused: results that were one too many, or of no job.
    """

    def __init__(self) -> None:
        self.jobs: set[str] = set()
        self.results: dict[str, tuple[str, dict[str, Any]]] = {}
        self.refused: list[tuple[str, str]] = []
        self.errors: dict[str, list[Exception]] = {}

    def put_job_success_result(self, **arguments: Any) -> dict[str, Any]:
        return self._take("PutJobSuccessResult", arguments)

    def put_job_failure_result(self, **arguments: Any) -> dict[str, Any]:
        return self._take("PutJobFailureResult", arguments)

    def _take(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        checked(operation, arguments)
        if queued := self.errors.get(operation):
            raise queued.pop(0)
        job = arguments["jobId"]
        if arguments.get("continuationToken") is not None and "outputVariables" in arguments:
            raise error("ValidationException", operation)
        sizes = arguments.get("outputVariables", {})
        if sum(len(k.encode()) + len(v.encode()) for k, v in sizes.items()) > 122_880:
            raise error("OutputVariablesSizeExceededException", operation)
        if job not in self.jobs:
            self.refused.append((job, operation))
            raise error("JobNotFoundException", operation)
        if job in self.results:
            self.refused.append((job, operation))
            raise error("InvalidJobStateException", operation)
        self.results[job] = operation, arguments
        self.answered(job, arguments.get("continuationToken"))
        return {}

    def answered(self, job: str, token: str | None) -> None:
        """For who continues jobs."""


class Running(CodePipeline):
    """The same in virtual time: it runs an action to its end.

    Args:
        kernel: the time.
        call: invokes the function as Lambda does for who does not wait.
        parameters: of the action.
        artifacts: the names of its inputs.
    """

    def __init__(
        self, kernel: Kernel, call: Any, parameters: Any, artifacts: tuple[str, ...] = ()
    ) -> None:
        super().__init__()
        self._kernel, self._call = kernel, call
        self.parameters, self.artifacts = parameters, artifacts
        self.order: list[str] = []
        self.abandoned = False
        self._count = 0

    def begin(self) -> str:
        """The first job of the action, or of the stage tried again; its id."""
        return self._job(None)

    def _job(self, token: str | None) -> str:
        self._count += 1
        job = str(uuid.UUID(int=self._count))
        self.jobs.add(job)
        self.order.append(job)
        event = job_event(job, self.parameters, token=token, artifacts=self.artifacts)
        self._call("run_pipeline_action", event)
        return job

    def answered(self, job: str, token: str | None) -> None:
        if token is not None and not self.abandoned:
            self._kernel.after(CONTINUED_AFTER_SECONDS, lambda: self._job(token))

    @property
    def last(self) -> tuple[str, dict[str, Any]] | None:
        """The result of the job that was begun last."""
        return self.results.get(self.order[-1])

    @property
    def over(self) -> bool:
        """Whether the action has its end."""
        return self.last is not None and "continuationToken" not in self.last[1]


class Machines:
    """Step Functions as `Connection` meets it: names stay taken, and an input can be read again."""

    def __init__(self, town: "PipelineTown") -> None:
        self._town = town

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._town.account.stepfunctions, operation)

    def start_execution(self, stateMachineArn: str, input: str, name: str = "") -> Any:  # noqa: N803, A002
        arn = f"{stateMachineArn.replace(':stateMachine:', ':execution:')}:{name}"
        before = self._town.account.executions.get(arn)
        if before is not None and (before.status != "RUNNING" or before.given != json.loads(input)):
            raise error("ExecutionAlreadyExists", "StartExecution")
        self._town.started.append(arn)
        return self._town.account.stepfunctions.start_execution(
            stateMachineArn=stateMachineArn, input=input, name=name
        )

    def describe_execution(self, executionArn: str) -> Any:  # noqa: N803
        found = self._town.account.stepfunctions.describe_execution(executionArn=executionArn)
        given = self._town.account.executions[executionArn].given
        return found | {"input": json.dumps(given)}


class Tables:
    """DynamoDB: each table by its name."""

    def __init__(self, *tables: Table) -> None:
        self._tables = {table.name: table for table in tables}

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            name = arguments.get("TableName")
            if name is None:
                (first, *_) = arguments["TransactItems"]
                (write,) = first.values()
                name = write["TableName"]
            return getattr(self._tables[name], operation)(**arguments)

        return call


class ArtifactStore:
    """A boto3 `s3` client with a job's own credentials."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.errors: list[Exception] = []

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        if self.errors:
            raise self.errors.pop(0)
        if (Bucket, Key) not in {("artifacts", key) for key in self.objects}:
            raise error("NoSuchKey", "GetObject")
        raw = self.objects[Key]
        return {"Body": io.BytesIO(raw), "ContentLength": len(raw)}


class PipelineTown:
    """See the module.

    Args:
        faults: what goes wrong with which call.
        more: see `Account`.
    """

    def __init__(self, faults: Faults | None = None, **more: Any) -> None:
        self.account = Account(3, faults, deployment=QUICK, **more)
        self.kernel = self.account.kernel
        self.started: list[str] = []
        self.artifacts = ArtifactStore()
        self.flags, self.experiments = Table(FLAGS), Table(EXPERIMENTS)
        self.codepipeline: CodePipeline = CodePipeline()
        self._runtimes: dict[str, PipelineRuntime] = {}
        self._plain = self.account.runtime
        vars(self.account).update(runtime=self._runtime)

    @contextmanager
    def works(self) -> Iterator["PipelineTown"]:
        """Let the functions of this process work here, and end them afterwards."""
        for service in ("codepipeline", "dynamodb", "stepfunctions"):
            client(service)
        with in_simulation(self.account):
            yield self

    def action(self, parameters: Any = ASKED, artifacts: tuple[str, ...] = ()) -> Running:
        """Begin an action of the pipeline."""
        made = Running(self.kernel, self.account._invocations.hand_over, parameters, artifacts)
        self.codepipeline = made
        made.begin()
        return made

    def native(self, given: Any, name: str = "action-1") -> Execution:
        """What the native action starts: the machine of requests."""
        arn = f"{STATES}:execution:greenlane-request:{name}"
        made = Execution(
            self.kernel,
            arn,
            load("request"),
            given,
            calls=self.account._invoke,
            start=lambda *_: "",
        )
        self.account.executions[arn] = made
        made.begin()
        return made

    def until(self, true: Any, hours: float = 3) -> None:
        """Let time pass until something is so."""
        self.kernel.run(self.kernel.seconds + hours * 3600, true)
        assert true()

    def connection(self, caller: str) -> Connection:
        """What a person's own process has, or a function."""
        return TownConnection(self, caller, self._plain(caller))

    def _runtime(self, actor: str) -> Runtime:
        if actor not in SERVING:
            return self._plain(actor)
        if actor not in self._runtimes:
            found = runtime_of(self.account, actor)
            made = PipelineRuntime(settings=found.settings, actor=actor, clock=self.kernel)
            made.__dict__.update({k: v for k, v in vars(found).items() if k not in vars(made)})
            connection = TownConnection(self, actor, made)
            made.__dict__["connection"] = connection
            made.__dict__["requests"] = Book(connection.client("dynamodb"), TABLE)
            made.__dict__["codepipeline"] = connection.client("codepipeline")
            made.__dict__["artifacts"] = lambda *_: connection.client("s3")
            self._runtimes[actor] = made
        return self._runtimes[actor]


class _Current:
    """The pipeline that runs now."""

    def __init__(self, town: PipelineTown) -> None:
        self._town = town

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._town.codepipeline, operation)


_session = cache(boto3.Session)


class TownConnection(FunctionConnection):
    """A connection to the account."""

    def __init__(self, town: PipelineTown, caller: str, runtime: Runtime) -> None:
        with patch("boto3.Session", _session):  # which nothing here asks, and which takes long
            super().__init__(runtime.settings, runtime)
        self._town, self._caller = town, caller

    def client(self, name: str) -> Any:
        if name not in self._clients:
            account = self._town.account
            target = {
                "dynamodb": Tables(account.table, self._town.flags, self._town.experiments),
                "stepfunctions": Machines(self._town),
                "codepipeline": _Current(self._town),
                "s3": self._town.artifacts,
                "ecs": account.fleet,
                "elbv2": account.balancer,
            }[name]
            self._clients[name] = Edge(
                self._town.kernel,
                account.faults,
                self._caller,
                name,
                name,
                target,
                account.looked,
            )
        return self._clients[name]
