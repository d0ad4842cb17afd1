"""What people can tell a running deployment: pause, resume, promote, promote all, abort."""

from typing import Any

from greenlane.clock import Clock
from greenlane.deployments.model import Model, Plan, Record, Signal, SignalName
from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping import baking
from greenlane.deployments.storing.store import DynamoStore
from greenlane.errors import FenceLost, SignalRefused

_DURING: dict[SignalName, frozenset[Phase]] = {
    "pause": frozenset({Phase.SHIFTING}),
    "resume": frozenset({Phase.SHIFTING}),
    "promote": frozenset({Phase.SHIFTING}),
    "promote_all": frozenset({Phase.SHIFTING}),
    "abort": frozenset({Phase.PLANNING, Phase.PREPARING, Phase.SHIFTING}),
}


class SignalOutcome(Model):
    """What became of a signal."""

    service: str
    deployment_id: str
    signal: SignalName
    step: int
    answered_bake: bool


def possible_signals(record: Record, plan: Plan) -> list[SignalName]:
    """The signals that would do something now."""
    del plan
    found: list[SignalName] = []
    for name, phases in _DURING.items():
        if record.phase in phases and _refusal(record, name) is None:
            found.append(name)
    return found


def _refusal(record: Record, name: SignalName) -> str | None:
    """Why a signal would do nothing in this record; None when it would do something."""
    if record.phase not in _DURING[name]:
        return f"it is {record.phase.value}"
    pending = record.signal
    if pending is not None and pending.name == "abort":
        return f"{pending.by} said abort already"
    if pending is not None and pending.name == name and pending.step == record.step:
        return f"{pending.by} said so already"
    if name == "pause" and record.paused:
        return "it is paused already"
    if name == "resume" and not record.paused:
        return "it is not paused"
    return None


def send_signal(
    store: DynamoStore,
    stepfunctions: Any,
    clock: Clock,
    *,
    service: str,
    name: SignalName,
    step: int | None = None,
    by: str,
) -> SignalOutcome:
    """Write the signal, then answer the bake that waits, if one does.

    Args:
        store: where the record is.
        stepfunctions: the client that answers the bake.
        clock: tells when.
        service: whose deployment.
        name: what to tell it.
        step: the step that the sender saw; another one now is a refusal. None means any.
        by: who says so.

    Raises:
        SignalRefused: late, repeated, for another step, or not possible now; nothing was done.
    """
    record = store.record(service)
    if record is None:
        raise SignalRefused(f"{service} has never been deployed")
    # After the last step there is none to be at: the phase says more.
    if step is not None and step != record.step and record.phase in _DURING[name]:
        raise SignalRefused(
            f"{name} was meant for step {step + 1}, but {service} is at step {record.step + 1}"
        )
    refusal = _refusal(record, name)
    if refusal is not None:
        raise SignalRefused(f"{name} does nothing: {record.deployment_id}: {refusal}")
    signal = Signal(name=name, step=record.step, by=by, at=clock.now())
    try:
        written = _write(store, record, signal)
    except FenceLost as error:
        raise SignalRefused(f"{name} came too late: {error}") from error
    answered = written.bake_token is not None and baking.answer(
        stepfunctions, written.bake_token, f"signal {name}"
    )
    return SignalOutcome(
        service=service,
        deployment_id=record.deployment_id,
        signal=name,
        step=record.step,
        answered_bake=answered,
    )


def _write(store: DynamoStore, record: Record, signal: Signal) -> Record:
    # The step belongs to the condition: what was meant for this step must not reach the next.
    return store.update(
        record,
        {"signal": signal},
        phases=_DURING[signal.name],
        where={"step": record.step, "signal": record.signal},
    )
