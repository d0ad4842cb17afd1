"""The one place where what is asked becomes a request, whichever door it came through.

The command line, the Python API, a CodePipeline job, the native Step Functions action and an event
differ in their envelope only. What is asked of a deployment is always the same mapping, read by
`asking.deployment_request`; the doors without a person read the whole of it by `read_asked`.
Nothing is called here but the files of the job.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, get_args

from pydantic import BaseModel

from greenlane.deployments.model import DeploymentRequest
from greenlane.documents import load
from greenlane.errors import InvalidInput
from greenlane.pipelines.asking import NAME, deployment_request, validated
from greenlane.pipelines.images import image_of
from greenlane.pipelines.model import (
    IMAGE_DEFINITIONS,
    Asked,
    Envelope,
    ExperimentAsked,
    FlagAsked,
    MigrationAsked,
    RolloutAsked,
    Subject,
)
from greenlane.problems import ABSENT, as_error, excerpt
from greenlane.problems import suggest as suggested
from greenlane.regions.declaring.model import Type
from greenlane.regions.planning.model import POLICIES, Policy

MOST_CHARACTERS = 1000
"""Of one value in an action's configuration, as CodePipeline's quotas have it."""

LARGEST = 64 * 1024
"""Characters of a request, wherever it comes from."""

EXAMPLE = (
    '{"service": "claude-manager", "version": "1.4.2", '
    '"pipeline_execution_id": "#{codepipeline.PipelineExecutionId}"}'
)
_WHOLE: dict[str, type[BaseModel]] = {
    "flag": FlagAsked,
    "experiment": ExperimentAsked,
    "migration": MigrationAsked,
}
APPLIED = "applied"
"""As `regions`: those that were applied for the service."""

_OF_ROLLOUT = ("regions", "policy", "despite_hold")
_OURS = {
    "deployment_id": "it is made of the pipeline's execution id; leave it out",
    "undo": "going back is `greenlane undo`; a pipeline deploys a version",
} | {
    name: "the coordinator of several Regions writes it; leave it out"
    for name in DeploymentRequest.model_fields
    if name.startswith("rollout_")
}
"""Keys of a deployment's request that nobody writes in a pipeline, and what to do instead."""

DEPLOYMENT = tuple(
    name for name in DeploymentRequest.model_fields if name not in (*_OURS, "requested_by")
)
"""Keys that anybody may write who asks for a deployment, whichever the door."""

_KNOWN = (*Envelope.model_fields, *DEPLOYMENT, *_WHOLE, *_OF_ROLLOUT)


class Files(Protocol):
    """The files that come with a request."""

    def read(self, name: str, artifact: str | None) -> str:
        """The text of a file.

        Raises:
            InvalidInput: there is none of that name, or no artifact.
        """
        ...

    @property
    def any(self) -> bool:
        """Whether there are files at all."""
        ...


class NoFiles:
    """What comes through a door that carries no files."""

    any = False

    def read(self, name: str, artifact: str | None) -> str:
        """Raises `InvalidInput`, always."""
        raise InvalidInput(
            "artifact",
            artifact or name,
            "no file comes with this request: files come with the Lambda action's input artifact; "
            "write here what would be in it",
        )


def parse(text: str | None, field: str = "UserParameters") -> dict[str, Any]:
    """A request from JSON text.

    Raises:
        InvalidInput: it is missing, empty, too long, or no JSON object.
    """
    if text is None or not text.strip():
        raise InvalidInput(field, ABSENT, f"write a JSON object, such as {EXAMPLE}")
    if len(text) > LARGEST:
        raise InvalidInput(field, f"{len(text)} characters", _move(LARGEST))
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        cut = len(text) >= MOST_CHARACTERS
        way_out = f"it is no JSON; write an object, such as {EXAMPLE}"
        if cut:
            way_out = f"it is no JSON, and may have been cut off; {_move(MOST_CHARACTERS)}"
        raise InvalidInput(field, excerpt(text), way_out) from None
    if not isinstance(found, dict):
        raise InvalidInput(field, excerpt(found), f"write a JSON object, such as {EXAMPLE}")
    return found


def _move(most: int) -> str:
    return (
        f"at most {most} characters fit: move keys to a file of an input artifact, and name "
        'that as "request_file"'
    )


def read_asked(given: Mapping[str, Any], files: Files, *, by: str) -> Asked:
    """Read a whole request.

    Args:
        given: what was asked.
        files: what comes with it.
        by: who is recorded as having asked when the request names nobody.

    Raises:
        InvalidInput: with everything that is wrong with its keys; nothing was changed.
    """
    given = _with_file(given, files)
    _refuse_unknown(given)
    _refuse_unreplaced(given, ())
    envelope = validated(Envelope, {k: v for k, v in given.items() if k in Envelope.model_fields})
    named = [name for name in (*_WHOLE, "regions") if name in given]
    if len(named) > 1:
        raise InvalidInput(
            named[1], excerpt(given[named[1]]), f"it has {named[0]} already; ask one thing at once"
        )
    subject: Subject
    if named and named[0] in _WHOLE:
        name = named[0]
        _refuse_besides(given, name, (*DEPLOYMENT, *_OF_ROLLOUT, "image_definitions"))
        subject = validated(_WHOLE[name], given[name], name)  # type: ignore[assignment]
    elif named:
        subject = _rollout(given, envelope, files, by)
    else:
        _refuse_besides(given, "a deployment in this Region", ("policy", "despite_hold"))
        subject = _deployment(given, envelope, files, by)
    return Asked(
        envelope=envelope,
        subject=subject,
        digest=_digest(subject),
        by=envelope.requested_by or by,
    )


