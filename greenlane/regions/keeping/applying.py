"""Applying a file of Regions: read, bound to a service, and kept as its next version."""

from datetime import datetime
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.connection import Connection
from greenlane.deployments.storing.shapes import StoredModel
from greenlane.errors import InvalidInput, UnknownService
from greenlane.problems import ABSENT
from greenlane.regions.coordinating.requesting import RegionalRollouts
from greenlane.regions.declaring.document import read_regions
from greenlane.regions.declaring.lints import assumptions_of


class AppliedRegions(StoredModel):
    """What applying a file of Regions came to. `changed` is False when it says what was applied.

    Args:
        service: whose rollouts go by it.
        version: of the file.
        changed: whether it is otherwise than the one before.
        regions: their names.
        warnings: what people should know.
    """

    kind: Literal["regions"] = "regions"
    service: str
    version: int
    changed: bool
    regions: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def apply_regions(
    connection: Connection,
    text: str,
    name: str = "document",
    *,
    service: str | None,
    by: str,
    at: datetime,
    reason: str = "",
) -> AppliedRegions:
    """Make a file the one that a service's rollouts go by, unless they are given another one.

    A rollout that runs goes on with what it took along.

    Args:
        connection: to the home Region, where the coordinator is.
        text: the file.
        name: what to call it.
        service: which service it is for; the only one here if left out.
        by: who applies it.
        at: when, UTC.
        reason: for the record.

    Raises:
        InvalidDocument: the file is wrong; nothing was changed.
        InvalidInput: no service is named and there are none or several.
        UnknownService: there are services here, and not this one.
        Refused: somebody else applied one in the same moment.
    """
    document = read_regions(text, name)
    bound, here = _bind(connection, service)
    kept = RegionalRollouts(connection).applied.put(bound, text, name, by=by, at=at, reason=reason)
    warnings = (*assumptions_of(document), *_of_home(connection, bound, here))
    return AppliedRegions(
        service=bound,
        version=kept.stored.version,
        changed=kept.changed,
        regions=tuple(document.regions),
        warnings=warnings,
    )


def _bind(connection: Connection, service: str | None) -> tuple[str, bool]:
    """Which service a file is for, and whether that was applied here.

    A home need not deploy the service itself, so where none at all is known the name is believed.
    """
    known = connection.store.services()
    if service is not None:
        if known and service not in known:
            raise UnknownService(service, known)
        return service, bool(known)
    if len(known) == 1:
        return known[0], True
    way_out = (
        f"name one with --service: {', '.join(known)}"
        if known
        else "this kind of file names no service; add --service NAME"
    )
    raise InvalidInput("service", ABSENT, way_out)


def _of_home(connection: Connection, service: str, here: bool) -> tuple[str, ...]:
    """What is missing here for a rollout to begin; it may come after the file."""
    said = []
    if not here:
        said.append(
            f"{service} is not applied in {connection.region}; if it is deployed to here, "
            "apply its own file too"
        )
    try:
        coordinated = RegionalRollouts(connection).coordinated()
    except (BotoCoreError, ClientError) as error:  # the file is kept, and may be right
        said.append(f"not known whether {connection.region} has a coordinator: {error}")
    else:
        if not coordinated:
            said.append(
                f"no coordinator is installed in {connection.region}, so no rollout begins here; "
                "deploy the stack with `regions` in its context, or apply in the home Region"
            )
    return tuple(said)
