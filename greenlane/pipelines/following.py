"""The machine behind the native Step Functions action, and behind events: it begins and follows."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.errors import DeploymentFailed, InvalidInput, NotFinished, Refused
from greenlane.pipelines.model import Asked
from greenlane.pipelines.request import NoFiles, read_asked
from greenlane.pipelines.running import failure_of
from greenlane.pipelines.runtime import PipelineRuntime
from greenlane.pipelines.serving import serve


class Following(BaseModel):
    """What the machine hands over.

    Args:
        request: the execution's input: a request, or an event as its rule wraps it.
        job: the execution's ARN.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    request: Any
    job: str


class Followed(StoredModel):
    """The machine's output, which a pipeline's later actions can read.

    Args:
        id: of the deployment, rollout or run.
        outcome: in a word.
        summary: for people.
        outputs: what later actions may want to know.
    """

    id: str
    outcome: str
    summary: str = ""
    outputs: dict[str, str] = {}


def _read(given: Mapping[str, Any], by: str) -> Asked:
    """Whatever is wrong is an `InvalidInput`: the machine knows errors by that very name."""
    try:
        return read_asked(given, NoFiles(), by=by)
    except InvalidInput as error:
        plain = InvalidInput(error.field, error.value, error.way_out)
        plain.args = error.args
        raise plain from None


def follow_request(event: Following, runtime: PipelineRuntime) -> Followed:
    """Begin what is asked unless it is begun, and say how it ended.

    Raises:
        InvalidInput, Refused: it cannot be; nothing was changed.
        NotFinished: it is under way; ask again.
        DeploymentFailed: it ended badly.
    """
    given, job, by = event.request, event.job, "step-functions"
    if isinstance(given, Mapping) and set(given) == {"request", "event"}:
        # EventBridge delivers an event twice at times, each time to another execution.
        given, job, by = given["request"], str(given["event"]), "eventbridge"
    if not isinstance(given, Mapping):
        raise InvalidInput("input", given, "write a JSON object with the request's keys")
    asked = _read(given, by)
    entry, seen = serve(runtime.greenlane, runtime.requests, asked, job=job, continued=False)
    end = seen.end
    if end is None:
        raise NotFinished(f"{entry.subject_id}: {seen.summary} ({seen.percent} %)")
    if end.name == "refused":
        raise Refused(failure_of(entry, end))
    if end.name != "succeeded":
        raise DeploymentFailed(failure_of(entry, end))
    return Followed(
        id=entry.subject_id,
        outcome=end.outputs.get("outcome", end.name),
        summary=end.reason,
        outputs=end.outputs,
    )
