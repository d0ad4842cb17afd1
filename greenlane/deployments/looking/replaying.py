"""The edge of `greenlane judge`: reads a deployment's minutes again, or a file; never acts."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from greenlane.deployments.connection import TABLE, Connection
from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.declaring.document import read_document
from greenlane.deployments.model import HistoryEvent, Plan, Record, Shift
from greenlane.deployments.phases import Phase
from greenlane.documents import decode
from greenlane.errors import InvalidInput, UnknownDeployment
from greenlane.health.asked import join
from greenlane.health.candidate import Asked
from greenlane.health.declared import known_metrics
from greenlane.health.metrics import METRIC_LAG
from greenlane.health.observed import Observed
from greenlane.health.observing import observe
from greenlane.health.replay import Question
from greenlane.runtime import Runtime, Settings

KEPT = timedelta(days=15)
"""How long CloudWatch keeps minutes."""


class Past(NamedTuple):
    """What a deployment observed, and what it was asked."""

    observed: Observed
    config: ServiceConfig


def read_again(
    connection: Connection, deployment_id: str, criteria: Path | str | None = None
) -> Past:
    """See `Greenlane.observed_of`."""
    plan = connection.store.plan(deployment_id)
    now = connection.clock.now()
    record, end = _record(plan, connection.store.history(deployment_id), now)
    if not record.shifts:
        raise InvalidInput("deployment", deployment_id, "it never had any traffic")
    if record.shifts[0].at < now - KEPT:
        raise InvalidInput(
            "deployment", deployment_id, "CloudWatch keeps minutes for 15 days, and it is older"
        )
    config = plan.config if criteria is None else with_criteria(plan.config, criteria)
    asked = Asked(Question(config, plan.baseline))
    runtime = _runtime(connection, min(end, now))
    seen = plan.model_copy(update={"config": config})
    observed = observe(runtime, seen, record, asked.names().values(), baseline=plan.baseline)
    return Past(observed, config)


def with_criteria(config: ServiceConfig, document: Path | str) -> ServiceConfig:
    """A configuration that asks what a file asks, and nothing else.

    Raises:
        InvalidDocument: the file is wrong.
    """
    text, name = (
        (document, "document") if isinstance(document, str) else (_read(document), str(document))
    )
    known = known_metrics(config.metrics, config.database)
    checked = read_document(text, name, known)
    base = checked.config or config
    return base.model_copy(update={"criteria": join(base, [checked.asks])})


def load(file: Path) -> Observed:
    """An observation that `greenlane judge --save` wrote.

    Raises:
        InvalidInput: it is none, or cannot be read.
    """
    try:
        return Observed.model_validate_json(_read(file))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InvalidInput("replay", str(file), f"{where}: {first['msg']}") from None


def save(observed: Observed, file: Path) -> None:
    """Write an observation, to be replayed later."""
    file.write_text(observed.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _read(file: Path) -> str:
    try:
        return decode(file.read_bytes(), str(file))
    except OSError as error:
        raise InvalidInput("file", str(file), str(error.strerror or error)) from None


def _record(plan: Plan, history: Iterable[HistoryEvent], now: datetime) -> tuple[Record, datetime]:
    """Where the deployment stood at the end of what is judged, by its history, and that end."""
    shifts: list[Shift] = []
    promoted: datetime | None = None
    end = now
    for event in history:
        weight = event.detail.get("weight")
        if event.kind == "shifted" and (not shifts or shifts[-1].weight != weight):
            shifts.append(Shift(at=event.at, weight=int(weight or 0)))
        elif event.kind == "promoted" and promoted is None:
            promoted = event.at
        elif event.kind == "rollback began":
            end = min(end, event.at)
    if promoted is not None:
        end = min(end, promoted + plan.config.deployment.watch + METRIC_LAG)
    record = Record(
        service=plan.service,
        deployment_id=plan.deployment_id,
        epoch=1,
        phase=Phase.SHIFTING if promoted is None else Phase.PROMOTED,
        live=plan.live,
        candidate=plan.candidate,
        started_at=plan.started_at,
        updated_at=end,
        deadline=plan.deadline,
        weight=shifts[-1].weight if shifts else 0,
        shifts=tuple(shifts),
        promoted_at=promoted,
    )
    return record, end


class _At:
    """A clock that stands still."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at


def _runtime(connection: Connection, at: datetime) -> Runtime:
    """What a judgement reads with, at that time."""
    settings = Settings(TABLE, "", "", "")
    runtime = Runtime(settings, actor="judge", clock=_At(at))
    runtime.cloudwatch = connection.client("cloudwatch")
    runtime.relay = connection.client("lambda")
    return runtime


def plan_of(connection: Connection, service: str, deployment_id: str) -> str:
    """A deployment's id; `latest` is the service's newest.

    Raises:
        UnknownDeployment: it is not one of the service's.
    """
    if deployment_id != "latest":
        if connection.store.plan(deployment_id).service != service:
            raise UnknownDeployment(deployment_id)
        return deployment_id
    newest = connection.store.deployments(service, 1)
    if not newest:
        raise InvalidInput("deployment", "latest", f"{service} was never deployed")
    return newest[0].deployment_id
