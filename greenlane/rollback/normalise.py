"""Every shape of trigger becomes one: a `RollbackRequest`, or the reason why it is none. Pure.

It says whose trigger it is; whether that may begin a rollback now, the election decides. Nothing
here raises for what somebody sent: a batch may hold ten good documents beside a broken one.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from greenlane.deployments.model import Record, Trigger, other
from greenlane.deployments.workload import Workload
from greenlane.rollback import shapes
from greenlane.rollback.model import RollbackRequest

OLDEST = timedelta(minutes=10)
"""How old the news of an alarm may be, as for EventBridge's own deliveries.

SNS goes on trying for weeks, and the reconciler has acted long before. Alertmanager says at each
sending what is firing now, so its alerts may have begun long ago.
"""

LONGEST_REASON = 2000

ECS_FAILED = "SERVICE_DEPLOYMENT_FAILED"

_GRAFANA, _WEBHOOK = "Grafana", "a webhook"
"""Who sent an alert that Alertmanager did not."""

Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True)
class Home:
    """The account and Region whose alarms and services are ours."""

    region: str
    account: str

    @classmethod
    def of(cls, arn: str) -> "Home":
        """Where the thing with this ARN is."""
        region, account = arn.split(":")[3:5]
        return cls(region, account)


@dataclass(frozen=True)
class Watched:
    """A service's latest deployment, as triggers must know it; `workload` only for those of ECS."""

    record: Record
    workload: Workload | None = None


class Ignored(BaseModel):
    """Why something is no trigger; `field` is set when it cannot be read, and names where."""

    model_config = ConfigDict(frozen=True)

    reason: str
    field: str | None = None


@dataclass(frozen=True)
class Sighting:
    """Something is wrong, before it is known with which deployment."""

    trigger: Trigger
    service: str | None = None
    deployment_id: str | None = None
    ecs_service: str | None = None
    configuration: Any = None


def normalise(
    document: Any, watched: Iterable[Watched], *, home: Home, now: datetime
) -> tuple[list[RollbackRequest], list[Ignored]]:
    """The rollbacks that a document asks for, and what in it asks for none.

    Args:
        document: an event, an SNS batch or a webhook's body, as JSON gave it.
        watched: the latest deployment of each service.
        home: whose events are ours.
        now: the present instant.
    """
    sightings, ignored = read(document, home=home, now=now)
    known = tuple(watched)
    requests: list[RollbackRequest] = []
    for sighting in sightings:
        found = requests_for(sighting, known)
        requests += found
        if not found:
            ignored.append(Ignored(reason=_whose(sighting)))
    return requests, ignored


def read(document: Any, *, home: Home, now: datetime) -> tuple[list[Sighting], list[Ignored]]:
    """What a document says is wrong, and what in it says nothing of the kind."""
    reader = _reader_of(document, now)
    if reader is None:
        return [], [Ignored(reason="no shape of a trigger that Greenlane knows")]
    sightings, ignored = [], []
    parts = list(reader(document)) or [Ignored(reason="nothing is in it")]
    for found in parts:
        checked = found if isinstance(found, Ignored) else _of_ours(found, home, now)
        if isinstance(checked, Ignored):
            ignored.append(checked)
        else:
            sightings.append(checked.sighting)
    return _latest(sightings), ignored


@dataclass(frozen=True)
class _Found:
    """A sighting, and where it comes from; `place` is None where a label says whose it is."""

    sighting: Sighting
    place: tuple[str, str] | None


_Reader = Callable[[Any], Iterable[_Found | Ignored]]


def _reader_of(document: Any, now: datetime) -> _Reader | None:
    if not isinstance(document, dict):
        return None
    if "alarmData" in document:
        return _alarm_action
    if "Records" in document:
        return _sns
    if "alerts" in document:
        return _alertmanager
    if "service" in document and "reason" in document:
        return partial(_webhook, now)
    named: dict[Any, _Reader] = {shapes.ALARM: _alarm_event, shapes.ECS: _ecs_event}
    kind = document.get("detail-type")
    return named.get(kind) if isinstance(kind, str) else None


def _of_ours(found: _Found, home: Home, now: datetime) -> _Found | Ignored:
    trigger = found.sighting.trigger
    if found.place not in (None, (home.region, home.account)):
        return Ignored(reason=f"{trigger.name} is of another account or Region: {found.place}")
    if found.place is not None and trigger.at is not None and now - trigger.at > OLDEST:
        return Ignored(reason=f"{trigger.name}: news of {trigger.at.isoformat()} come too late")
    return found


