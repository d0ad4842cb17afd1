"""What is told of services and deployments: reads, which decide nothing."""

from datetime import timedelta

from greenlane.deployments.client import Greenlane
from greenlane.deployments.connection import DEPLOYMENT_MACHINE, Connection
from greenlane.deployments.http.deployment_shapes import (
    DeploymentList,
    DeploymentView,
    EvidenceList,
    EvidenceQuery,
    JudgedAgain,
    ServiceLine,
    ServiceList,
    ServicesQuery,
    VerdictList,
    VerdictsQuery,
)
from greenlane.deployments.looking.replaying import read_again
from greenlane.deployments.looking.status import (
    OUTCOMES,
    Outcome,
    judgement_of,
    last_judgement,
    outcome_of,
)
from greenlane.deployments.model import Plan, Record
from greenlane.deployments.storing.items import instant
from greenlane.deployments.storing.store import DynamoStore, summary_from
from greenlane.durations import format_seconds
from greenlane.errors import Refused, UnknownDeployment
from greenlane.health.replay import replay
from greenlane.http.fitting import that_fit
from greenlane.http.listing import EventsPage, EventsQuery, NewestQuery, events_page, newest_page

LONGEST_JUDGED = timedelta(hours=8)
"""Of a deployment that is judged once more: looks cost more with each minute before them."""


def services(store: DynamoStore, asked: ServicesQuery) -> ServiceList:
    """Services by name, each with what its record says."""
    names = [name for name in sorted(store.services()) if name > (asked.after or "")]
    page = names[: asked.limit]
    lines = tuple(_line(name, store.record(name)) for name in page)
    return ServiceList(services=lines, next=page[-1] if len(names) > len(page) else None)


def _line(service: str, record: Record | None) -> ServiceLine:
    if record is None:
        return ServiceLine(service=service)
    return ServiceLine(
        service=service,
        deployment_id=record.deployment_id,
        phase=record.phase,
        outcome=outcome_of(record),
        live=record.live,
        candidate=record.candidate,
        step=record.step,
        weight=record.weight,
        paused=record.paused,
        started_at=record.started_at,
        updated_at=record.updated_at,
    )


def deployments(store: DynamoStore, service: str, asked: NewestQuery) -> DeploymentList:
    """A service's deployments, newest first; raises `UnknownService`."""
    page = newest_page(store, [f"SERVICE#{service}"], "DEPLOYMENT#", asked)
    if not page.items:
        store.get_config(service)
    found = tuple(summary_from(item) for item in page.items)
    return DeploymentList(deployments=found, next=page.next)


def deployment(greenlane: Greenlane, deployment_id: str) -> DeploymentView:
    """One deployment; raises `UnknownDeployment`."""
    store = greenlane.store
    plan = plan_of(store, deployment_id)
    service = plan.service if plan else _service_of(greenlane.connection, deployment_id)
    record = store.record(service)
    looks = (store.last_look(deployment_id), last_judgement(store.history(deployment_id)))
    return DeploymentView(
        deployment_id=deployment_id,
        service=service,
        outcome=_outcome(greenlane, service, deployment_id, plan),
        record=record if record is not None and record.deployment_id == deployment_id else None,
        plan=plan,
        judgement=max(
            (look for look in looks if look is not None), key=lambda look: look.at, default=None
        ),
    )


def _outcome(
    greenlane: Greenlane, service: str, deployment_id: str, plan: Plan | None
) -> Outcome | None:
    """How it ended; an old one is not among the service's latest, and its execution forgotten."""
    store = greenlane.store
    record = store.record(service)
    if plan is not None and (record is None or record.deployment_id != deployment_id):
        line = store.get(
            f"SERVICE#{service}", f"DEPLOYMENT#{instant(plan.started_at)}#{deployment_id}"
        )
        found = summary_from(line) if line is not None else None
        if found is not None and found.phase in OUTCOMES:
            name, reason = OUTCOMES[found.phase], found.reason or ""
            return Outcome(deployment_id=deployment_id, name=name, reason=reason)
    return greenlane.outcome(service, deployment_id)


def plan_of(store: DynamoStore, deployment_id: str) -> Plan | None:
    """A deployment's plan; None when there is none yet, or never will be."""
    try:
        return store.plan(deployment_id)
    except UnknownDeployment:
        return None


def _service_of(connection: Connection, deployment_id: str) -> str:
    """Whose deployment it is, of one that has no plan: by what its execution was given."""
    given = connection.given(DEPLOYMENT_MACHINE, deployment_id)
    if given is None:
        raise UnknownDeployment(deployment_id)
    return str(given["deployment"]["service"])


def history(store: DynamoStore, deployment_id: str, asked: EventsQuery) -> EventsPage:
    """What happened in a deployment, oldest first.

    Raises:
        UnknownDeployment: nothing is on record of it.
    """
    page = events_page(store, f"DEPLOYMENT#{deployment_id}", asked)
    if not page.events and asked.after is None:
        raise UnknownDeployment(deployment_id)
    return page


def verdicts(store: DynamoStore, deployment_id: str, asked: VerdictsQuery) -> VerdictList:
    """What the judge said of a deployment, oldest first.

    Raises:
        UnknownDeployment: nothing is on record of it.
    """
    events = store.history(deployment_id)
    if not events:
        raise UnknownDeployment(deployment_id)
    said = [one for event in events if (one := judgement_of(event)) is not None]
    later = said[asked.after :]
    found = that_fit(later[: asked.limit])
    number = asked.after + len(found)
    return VerdictList(
        verdicts=found,
        latest=store.last_look(deployment_id),
        next=number if number < len(said) else None,
    )


def judged_again(connection: Connection, deployment_id: str, criteria: str | None) -> JudgedAgain:
    """A past deployment, judged minute by minute as it would have been.

    Raises:
        UnknownDeployment: there is none of that id.
        InvalidInput: it had no traffic, or CloudWatch has forgotten its minutes.
        InvalidDocument: the criteria are wrong.
        Refused: it lasted longer than can be judged while API Gateway waits.
    """
    past = read_again(connection, deployment_id, criteria)
    seen = past.observed.segments
    lasted = seen[-1].end - seen[0].start if seen else timedelta(0)
    if lasted > LONGEST_JUDGED:
        service = connection.store.plan(deployment_id).service
        raise Refused(
            f"{deployment_id} had traffic for {format_seconds(lasted.total_seconds())}, and an "
            f"answer judges {format_seconds(LONGEST_JUDGED.total_seconds())} at most: "
            f"`greenlane judge {service} --deployment {deployment_id}`"
        )
    found = replay(past.observed, past.config)
    return JudgedAgain(
        stretches=found.stretches,
        failed=found.failed,
        looks=found.looks,
        notes=found.notes,
        passed=found.passed,
    )


def evidence(greenlane: Greenlane, asked: EvidenceQuery) -> EvidenceList:
    """What was posted about a service's images, newest first; raises `UnknownService`."""
    posted = greenlane.evidence.posted(asked.service, asked.digest)
    older = [one for one in posted if asked.before is None or one.posted_at < asked.before]
    page = older[: asked.limit]
    # What was posted in the same instant stays together: the next page begins before it.
    rest = older[asked.limit :]
    page += [one for one in rest if one.posted_at == page[-1].posted_at]
    return EvidenceList(
        evidence=tuple(page), next=page[-1].posted_at if len(page) < len(older) else None
    )
