"""The steps of the state machine of rollouts: take, coordinate, wait, hand over."""

import math
from datetime import datetime, timedelta
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict

from greenlane.deployments.stepping.baking import answer
from greenlane.deployments.storing.shapes import StoredModel
from greenlane.errors import FenceLost, Refused, UnknownDeployment
from greenlane.regions.coordinating.deciding import GIVE_UP, LOOK
from greenlane.regions.coordinating.model import Rollout
from greenlane.regions.coordinating.reporting import copy_to_standby, note, report
from greenlane.regions.coordinating.runtime import RegionsRuntime
from greenlane.regions.coordinating.standing_in import taken_again
from greenlane.regions.coordinating.store import Kept
from greenlane.regions.coordinating.turning import Standing, take_turn

MOST_ROUNDS = 110
"""Of one execution: 14 events each, and 2,000 are the most that one may have."""


COLLIDED_SECONDS = 5
"""Until the next turn when two calls of one met."""


class RolloutRun(StoredModel):
    """The state document: ids and little else; everything that decides is in the record.

    Args:
        rollout_id: of the rollout.
        service: whose.
        execution: the ARN of the one at work.
        epoch: of it.
        heard: how many events had come before the last look.
        rounds: of this execution.
        executions: of this rollout.
        next: what the machine does.
        wait_seconds: at most, until the next look.
    """

    rollout_id: str
    service: str
    execution: str
    epoch: int
    heard: int = 0
    rounds: int = 0
    executions: int = 1
    next: Literal["coordinate", "wait", "hand_over", "done", "went_back"] = "coordinate"
    wait_seconds: int = 1


class TakeRollout(BaseModel):
    """What starts an execution, with its own ARN."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rollout_id: str
    service: str
    execution: str


class WaitEvent(BaseModel):
    """A task token and the run that waits."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    token: str
    run: RolloutRun


def take_rollout(event: TakeRollout, runtime: RegionsRuntime) -> RolloutRun:
    """Take a rollout for an execution, with an epoch above all that the Regions know.

    One whose execution died is held: a person looks before it advances. Repeating it finds the
    rollout taken.

    Raises:
        UnknownDeployment: the service's rollout is another one.
        FenceLost: another execution is at work, or took it at this moment.
        Refused: the standby has no copy yet, and nothing may begin without.
        ClientError: the table did not answer.
    """
    kept = runtime.rollouts.kept(event.service)
    if kept is None or kept.record.rollout_id != event.rollout_id:
        raise UnknownDeployment(event.rollout_id)
    try:
        return _take(kept, event, runtime)
    except Refused as error:
        note(runtime, event.rollout_id, "does not begin", because=str(error))
        raise


def _take(kept: Kept, event: TakeRollout, runtime: RegionsRuntime) -> RolloutRun:
    record = kept.record
    if record.owner != event.execution:
        if runtime.lives(record.owner):
            raise FenceLost(f"{record.owner} is at work on {event.rollout_id}")
        record = _taken(kept, event, runtime)
    begins = not record.touched and not _ends(kept)
    if not copy_to_standby(runtime, record) and begins:
        raise Refused(f"the standby {record.standby} has no copy, so nothing begins; try again")
    return RolloutRun(
        rollout_id=event.rollout_id,
        service=event.service,
        execution=event.execution,
        epoch=record.epoch,
        heard=kept.heard,
    )


def _ends(kept: Kept) -> bool:
    """Whether a person wants it back: that needs no standby, which may be what is down."""
    return kept.unheeded and kept.asked is not None and kept.asked.name == "rollback"


def _taken(kept: Kept, event: TakeRollout, runtime: RegionsRuntime) -> Rollout:
    record, now = kept.record, runtime.clock.now()
    realm = runtime.realm(record)
    seen = realm.look(record, now)
    taken = taken_again(record, seen.values(), event.execution, now)
    standby = runtime.settings.standby_region
    if not record.touched and not record.standing_in and standby not in ("", runtime.region):
        taken = taken.model_copy(update={"standby": standby})
    unknown = sorted(set(record.regions) - set(runtime.settings.regions))
    if unknown and not record.touched:
        why = f"{', '.join(unknown)}: not in the coordinator's settings, so it may not reach them"
        over = {"phase": "rolled_back", "cause": why, "ended_at": now}
        return runtime.rollouts.write(taken.model_copy(update=over))
    if record.owner and record.phase == "advancing":
        why = f"its execution {record.owner.rsplit(':', 1)[-1]} ended in the middle"
        taken = taken.model_copy(update={"phase": "held", "held_for": why})
    if taken.standby and not record.touched and not _ends(kept):
        plan = runtime.rollouts.plan(record.rollout_id)
        try:
            rollouts = runtime.rollouts_in(taken.standby)
            rollouts.put_plan(record.rollout_id, plan)
        except (ClientError, BotoCoreError) as error:
            raise Refused(f"the standby {taken.standby} does not take the plan: {error}") from None
    written = runtime.rollouts.write(taken)
    note(runtime, record.rollout_id, "taken", epoch=written.epoch, execution=event.execution)
    return written


