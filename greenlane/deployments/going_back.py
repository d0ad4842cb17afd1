"""What people mean by undo: the way back that is quickest, or a version that was good before."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from botocore.exceptions import ClientError

from greenlane.deployments.connection import ROLLBACK_MACHINE, Connection, Started
from greenlane.deployments.declaring.config import StepConfig
from greenlane.deployments.model import DeploymentRequest, DeploymentSummary, Plan, Record
from greenlane.deployments.phases import LEASED, REVERSIBLE, WITHOUT_TRAFFIC, Phase
from greenlane.deployments.reaching import fleet
from greenlane.errors import DeploymentInFlight, Refused, UnknownDeployment

_WARM = frozenset({Phase.SHIFTING, Phase.PROMOTED, Phase.WATCHING})
"""The version before still runs in the other slot: going back to it is one weight call."""

_SUCCEEDED = frozenset({Phase.WATCHING, Phase.RETIRED})


class Undone(Started):
    """An undo that has begun: a rollback of the latest deployment, or a deployment of its own.

    `to` is the deployment that first brought the version it goes back to, None for the version
    from before `deployment_id`, whoever brought that.
    """

    way: Literal["rollback", "deployment"]
    to: str | None = None
    task_definition: str


@dataclass(frozen=True)
class Once:
    """What makes a wish the same wish, however often it is sent: it begins one thing.

    Args:
        name: of a deployment that is begun for it; a rollback's name is made of it.
        at: when it was sent first, aware.
    """

    name: str
    at: datetime


def rollback_name(deployment_id: str, once: Once) -> str:
    """What the rollback's execution is called that a wish begins of a deployment."""
    own = hashlib.sha256(once.name.encode()).hexdigest()[:8]
    return f"{deployment_id[:60]}-by-hand-{own}"


def roll_back(
    connection: Connection, record: Record, *, reason: str, by: str, once: Once | None = None
) -> Started:
    """Start the rollback of the service's latest deployment; with `once`, one for that wish.

    Raises:
        Refused: there is nothing to take back.
    """
    if record.phase == Phase.ROLLING_BACK:
        return Started(
            service=record.service,
            deployment_id=record.deployment_id,
            execution_arn=record.rollback_execution or "",
            already=True,
        )
    if record.phase not in REVERSIBLE:
        raise Refused(
            f"{record.deployment_id} is {record.phase} already; there is nothing to take back"
        )
    once = once or Once(secrets.token_hex(8), connection.clock.now())
    body = {
        "service": record.service,
        "deployment_id": record.deployment_id,
        "trigger": {
            "kind": "person",
            "name": by,
            "reason": reason,
            "at": once.at.isoformat(),
        },
    }
    name = rollback_name(record.deployment_id, once)
    arn, already = connection.start(ROLLBACK_MACHINE, name, body)
    return Started(
        service=record.service,
        deployment_id=record.deployment_id,
        execution_arn=arn,
        already=already,
    )


def not_the_latest(
    record: Record, deployment_id: str, known: Sequence[DeploymentSummary]
) -> Refused | UnknownDeployment:
    """Why another deployment than the service's latest is not taken back."""
    if deployment_id not in [summary.deployment_id for summary in known]:
        return UnknownDeployment(deployment_id)
    return Refused(
        f"{deployment_id} is not the latest deployment of {record.service}; that is "
        f"{record.deployment_id}. To go back further: `greenlane undo {record.service}`."
    )


