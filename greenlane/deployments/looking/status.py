"""Where a service stands right now, for people to look at: read only, decides nothing."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

from botocore.exceptions import ClientError

from greenlane.deployments.model import (
    HistoryEvent,
    Judgement,
    Plan,
    Record,
    Slot,
    StoredModel,
    Verdict,
)
from greenlane.deployments.phases import Phase
from greenlane.deployments.reaching.fleet import (
    container_of,
    read_service,
    read_task_definition,
    tag_of,
)
from greenlane.deployments.reaching.traffic import read_rule, slot_health
from greenlane.deployments.shipped_with import EXPANDED, run_id
from greenlane.deployments.workload import Workload
from greenlane.errors import Refused

OutcomeName = Literal["succeeded", "rolled_back", "held", "refused", "failed"]

OUTCOMES: dict[Phase, OutcomeName] = {
    Phase.WATCHING: "succeeded",
    Phase.RETIRED: "succeeded",
    Phase.ROLLED_BACK: "rolled_back",
    Phase.HELD: "held",
    Phase.REFUSED: "refused",
}
"""What the phases that end a deployment mean to the one who asked for it."""


class Outcome(StoredModel):
    """How a deployment ended. `failed` means that its execution died before it had a record."""

    deployment_id: str
    name: OutcomeName
    reason: str = ""


class SlotStatus(StoredModel):
    """One slot as the balancer and ECS have it.

    `weight` is in percent, None when the rule was changed by hand to something else. `healthy`
    and `total` count targets, draining ones left out. `version` is what people call it, or the
    beginning of the image's digest.
    """

    slot: Slot
    role: Literal["live", "candidate", "standby"]
    weight: int | None
    healthy: int
    total: int
    desired: int
    task_definition: str
    image: str
    version: str


class Status(StoredModel):
    """Everything `greenlane get` shows about one service.

    `step` counts from 1 to `steps`, the watch after promotion left out; None outside of a
    deployment. `bake_left_seconds` is never negative. `outcome` is that of the latest deployment,
    None while it is under way. `expanding` is the run of migrations that the first task waits for.
    """

    service: str
    config_version: int
    at: datetime
    record: Record | None = None
    plan: Plan | None = None
    slots: tuple[SlotStatus, ...] = ()
    step: int | None = None
    steps: int | None = None
    bake_left_seconds: int | None = None
    judgement: Judgement | None = None
    signals: tuple[str, ...] = ()
    outcome: Outcome | None = None
    expanding: str | None = None


def outcome_of(record: Record) -> Outcome | None:
    """How the record's deployment ended; None while it is under way."""
    name = OUTCOMES.get(record.phase)
    if name is None:
        return None
    reason = record.reason or (record.trigger.reason if record.trigger else "")
    return Outcome(deployment_id=record.deployment_id, name=name, reason=reason)


def judgement_of(event: HistoryEvent) -> Judgement | None:
    """An event of kind `judged`, read as a verdict; None for any other."""
    if event.kind != "judged":
        return None
    verdict = Verdict.model_validate(event.detail)
    return Judgement(at=event.at, step=event.detail.get("step"), verdict=verdict)


def last_judgement(history: Sequence[HistoryEvent]) -> Judgement | None:
    """The latest verdict of a deployment."""
    return next((found for event in reversed(history) if (found := judgement_of(event))), None)


def expanding(record: Record, plan: Plan, history: Sequence[HistoryEvent]) -> str | None:
    """The run that expands the database before the first task starts; None when none does."""
    asked = plan.request.migrations
    if record.phase is not Phase.PLANNING or asked is None or "expand" not in asked.phases:
        return None
    # Not by the line that it began: whoever began it may have died before writing that.
    done = any(event.kind == EXPANDED for event in history)
    return None if done else run_id(plan.deployment_id, "expand")


def bake_left(record: Record, now: datetime) -> int | None:
    """Seconds until the step in bake may end; None when nothing bakes."""
    if record.phase not in (Phase.SHIFTING, Phase.PROMOTED) or record.bake_until is None:
        return None
    return max(0, round((record.bake_until - now).total_seconds()))