def _parsed(model: type[Shape], data: Any, at: str = "") -> Shape | Ignored:
    """The document as that model, or the field that is wrong; values may be secrets."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in (*([at] if at else []), *first["loc"])) or "document"
        return Ignored(field=field, reason=f"{field}: {first['msg']}")


def _alarm_event(document: Any) -> Iterable[_Found | Ignored]:
    event = _parsed(shapes.AlarmEvent, document)
    if isinstance(event, Ignored):
        return [event]
    return [_alarm(event.detail, (event.region, event.account), event_id=event.id)]


def _alarm_action(document: Any) -> Iterable[_Found | Ignored]:
    action = _parsed(shapes.AlarmAction, document)
    if isinstance(action, Ignored):
        return [action]
    return [_alarm(action.alarm_data, (action.region, action.account), event_id=None)]


def _alarm(
    change: shapes.AlarmChange, place: tuple[str, str], *, event_id: str | None
) -> _Found | Ignored:
    if change.state.value != "ALARM":
        return Ignored(reason=f"{change.alarm_name} is {change.state.value}")
    trigger = Trigger(
        kind="alarm",
        name=change.alarm_name,
        reason=change.state.reason[:LONGEST_REASON],
        at=change.state.timestamp,
        event_id=event_id,
    )
    return _Found(Sighting(trigger, configuration=change.configuration), place)


def _sns(document: Any) -> Iterable[_Found | Ignored]:
    event = _parsed(shapes.SnsEvent, document)
    if isinstance(event, Ignored):
        return [event]
    return [
        _sns_message(record.sns, f"Records.{number}.Sns.Message")
        for number, record in enumerate(event.records)
    ]


def _sns_message(body: shapes.SnsBody, at: str) -> _Found | Ignored:
    try:
        content = json.loads(body.message)
    except (ValueError, RecursionError):
        return Ignored(field=at, reason=f"{at}: it is no JSON, so no alarm's message")
    message = _parsed(shapes.AlarmMessage, content, at)
    if isinstance(message, Ignored):
        return message
    parts = message.alarm_arn.split(":", 6)
    if len(parts) != 7 or parts[5:] != ["alarm", message.alarm_name]:
        field = f"{at}.AlarmArn"
        return Ignored(field=field, reason=f"{field}: it is not the ARN of {message.alarm_name}")
    if message.new_state_value != "ALARM":
        return Ignored(reason=f"{message.alarm_name} is {message.new_state_value}")
    trigger = Trigger(
        kind="alarm",
        name=message.alarm_name,
        reason=message.new_state_reason[:LONGEST_REASON],
        at=message.state_change_time,
        event_id=body.message_id or None,
    )
    configuration = {"dimensions": shapes.dimensions_of(message.trigger)}
    return _Found(Sighting(trigger, configuration=configuration), (parts[3], parts[4]))


def _ecs_event(document: Any) -> Iterable[_Found | Ignored]:
    event = _parsed(shapes.EcsEvent, document)
    if isinstance(event, Ignored):
        return [event]
    detail, service = event.detail, event.resources[0]
    if detail.event_name != ECS_FAILED:
        return [Ignored(reason=f"{service}: {detail.event_name} is no failure")]
    trigger = Trigger(
        kind="ecs",
        name=detail.deployment_id,
        reason=detail.reason[:LONGEST_REASON],
        at=detail.updated_at or event.time,
        event_id=event.id,
    )
    return [_Found(Sighting(trigger, ecs_service=service), (event.region, event.account))]


def _alertmanager(document: Any) -> Iterable[_Found | Ignored]:
    body = _parsed(shapes.AlertmanagerBody, document)
    if isinstance(body, Ignored):
        return [body]
    source = _GRAFANA if body.version == "1" else ""
    return [_alert(given, f"alerts.{number}", source) for number, given in enumerate(body.alerts)]


def _alert(given: Any, at: str, source: str) -> _Found | Ignored:
    alert = _parsed(shapes.Alert, given, at)
    if isinstance(alert, Ignored):
        return alert
    labels = alert.labels
    if alert.status != "firing":
        return Ignored(reason=f"{labels.alertname} is {alert.status}")
    if labels.greenlane_service is None:
        return Ignored(reason=f"{labels.alertname} has no label greenlane_service")
    trigger = Trigger(
        kind="alertmanager",
        name=labels.alertname,
        reason=alert.said[:LONGEST_REASON],
        at=alert.starts_at,
        event_id=alert.fingerprint or None,
        slot=labels.greenlane_slot,
        source=source,
    )
    return _Found(Sighting(trigger, service=labels.greenlane_service), None)


def _webhook(now: datetime, document: Any) -> Iterable[_Found | Ignored]:
    """An alert as Alertmanager's, of whoever can send only JSON of his own making."""
    body = _parsed(shapes.Webhook, document)
    if isinstance(body, Ignored):
        return [body]
    source = body.source or _WEBHOOK
    trigger = Trigger(
        kind="alertmanager",
        name=source,
        reason=body.reason[:LONGEST_REASON],
        at=body.at or now,
        source=source,
    )
    return [_Found(Sighting(trigger, service=body.service, deployment_id=body.deployment_id), None)]


