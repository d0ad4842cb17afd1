"""What must succeed before the candidate gets traffic: a task of its own, and the user's hooks."""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from botocore.exceptions import ClientError, ReadTimeoutError
from pydantic import BaseModel, ConfigDict, ValidationError

from greenlane.deployments.declaring.config import RunTask
from greenlane.deployments.model import CheckResult, Deployment, Plan, Record, VerdictName
from greenlane.deployments.phases import Phase
from greenlane.deployments.reaching import fleet
from greenlane.deployments.stepping.fence import fenced, still_wanted
from greenlane.deployments.stepping.gating import pass_gates
from greenlane.deployments.storing.journal import note
from greenlane.errors import NotFinished, ValidationFailed
from greenlane.health.candidate import baseline_of, lacking
from greenlane.logs import logger
from greenlane.runtime import Runtime

HookPhase = Literal["pre_traffic", "step", "post_traffic"]


class HookAnswer(BaseModel):
    """What a hook answers."""

    model_config = ConfigDict(extra="ignore")

    verdict: VerdictName
    reason: str = ""


def run_pre_traffic(deployment: Deployment, runtime: Runtime) -> Deployment:
    """Ask the image's gates, run the configured task to its end, then the hooks.

    Raises:
        NotFinished: evidence is missing, the task still runs, or a hook says hold; the workflow
            asks again.
        NoEvidence: evidence stayed missing, and the policy is to go back.
        ValidationFailed: a gate failed, the task exited with another code than 0, or is unknown,
            or a hook says fail.
    """
    record = fenced(runtime, deployment, {Phase.PREPARING})
    still_wanted(runtime, record)
    plan = runtime.store.plan(deployment.deployment_id)
    since = record.before_traffic_since
    if since is None:
        since = runtime.clock.now()
        record = runtime.store.update(
            record, {"before_traffic_since": since}, phases={Phase.PREPARING}
        )
    record = _ask_gates(runtime, plan, record, since)
    plan = _with_baseline(runtime, plan)
    if plan.config.run_task is not None:
        _run_task(runtime, plan, record, plan.config.run_task)
    for check in call_hooks(
        runtime, plan, plan.config.hooks.pre_traffic, phase="pre_traffic", step=0, weight=0
    ):
        patience = plan.config.deployment.max_hold
        if check.verdict == "hold" and runtime.clock.now() < since + patience:
            raise NotFinished(f"hook {check.name}: {check.reason}")
        if check.verdict != "pass":
            raise ValidationFailed(f"hook {check.name}: {check.reason}")
    return deployment


def _ask_gates(runtime: Runtime, plan: Plan, record: Record, since: datetime) -> Record:
    """Evidence about the image; what was advanced over by policy is noted in the history once."""
    waived = [check for check in pass_gates(runtime, plan, since) if check.verdict != "pass"]
    if not waived or record.gates_waived:
        return record
    for check in waived:
        note(runtime, plan.deployment_id, "gate passed by policy", **check.model_dump(mode="json"))
    return runtime.store.update(record, {"gates_waived": True}, phases={Phase.PREPARING})


def _with_baseline(runtime: Runtime, plan: Plan) -> Plan:
    """The plan with a fuller baseline, where planning found minutes missing."""
    missing = lacking(plan, plan.baseline)
    if plan.request.undo or not missing:
        return plan
    found = baseline_of(runtime, plan)
    if lacking(plan, found) >= missing:
        return plan
    plan = plan.model_copy(update={"baseline": found})
    runtime.store.put_plan(plan)
    return plan


def _run_task(runtime: Runtime, plan: Plan, record: Record, wanted: RunTask) -> None:
    """Start the task once, and look at how it ended; once it has succeeded, nobody asks again.

    ECS forgets a stopped task after about an hour, and a hook may hold for longer.
    """
    if record.pre_task_done:
        return
    arn = record.pre_task or _start_task(runtime, plan, record, wanted)
    found = runtime.ecs.describe_tasks(cluster=plan.workload.cluster, tasks=[arn])["tasks"]
    if not found and record.pre_task is None:
        raise NotFinished("the task before traffic was started just now")
    if not found:
        raise ValidationFailed(
            f"ECS does not know the task before traffic any more, and nobody saw it succeed: {arn}"
        )
    task = found[0]
    if task["lastStatus"] != "STOPPED":
        since = record.before_traffic_since or record.started_at
        if runtime.clock.now() >= since + wanted.timeout:
            raise ValidationFailed(f"the task before traffic ran longer than {wanted.timeout}")
        raise NotFinished(f"the task before traffic is {task['lastStatus']}")
    container = plan.container or plan.workload.container
    codes = {entry["name"]: entry.get("exitCode") for entry in task["containers"]}
    if codes.get(container) != 0:
        raise ValidationFailed(
            f"the task before traffic ended with exit code {codes.get(container)}: "
            f"{task.get('stoppedReason', 'no reason given')}"
        )
    note(runtime, plan.deployment_id, "task before traffic succeeded", task=arn)
    runtime.store.update(record, {"pre_task_done": True}, phases={Phase.PREPARING})


