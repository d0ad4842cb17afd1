"""How a command ends: the exit codes, and errors as one or two plain lines on stderr."""

import json
import sys
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from greenlane.cli.visible import visible

if TYPE_CHECKING:
    from greenlane.deployments.looking.status import OutcomeName
    from greenlane.errors import InvalidInput


class ExitCode(IntEnum):
    """How a command ends; `MEANINGS` says each in words."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    REFUSED = 3
    UNREACHABLE = 4
    HELD = 5
    INTERNAL = 70
    INTERRUPTED = 130


MEANINGS = {
    ExitCode.OK: "done; with --watch: it ended as you asked (rollback: it went back)",
    ExitCode.FAILED: "with --watch: it ended otherwise than you asked; diff: something would "
    "change; judge: it would not have passed; experiments aa: something is found too often; "
    "doctor, migrations check, flags audit --verify, flags stale --fail-on: something was found",
    ExitCode.BAD_INPUT: "a file, an option or a name is wrong; nothing was changed",
    ExitCode.REFUSED: "refused, such as when another deployment runs; nothing was changed",
    ExitCode.UNREACHABLE: "AWS (or the local cloud) did not answer, or said no",
    ExitCode.HELD: "the traffic is held where it is: a person must look",
    ExitCode.INTERNAL: "a defect of Greenlane; run again with --debug and report it",
    ExitCode.INTERRUPTED: "you interrupted the command; a deployment goes on by itself",
}


def exit_code_of_outcome(name: "OutcomeName", wanted: "OutcomeName" = "succeeded") -> ExitCode:
    """How a command that waited for an end ends itself, depending on the end it was to bring."""
    if name == wanted:
        return ExitCode.OK
    return {"refused": ExitCode.REFUSED, "held": ExitCode.HELD}.get(name, ExitCode.FAILED)


def exit_code_of_error(error: BaseException) -> ExitCode:
    """The exit code of an error that ended a command."""
    from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

    from greenlane import errors

    match error:
        case errors.InvalidInput() | ProfileNotFound():
            return ExitCode.BAD_INPUT
        case errors.Refused() | errors.SignalRefused():
            return ExitCode.REFUSED
        case errors.Held():
            return ExitCode.HELD
        case errors.GreenlaneError():
            return ExitCode.FAILED
        case BotoCoreError() | ClientError() | OSError():
            return ExitCode.UNREACHABLE
        case _ if _is_of_the_local_cloud(error):
            return ExitCode.UNREACHABLE
        case _:
            return ExitCode.INTERNAL


def _is_of_the_local_cloud(error: BaseException) -> bool:
    """Asked by name: importing the local cloud's errors takes seconds."""
    return any(kind.__name__ == "LocalCloudError" for kind in type(error).__mro__)


def report(error: Exception, *, as_json: bool) -> ExitCode:
    """Say on stderr what went wrong, in plain lines or as one JSON object; the exit code."""
    code = exit_code_of_error(error)
    message = _message(error, code)
    if as_json:
        body: dict[str, Any] = {"type": type(error).__name__, "message": message}
        body |= _fields(error)
        print(json.dumps({"error": body, "exit_code": int(code)}, default=str), file=sys.stderr)
    else:
        print(visible(f"greenlane: {message}"), file=sys.stderr)
    return code


def _message(error: Exception, code: ExitCode) -> str:
    from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError

    match error:
        case NoCredentialsError():
            return (
                "no AWS credentials found; use --profile NAME or set AWS_PROFILE "
                "(for the local cloud: --local)"
            )
        case NoRegionError():
            return "no Region given; use --region NAME or set AWS_REGION"
        case ClientError():
            operation, found = error.operation_name, error.response["Error"]
            if found["Code"] == "ResourceNotFoundException":
                return (
                    f"{operation}: {found.get('Message', 'not found')}; is Greenlane deployed in "
                    "this account and Region? Look at --profile and --region"
                )
            if found["Code"] == "StateMachineDoesNotExist":
                return (
                    f"{operation}: there is no state machine of Greenlane here; deploy its stack "
                    "in this account and Region, or look at --profile and --region"
                )
            return f"{operation}: {found.get('Message') or found['Code']} ({found['Code']})"
        case _ if code is ExitCode.INTERNAL:
            return f"a defect: {type(error).__name__}: {error}; --debug shows where"
        case _:
            return str(error) or type(error).__name__


def _fields(error: Exception) -> dict[str, Any]:
    """The field, value and way out of bad input, for programs."""
    from greenlane.errors import InvalidInput
    from greenlane.problems import InvalidDocument

    if isinstance(error, InvalidDocument):
        found = [_problem(problem) for problem in error.problems]
        return {"file": error.name, "problems": found}
    return _problem(error) if isinstance(error, InvalidInput) else {}


def _problem(problem: "InvalidInput") -> dict[str, Any]:
    return {
        "field": problem.field,
        "value": problem.value,
        "way_out": problem.way_out,
        "line": problem.line,
    }