def coordinate_regions(run: RolloutRun, runtime: RegionsRuntime) -> RolloutRun:
    """One turn of a rollout.

    Raises:
        FenceLost: another execution has it.
        ClientError: the table did not answer; nothing was done.
    """
    kept = _ours(run, runtime)
    now, rounds = runtime.clock.now(), run.rounds + 1
    after = run.model_copy(update={"heard": kept.heard, "rounds": rounds})
    rollouts, realm = runtime.rollouts, runtime.realm(kept.record)
    try:
        standing = Standing(_raised(kept, runtime), kept.asked)
        turn = take_turn(rollouts, realm, standing, now)
    except FenceLost:
        # It is the same turn, repeated while the first of the two still ran.
        epoch = _ours(run, runtime).record.epoch
        return after.model_copy(
            update={"next": "wait", "wait_seconds": COLLIDED_SECONDS, "epoch": epoch}
        )
    told = report(runtime, turn, kept.told)
    after = after.model_copy(update={"epoch": turn.after.epoch})
    wake = turn.wake_at
    if not told and not _told_long_enough(turn.after, now):
        wake = min(wake or now + LOOK, now + LOOK)
    if wake is None:
        ended = "done" if turn.after.phase == "succeeded" else "went_back"
        return after.model_copy(update={"next": ended})
    waits = max(1, math.ceil((wake - now).total_seconds()))
    step = "wait" if rounds < MOST_ROUNDS else "hand_over"
    return after.model_copy(update={"next": step, "wait_seconds": waits})


def _told_long_enough(record: Rollout, now: datetime) -> bool:
    """Whether nobody goes on trying to tell people how a rollout ended."""
    return record.ended_at is not None and now >= record.ended_at + GIVE_UP


def _raised(kept: Kept, runtime: RegionsRuntime) -> Rollout:
    """The record; with an epoch above all others when a person has just let it go on.

    Another coordinator may have spoken since, and whoever resumes this one means it to prevail.
    """
    record, asked = kept.record, kept.asked
    if asked is None or asked.number <= record.heeded or asked.name != "resume":
        return record
    if record.standing_in:
        return record
    realm, now = runtime.realm(record), runtime.clock.now()
    seen = realm.look(record, now)
    return runtime.rollouts.write(taken_again(record, seen.values(), record.owner, now))


def wait_for_regions(event: WaitEvent, runtime: RegionsRuntime) -> None:
    """Keep the token of the callback; answer it at once if something came since the last look.

    Who has news writes it and then reads the token, and this is the other way round, so that
    whoever comes second sees the other's write.

    Raises:
        FenceLost: another execution has the rollout.
        ClientError: the table did not answer.
    """
    run = event.run
    due = runtime.clock.now() + timedelta(seconds=run.wait_seconds)
    kept = runtime.rollouts.wait(run.service, run.rollout_id, run.epoch, event.token, due_at=due)
    if kept.unheeded or kept.heard != run.heard:
        answer(runtime.stepfunctions, event.token, "news came")


def hand_over_rollout(run: RolloutRun, runtime: RegionsRuntime) -> RolloutRun:
    """Give a long rollout to the next execution, and start that; repeating it finds both done.

    Raises:
        FenceLost: another execution has it.
        ClientError: the table or Step Functions did not answer.
    """
    number = run.executions + 1
    machine = runtime.settings.regions_machine_arn
    name = f"{run.rollout_id[-60:]}-{run.epoch}-{number}"
    successor = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
    kept = runtime.rollouts.kept(run.service)
    if kept is None or kept.record.owner != successor:
        record = _ours(run, runtime).record
        runtime.rollouts.write(record.model_copy(update={"owner": successor}))
    going_on = run.model_copy(
        update={"execution": successor, "executions": number, "rounds": 0, "next": "coordinate"}
    )
    start_machine(runtime, name, going_on.model_dump_json())
    note(runtime, run.rollout_id, "goes on", execution=successor)
    return going_on


def start_machine(runtime: RegionsRuntime, name: str, given: str) -> None:
    """Start an execution of rollouts here; one of that name is enough."""
    try:
        runtime.stepfunctions.start_execution(
            stateMachineArn=runtime.settings.regions_machine_arn, name=name, input=given
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
            raise


def _ours(run: RolloutRun, runtime: RegionsRuntime) -> Kept:
    kept = runtime.rollouts.kept(run.service)
    if kept is None or kept.record.rollout_id != run.rollout_id:
        raise FenceLost(f"{run.rollout_id} is not the latest rollout of {run.service} any more")
    if kept.record.owner != run.execution:
        raise FenceLost(f"{run.rollout_id} is at epoch {kept.record.epoch} of {kept.record.owner}")
    return kept