def _start_task(runtime: Runtime, plan: Plan, record: Record, wanted: RunTask) -> str:
    """Start the task (by client token: a repeated start is the same one), and remember it."""
    cluster = plan.workload.cluster
    service = fleet.read_service(runtime.ecs, cluster, plan.workload.slots[plan.candidate].service)
    # ECS takes one of the two; a service with capacity providers has no launch type.
    where: dict[str, Any] = {"launchType": service.launch_type or "FARGATE"}
    if service.capacity_providers:
        where = {"capacityProviderStrategy": service.capacity_providers}
    container = plan.container or plan.workload.container
    started = runtime.ecs.run_task(
        cluster=cluster,
        taskDefinition=record.task_definition,
        networkConfiguration=service.network or {},
        clientToken=_digest(plan.deployment_id),
        startedBy=started_by(plan.deployment_id),
        overrides={"containerOverrides": [{"name": container, "command": list(wanted.command)}]},
        **where,
    )
    if started.get("failures"):
        raise ValidationFailed(f"the task before traffic was not placed: {started['failures']}")
    arn = str(started["tasks"][0]["taskArn"])
    runtime.store.update(record, {"pre_task": arn}, phases={Phase.PREPARING})
    return arn


def stop_task(runtime: Runtime, plan: Plan, record: Record) -> None:
    """Stop the task before traffic of a deployment that goes back, unless it has succeeded.

    One whose ARN could not be recorded is found by who started it.
    """
    if record.pre_task_done or (record.pre_task is None and plan.config.run_task is None):
        return
    cluster = plan.workload.cluster
    arns = [record.pre_task] if record.pre_task is not None else _started(runtime, plan, cluster)
    for arn in arns:
        try:
            # A task that has stopped already is no error while ECS knows it.
            runtime.ecs.stop_task(
                cluster=cluster, task=arn, reason=f"{plan.deployment_id} goes back"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidParameterException":
                raise
            logger.info("the task before traffic is gone already", task=arn)


def _started(runtime: Runtime, plan: Plan, cluster: str) -> list[str]:
    """The deployment's own tasks that run; ECS takes no other filter beside this one."""
    found = runtime.ecs.list_tasks(cluster=cluster, startedBy=started_by(plan.deployment_id))
    return [str(arn) for arn in found["taskArns"]]


def started_by(deployment_id: str) -> str:
    """By what a deployment's task is found in ECS, which takes 36 characters and no dot."""
    return _digest(deployment_id)[:32]


def _digest(deployment_id: str) -> str:
    return hashlib.sha256(deployment_id.encode()).hexdigest()


def call_hooks(
    runtime: Runtime,
    plan: Plan,
    arns: Iterable[str],
    *,
    phase: HookPhase,
    step: int,
    weight: int,
) -> list[CheckResult]:
    """Call the user's functions one after the other; an error or a wrong answer is a fail."""
    checks = []
    for arn in arns:
        payload = {
            "deployment_id": plan.deployment_id,
            "service": plan.service,
            "phase": phase,
            "step": step,
            "weight": weight,
            "candidate": plan.candidate,
            "image": plan.image,
        }
        check = _call(runtime, arn, json.dumps(payload).encode())
        note(
            runtime,
            plan.deployment_id,
            "hook",
            phase=phase,
            hook=arn,
            verdict=check.verdict,
            reason=check.reason or None,
        )
        checks.append(check)
    return checks


def _call(runtime: Runtime, arn: str, payload: bytes) -> CheckResult:
    """One call; a hook that does not answer in time has failed, and is not called again."""
    try:
        answer = runtime.functions.invoke(FunctionName=arn, Payload=payload)
    except ReadTimeoutError as error:
        name = arn.rsplit(":function:", 1)[-1]
        return CheckResult(name=name, verdict="fail", reason=f"no answer in time: {error}")
    return _read(arn, answer)


def _read(arn: str, answer: dict[str, Any]) -> CheckResult:
    name = arn.rsplit(":function:", 1)[-1]
    body = answer["Payload"].read()
    if answer.get("FunctionError"):
        return CheckResult(name=name, verdict="fail", reason=f"it failed: {body[:300]!r}")
    try:
        parsed = HookAnswer.model_validate_json(body)
    except ValidationError:
        reason = f'it answered {body[:200]!r} instead of {{"verdict": "pass"|"fail"|"hold"}}'
        return CheckResult(name=name, verdict="fail", reason=reason)
    return CheckResult(name=name, verdict=parsed.verdict, reason=parsed.reason)
