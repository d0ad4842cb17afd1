"""Whether a version is older than a database allows, said before it gets a task.

A contract takes away what versions before its `min_app` need. It looks at what runs and what may
come back before it begins; from then on this is what keeps them from coming back. The lease of the
database and the record of the service are each written before the other is read, so of a contract
and a deployment that begin in the same moment at least one sees the other.

A rollback never asks here: the way back of a deployment that runs is not to be held up.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from greenlane.deployments.model import Plan
from greenlane.errors import InvalidInput, Refused
from greenlane.migrations.guarding.shipped import LOOKED_AT, Versions, tag_of
from greenlane.migrations.guarding.versions import is_older, precedence
from greenlane.migrations.shipping.kept import Kept


@dataclass(frozen=True)
class Limit:
    """The oldest version that may use a database.

    Args:
        database: its name.
        min_app: the version.
        why: where that stands.
        way_out: what a person does about it.
    """

    database: str
    min_app: str
    why: str
    way_out: str = ""


@dataclass(frozen=True)
class Shipped:
    """A service's versions, each once, in the order in which they were first shipped.

    Args:
        order: the versions.
        whole: whether these are all that there ever were; else older ones are out of sight.
    """

    order: tuple[str, ...]
    whole: bool


def limits(kept: Kept, service: str) -> Iterator[Limit]:
    """What the databases of a service allow."""
    for name, described in kept.of_service(service).items():
        published = kept.runs.published(name)
        least = described.min_app
        if published is not None and published.min_app is not None:
            least = published.min_app
        if least is not None:
            yield Limit(name, least, "what stands in it")
        run = kept.open_contract(name)
        if run is None:
            continue
        way_out = f"see `greenlane migrations get {run.run}`"
        for one in kept.outline(run.plan_sha).of("contract"):
            if one.min_app is not None:
                yield Limit(name, one.min_app, f"the contract {run.run}, {run.standing}", way_out)


def refuse_outdated(kept: Kept, plan: Plan) -> None:
    """Refuse a deployment whose version is older than a database of its service allows.

    Raises:
        Refused: naming the version, the database and its `min_app`.
        ClientError: the table or the plans did not answer, so nobody can say.
    """
    request = plan.request
    said = request.version
    if said is None and request.image is not None:
        said = tag_of(request.image)

    def version(versions: Versions) -> str | None:
        if said is not None:
            return said
        known = versions.by_definition.get(request.task_definition or "")
        return known or tag_of(plan.image or "")

    _refuse(kept, plan.service, said, version, request.task_definition or plan.image or "")


def refuse_outdated_revision(kept: Kept, service: str, revision: str) -> None:
    """The same of a task definition that somebody wants back.

    Raises:
        Refused: see `refuse_outdated`.
        ClientError: see `refuse_outdated`.
    """
    _refuse(kept, service, None, lambda versions: versions.by_definition.get(revision), revision)


def _refuse(
    kept: Kept,
    service: str,
    said: str | None,
    version: Callable[[Versions], str | None],
    named: str,
) -> None:
    found = _limits(kept, service)
    if not found:
        return
    shipped = Shipped((), whole=True)
    if said is None or None in map(precedence, (said, *(one.min_app for one in found))):
        # A hundred reads, which two semantic versions do not need.
        newest_first = kept.store.deployments(service, LOOKED_AT)
        versions = Versions(kept, newest_first)
        shipped = Shipped(versions.in_order(), whole=len(newest_first) < LOOKED_AT)
        said = version(versions)
    for one in found:
        if is_outdated(said, one.min_app, shipped):
            raise Refused(_told(one, said, named.rsplit("/", 1)[-1]))


def _limits(kept: Kept, service: str) -> list[Limit]:
    try:
        return list(limits(kept, service))
    except InvalidInput as error:
        raise Refused(f"min_app: nobody can say what {service} may run: {error}") from error


def is_outdated(version: str | None, least: str, shipped: Shipped) -> bool:
    """Whether a version that is about to be shipped is older than the least that is allowed.

    As `is_older`, but that a version which was never shipped comes after all that were; and that a
    least version which is out of sight was shipped before those in sight.

    Args:
        version: None where nobody knows which it is.
        least: what is allowed.
        shipped: what was shipped before.
    """
    order = list(shipped.order)
    if least not in order and not shipped.whole:
        order.insert(0, least)
    if version is not None and version not in order:
        order.append(version)
    return is_older(version, least, order)


def _told(limit: Limit, version: str | None, named: str) -> str:
    if version is None:
        what, way_out = (
            f"nobody can say which version {named} is",
            "deploy it by its version, or by an image with a tag",
        )
    else:
        what, way_out = f"{version} is older than that", f"deploy {limit.min_app} or a newer one"
    more = f"; {limit.way_out}" if limit.way_out else ""
    return (
        f"min_app: the database {limit.database} takes no version before {limit.min_app} "
        f"({limit.why}), and {what}; {way_out}{more}"
    )