def progress(record: Record, plan: Plan) -> tuple[int | None, int]:
    """The step under way, counted from 1, and how many there are before the watch."""
    steps = sum(1 for step in plan.steps if step.kind != "watch")
    if record.phase not in (Phase.SHIFTING, Phase.PROMOTED):
        return None, steps
    return min(record.step + 1, steps), steps


def waits_for_approval(record: Record, plan: Plan | None, now: datetime) -> bool:
    """Whether the evidence of the step under way is in, and only a person is waited for."""
    if plan is None or record.phase is not Phase.SHIFTING:
        return False
    if record.paused or record.hold_until is not None or record.bake_token is None:
        return False
    over = record.bake_until is not None and now >= record.bake_until
    return over and plan.steps[record.step].approval


class Fleet:
    """Reads both slots; what cannot change (a task definition's image) is read once.

    Args:
        elbv2: a boto3 `elbv2` client.
        ecs: a boto3 `ecs` client.
        version_asked_for: what people called the version that a deployment, by its id, brought;
            None when that is not known. The image itself says only a digest.
    """

    def __init__(
        self, elbv2: Any, ecs: Any, version_asked_for: Callable[[str], str | None]
    ) -> None:
        """See the class."""
        self._elbv2 = elbv2
        self._ecs = ecs
        self._version_asked_for = version_asked_for
        self._images: dict[tuple[str, str | None], tuple[str, str]] = {}

    def slots(
        self, workload: Workload, container: str | None, record: Record | None
    ) -> tuple[SlotStatus, ...]:
        """Both slots, the live one first. Six calls at most, four once the images are known.

        Raises:
            Refused: the rule or an ECS service of the workload does not exist.
        """
        percent = self._percent(workload)
        found = [
            self._slot(slot, workload, container, record, percent)
            for slot in sorted(workload.slots)
        ]
        return tuple(sorted(found, key=lambda status: status.role != "live"))

    def _percent(self, workload: Workload) -> dict[Slot, int] | None:
        rule = workload.listener_rule_arn
        try:
            return read_rule(self._elbv2, rule).percent(workload)
        except ClientError as error:
            if error.response["Error"]["Code"] != "RuleNotFound":
                raise
            raise Refused(
                f"the listener rule {rule} of {workload.service} does not exist; correct it in "
                "the service's file and `greenlane apply` that"
            ) from error

    def _slot(
        self,
        slot: Slot,
        workload: Workload,
        container: str | None,
        record: Record | None,
        percent: dict[Slot, int] | None,
    ) -> SlotStatus:
        resources = workload.slots[slot]
        health = slot_health(self._elbv2, resources.target_group_arn)
        service = read_service(self._ecs, workload.cluster, resources.service)
        image, version = self._image(service.task_definition, container or workload.container)
        return SlotStatus(
            slot=slot,
            role=_role(slot, record, percent),
            weight=percent[slot] if percent else None,
            healthy=len(health.healthy),
            total=health.total,
            desired=service.desired,
            task_definition=service.task_definition.rsplit("/", 1)[-1],
            image=image,
            version=version,
        )

    def _image(self, task_definition: str, container: str | None) -> tuple[str, str]:
        key = (task_definition, container)
        if key not in self._images:
            definition = read_task_definition(self._ecs, task_definition)
            image = str(container_of(definition, container)["image"])
            brought_by = tag_of(definition)
            version = self._version_asked_for(brought_by) if brought_by else None
            self._images[key] = image, version or version_of(image)
        return self._images[key]


def _role(
    slot: Slot, record: Record | None, percent: dict[Slot, int] | None
) -> Literal["live", "candidate", "standby"]:
    """What a slot is: by the record during a deployment, by its weight otherwise."""
    if record is not None and record.phase not in OUTCOMES:
        return "live" if slot == record.live else "candidate"
    if percent is not None:
        return "live" if percent[slot] >= 50 else "standby"
    return "live" if record is not None and slot == record.live else "standby"


def version_of(image: str) -> str:
    """An image's tag, or `sha256:` with the first 12 digits of its digest."""
    name, _, digest = image.partition("@sha256:")
    tag = name.rsplit("/", 1)[-1].partition(":")[2]
    return tag or (f"sha256:{digest[:12]}" if digest else image)