def _with_file(given: Mapping[str, Any], files: Files) -> Mapping[str, Any]:
    name = given.get("request_file")
    if name is None:
        return given
    if not isinstance(name, str):
        raise InvalidInput("request_file", excerpt(name), "write a file's name")
    artifact = given.get("artifact")
    text = files.read(name, artifact if isinstance(artifact, str) else None)
    found = load(text, name).data
    if "request_file" in found:
        raise InvalidInput(
            "request_file", excerpt(found["request_file"]), f"{name} cannot name another"
        )
    return {**found, **given}


def read_deployment(
    given: Mapping[str, Any], *, by: str, instead: Mapping[str, str]
) -> tuple[DeploymentRequest, str]:
    """A request of a deployment in this Region and nothing around it, with its digest.

    Args:
        given: what was asked.
        by: who asks.
        instead: further keys that nobody writes at this door, and what to do instead.

    Raises:
        InvalidInput: with everything that is wrong with its keys; nothing was changed.
    """
    _refuse_unknown(given, DEPLOYMENT, {**_OURS, **instead})
    request = deployment_request(**given, requested_by=by)
    return request, _digest(request)


def _refuse_unknown(
    given: Mapping[str, Any],
    known: Sequence[str] = _KNOWN,
    ours: Mapping[str, str] = _OURS,
) -> None:
    problems = []
    for name, value in given.items():
        if name in ours:
            problems.append(InvalidInput(name, excerpt(value), ours[name]))
        elif name not in known:
            close = suggested(str(name), known)
            way_out = f"there is no such key{close or '; the keys are ' + ', '.join(known)}"
            problems.append(InvalidInput(str(name), excerpt(value), way_out))
    if problems:
        raise as_error(problems, NAME)


def _refuse_unreplaced(value: object, at: tuple[str | int, ...]) -> None:
    """A variable that the pipeline did not know stays as it was written."""
    if isinstance(value, str) and "#{" in value:
        raise InvalidInput(
            ".".join(map(str, at)),
            excerpt(value),
            "the pipeline did not replace this variable; write #{namespace.Name} with the "
            "namespace of an earlier action, or #{codepipeline.PipelineExecutionId}",
        )
    if isinstance(value, Mapping):
        for key, part in value.items():
            _refuse_unreplaced(part, (*at, str(key)))
    if isinstance(value, list):
        for index, part in enumerate(value):
            _refuse_unreplaced(part, (*at, index))


def _refuse_besides(given: Mapping[str, Any], what: str, others: tuple[str, ...]) -> None:
    for name in others:
        if given.get(name) is not None:
            raise InvalidInput(name, excerpt(given[name]), f"it does not go with {what}")


def _deployment(
    given: Mapping[str, Any], envelope: Envelope, files: Files, by: str
) -> DeploymentRequest:
    asked = {name: given[name] for name in DEPLOYMENT if name in given}
    if not any(asked.get(name) for name in ("image", "version", "task_definition")) and (
        envelope.image_definitions is not None or files.any
    ):
        name = envelope.image_definitions or IMAGE_DEFINITIONS
        text = files.read(name, envelope.artifact)
        asked["image"], asked["container"] = image_of(text, name, asked.get("container"))
    elif envelope.image_definitions is not None:
        raise InvalidInput(
            "image_definitions",
            envelope.image_definitions,
            "the request names an image, a version or a task definition already; give one of them",
        )
    return deployment_request(**asked, requested_by=envelope.requested_by or by)


def _rollout(given: Mapping[str, Any], envelope: Envelope, files: Files, by: str) -> RolloutAsked:
    regions, kind, policy = given["regions"], given.get("strategy"), given.get("policy")
    if kind is not None and kind not in get_args(Type):
        known = [str(one) for one in get_args(Type)]
        way_out = f"through several Regions use {', '.join(known)}{suggested(str(kind), known)}"
        raise InvalidInput("strategy", excerpt(kind), way_out)
    if policy is not None and policy not in POLICIES:
        raise InvalidInput("policy", excerpt(policy), f"use {', '.join(POLICIES)}")
    despite_hold = given.get("despite_hold")
    if despite_hold is not None and (not isinstance(despite_hold, str) or len(despite_hold) < 3):
        raise InvalidInput("despite_hold", excerpt(despite_hold), "say why, for the record")
    source: str | None
    if regions == APPLIED:
        source, name = None, APPLIED
    elif isinstance(regions, Mapping):
        document = regions if "regions" in regions else {"regions": regions}
        source, name = json.dumps(document, default=str), "regions"
    elif isinstance(regions, str):
        source, name = files.read(regions, envelope.artifact), regions
    else:
        raise InvalidInput(
            "regions",
            excerpt(regions),
            f"write {APPLIED}, the name of a file in the artifact, or a mapping",
        )
    each = {key: value for key, value in given.items() if key != "strategy"}
    chosen: Type | None = kind
    careful: Policy = policy or "balanced"
    return RolloutAsked(
        request=_deployment(each, envelope, files, by),
        source=source,
        name=name,
        kind=chosen,
        policy=careful,
        despite_hold=despite_hold,
    )


def _digest(subject: Subject) -> str:
    """Of what is asked, without who asks: the same by each door."""
    if isinstance(subject, RolloutAsked):
        said: dict[str, Any] = {
            "request": subject.request.model_dump(mode="json", exclude={"requested_by"}),
            "regions": (
                APPLIED if subject.source is None else load(subject.source, subject.name).data
            ),
            "kind": subject.kind,
            "policy": subject.policy,
            "despite_hold": subject.despite_hold,
        }
    else:
        said = subject.model_dump(mode="json", exclude={"requested_by"}, exclude_none=True)
    text = json.dumps([type(subject).__name__, said], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