def _latest(sightings: Sequence[Sighting]) -> list[Sighting]:
    """Of several alerts about one slot the newest: an older one may be from before."""
    kept: dict[Any, Sighting] = {}
    for number, sighting in enumerate(sightings):
        trigger = sighting.trigger
        key: Any = number
        if trigger.kind == "alertmanager":
            key = (sighting.service, trigger.slot)
        before = kept.get(key)
        if before is None or _at(before) <= _at(sighting):
            kept[key] = sighting
    return list(kept.values())


def _at(sighting: Sighting) -> datetime:
    assert sighting.trigger.at is not None, "no shape is without it"
    return sighting.trigger.at


def requests_for(sighting: Sighting, watched: Iterable[Watched]) -> list[RollbackRequest]:
    """A request for each deployment that a sighting is about; usually one, or none."""
    return [_request(sighting, found.record) for found in watched if _concerns(sighting, found)]


def _concerns(sighting: Sighting, watched: Watched) -> bool:
    record = watched.record
    match sighting.trigger.kind:
        case "alarm":
            # Composite alarms too: those that the workload names, for a slot or for the service.
            return sighting.trigger.name in record.trigger_alarms
        case "alertmanager":
            meant = sighting.deployment_id in (None, record.deployment_id)
            return sighting.service == record.service and meant
        case _:
            return _is_candidates(sighting.ecs_service or "", watched)


def _is_candidates(arn: str, watched: Watched) -> bool:
    """Whether an ECS service's ARN is that of the slot that runs the new version.

    ARNs of the old format do not name the cluster: `...:service/<name>`.
    """
    workload = watched.workload
    if workload is None:
        return False
    cluster, _, name = arn.partition(":service/")[2].rpartition("/")
    return name == workload.slots[watched.record.candidate].service and cluster in (
        "",
        workload.cluster,
    )


def _request(sighting: Sighting, record: Record) -> RollbackRequest:
    trigger, recipe = sighting.trigger, record.recipe
    if trigger.kind == "ecs":
        trigger = trigger.model_copy(update={"slot": record.candidate})
    request = RollbackRequest(
        trigger=trigger,
        service=record.service,
        deployment_id=record.deployment_id,
        configuration=sighting.configuration,
    )
    if recipe is None:
        return request
    # As an event rule supplies them, for when the table does not answer a moment later.
    groups = {
        recipe.good_slot: recipe.good_target_group,
        other(recipe.good_slot): recipe.bad_target_group,
    }
    known = {"listener_rule_arn": recipe.rule_arn, "target_groups": groups}
    return request.model_copy(update=known)


def _whose(sighting: Sighting) -> str:
    """Why a sighting is nobody's."""
    name = sighting.trigger.name
    match sighting.trigger.kind:
        case "alarm":
            return f"{name} is no alarm of a deployment's new version"
        case "alertmanager" if sighting.deployment_id is not None:
            of = f"{sighting.deployment_id!r} of {sighting.service!r}"
            return f"{name} is about the deployment {of}, which is not the service's latest"
        case "alertmanager":
            return f"{name} is about the service {sighting.service!r}, which was never deployed"
        case _:
            return f"{name} of {sighting.ecs_service} is not about a deployment's new version"