def version_before(
    record: Record,
    plan: Plan,
    deployments: Sequence[DeploymentSummary],
    *,
    to: str | None,
    steps_back: int,
) -> DeploymentSummary | None:
    """The deployment whose version an undo goes back to; None for the slot that is still warm.

    Args:
        record: the service's latest deployment.
        plan: of that deployment.
        deployments: the service's, newest first.
        to: the deployment whose version is wanted, by id.
        steps_back: how many good versions to go back, from 1; not with `to`.

    Raises:
        UnknownDeployment: the service has no deployment `to`.
        DeploymentInFlight: a deployment runs, and the way back is not its own.
        Refused: there is no such version, it was not good, or it is what runs.
    """
    wanted = _named(deployments, to) if to is not None else None
    before = plan.live_task_definition
    one_back = wanted.task_definition == before if wanted is not None else steps_back == 1
    if record.phase in _WARM and one_back:
        return None
    _refuse_unless_free(record)
    runs = record.task_definition if record.phase in _SUCCEEDED else before
    if wanted is not None:
        return _good(wanted, runs)
    earlier = _good_versions(deployments, runs)
    if steps_back > len(earlier):
        raise Refused(
            f"{record.service} has {len(earlier) or 'no'} earlier good "
            f"version{'s' if len(earlier) > 1 else ''} on record, so none {steps_back} back; "
            f"see `greenlane history {record.service}`"
        )
    return earlier[steps_back - 1]


def _named(deployments: Sequence[DeploymentSummary], deployment_id: str) -> DeploymentSummary:
    for summary in deployments:
        if summary.deployment_id == deployment_id:
            return summary
    raise UnknownDeployment(deployment_id)


def _refuse_unless_free(record: Record) -> None:
    service, named = record.service, f"{record.deployment_id} is {record.phase.value}"
    if record.phase is Phase.ROLLING_BACK:
        raise DeploymentInFlight(f"{named} already; wait for its end, then undo further")
    if record.phase is Phase.HELD:
        raise Refused(
            f"{named}, so what serves is not known to be good; look at both slots, then "
            f"`greenlane rollback {service}` or deploy a version"
        )
    if record.phase in LEASED:
        command = "abort" if record.phase in WITHOUT_TRAFFIC else "rollback"
        raise DeploymentInFlight(
            f"{named}; end it first with `greenlane {command} {service}`, then undo further"
        )


def _good(wanted: DeploymentSummary, runs: str | None) -> DeploymentSummary:
    """The wanted deployment, if its version is one to go back to."""
    if wanted.phase not in _SUCCEEDED or wanted.task_definition is None:
        raise Refused(
            f"{wanted.deployment_id} ended {wanted.phase.value}, so its version was never proven "
            f"good; to run it all the same, deploy it"
        )
    if wanted.task_definition == runs:
        raise Refused(f"the version of {wanted.deployment_id} is what runs already")
    return wanted


def _good_versions(
    deployments: Sequence[DeploymentSummary], runs: str | None
) -> list[DeploymentSummary]:
    """The latest success of each version but the one that runs, newest first."""
    found: dict[str, DeploymentSummary] = {}
    for summary in deployments:
        revision = summary.task_definition
        if summary.phase in _SUCCEEDED and revision is not None and revision != runs:
            found.setdefault(revision, summary)
    return list(found.values())


def undo_request(ecs: Any, target: DeploymentSummary, *, reason: str, by: str) -> DeploymentRequest:
    """The deployment that brings a version back: all at once, without waiting for evidence.

    Validation, hooks, capacity and alarms count as ever. That the version which runs now is ill
    is the usual reason to undo, so its red alarms are none to refuse.

    Raises:
        Refused: ECS cannot start that revision any more.
    """
    revision = target.task_definition or ""
    way_out = f"deploy its image: `greenlane deploy {target.service} --image {target.image}`"
    try:
        status = fleet.read_task_definition(ecs, revision).get("status", "ACTIVE")
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ClientException", "InvalidParameterException"):
            raise
        status = "gone"
    if status != "ACTIVE":
        short = revision.rsplit("/", 1)[-1]
        raise Refused(
            f"the revision {short} of {target.deployment_id} is {status} (see keep_revisions); "
            f"{way_out}"
        )
    none = timedelta(0)
    return DeploymentRequest(
        service=target.service,
        task_definition=revision,
        strategy="all_at_once",
        steps=(StepConfig(weight=100, bake=none),),
        bake=none,
        undo=True,
        despite_alarms=f"undo to {target.deployment_id}: {reason}",
        requested_by=by,
    )
