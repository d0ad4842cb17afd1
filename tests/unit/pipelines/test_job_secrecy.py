"""A job carries credentials: no exception, log line or message shows one."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from greenlane.pipelines import running
from greenlane.pipelines.continuing import Token
from tests.builders import SERVICE
from tests.fakes import error
from tests.pipeline_town import ASKED, CREDENTIALS, PipelineTown, job_event
from tests.unit.pipelines.job_handling import JOB, handled
from tests.unit.pipelines.job_handling import town as town
from tests.unit.pipelines.job_handling import written as written

SECRETS = [*CREDENTIALS.values(), "arn:aws:kms"]
BUILT = {key: value for key, value in ASKED.items() if key != "image"}

INJECTED = [
    RuntimeError(f"a bug that shows {CREDENTIALS['secretAccessKey']}"),
    KeyError("x"),
    RecursionError(),
    MemoryError(),
    ConnectTimeoutError(endpoint_url="https://test"),
    error("InternalServerError", "GetItem"),
    error("AccessDeniedException", "GetItem"),
]
STEPS = ["parse", "read_asked", "serve", "Artifacts", "_ended", "Token", "_answer"]


@pytest.mark.parametrize(
    ("step", "raised"),
    [
        (step, raised)
        for step in STEPS
        for raised in INJECTED
        # A token is made of text, and calls nobody.
        if step != "Token" or not isinstance(raised, ConnectTimeoutError | ClientError)
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
def test_an_exception_at_any_step_is_one_result_and_shows_no_credential(
    town: PipelineTown,
    written: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    raised: Exception,
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise raised

    if step == "Token":
        monkeypatch.setattr(Token, "text", broken)
    else:
        monkeypatch.setattr(running, step, broken)
    asked = ASKED | {"wait": "start"} if step == "_ended" else ASKED

    operation, arguments = handled(town, job_event(JOB, asked))

    denied = isinstance(raised, ClientError) and "Denied" in str(raised)
    passes = isinstance(raised, ConnectTimeoutError | ClientError) and not denied
    assert operation == ("PutJobSuccessResult" if passes else "PutJobFailureResult")
    assert passes == ("continuationToken" in arguments)
    said = json.dumps(arguments) + written.getvalue()
    assert [secret for secret in SECRETS if secret in said] == []
    assert "answered" in written.getvalue()


RECORDED: list[Any] = [
    ASKED,
    ASKED | {"wait": "start"},
    BUILT,
    {},
    None,
    "text",
    f"text with {CREDENTIALS['sessionToken']}",
    {"service": CREDENTIALS["secretAccessKey"]},
    ASKED | {"image": CREDENTIALS["accessKeyId"]},
    "x" * 100_000,
]


@pytest.mark.parametrize("parameters", RECORDED, ids=range(len(RECORDED)))
@pytest.mark.parametrize("code", [None, "ExpiredToken", "AccessDenied", "SlowDown"])
def test_no_credential_of_a_job_reaches_a_log_line_or_a_message(
    town: PipelineTown, written: io.StringIO, parameters: Any, code: str | None
) -> None:
    if code is not None:
        refused = error(code, "GetObject")
        said_by_s3: Any = refused.response["Error"]
        said_by_s3["AWSAccessKeyId"] = CREDENTIALS["accessKeyId"]
        town.artifacts.errors.append(refused)

    operation, arguments = handled(town, job_event(JOB, parameters, artifacts=("Built",)))

    assert written.getvalue()
    said = json.dumps([operation, arguments]) + written.getvalue()
    assert [secret for secret in SECRETS if secret in said] == []


def test_neither_the_event_nor_the_job_shows_what_is_in_it() -> None:
    from greenlane.pipelines.job import JobEvent, read_job

    event = JobEvent.model_validate(job_event(JOB, ASKED, token="token-of-theirs"))
    shown = repr(event) + repr(read_job(event)) + str(read_job(event).credentials)

    assert [one for one in (*SECRETS, SERVICE, "token-of-theirs") if one in shown] == []


def test_nothing_in_the_way_of_a_job_logs_an_event() -> None:
    """Powertools has a decorator for it, and a variable that switches it on for all."""
    root = Path(__file__).resolve().parents[3]
    files = [*(root / "greenlane" / "pipelines").glob("*.py"), *(root / "functions").glob("*.py")]
    for file in [*files, root / "greenlane" / "entrypoint.py", *(root / "infra").glob("*.py")]:
        text = file.read_text()
        assert "inject_lambda_context" not in text, file
        assert "POWERTOOLS_LOGGER_LOG_EVENT" not in text, file
        for call in re.findall(r"logger\.\w+\(([^\n]*)", text):
            assert not re.search(r"\bevent\b", call), f"{file}: {call}"
