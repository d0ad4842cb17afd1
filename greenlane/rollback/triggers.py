"""From the triggers that do not come to the state machine by themselves to its executions."""

from collections.abc import Iterator, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, RootModel

from greenlane.errors import UnknownDeployment
from greenlane.logs import logger
from greenlane.rollback.normalise import Home, Ignored, Sighting, Watched, normalise, read
from greenlane.runtime import Runtime

MOST_IGNORED = 100
"""That are told of one document: an answer of Lambda's has 6 MB at most, and each is a log line."""


class TriggerDocument(RootModel[dict[str, Any]]):
    """Anything that a trigger's sender sends; what it is shows in its keys."""


class Triggered(BaseModel):
    """What became of a document: the executions it started, and what was ignored, with reasons.

    One of `ignored` with a `field` means that the document, or that part, could not be read.
    """

    model_config = ConfigDict(frozen=True)

    started: tuple[str, ...] = ()
    ignored: tuple[Ignored, ...] = ()


def start_rollbacks(document: TriggerDocument, runtime: Runtime) -> Triggered:
    """Start the rollback machine once for each deployment that the document is about.

    What is said twice starts two executions, of which the election lets one act.

    Raises:
        botocore.exceptions.ClientError: the table or Step Functions said no; send it again.
    """
    home = Home.of(runtime.settings.rollback_machine_arn)
    now = runtime.clock.now()
    sightings, _ = read(document.root, home=home, now=now)
    # Most news are of alarms that turned OK: the table is asked only if something is wrong.
    watched = tuple(_watched(runtime, sightings)) if sightings else ()
    requests, ignored = normalise(document.root, watched, home=home, now=now)
    started = [
        str(
            runtime.stepfunctions.start_execution(
                stateMachineArn=runtime.settings.rollback_machine_arn,
                input=request.model_dump_json(exclude_none=True),
            )["executionArn"]
        )
        for request in requests
    ]
    told = tuple(ignored[:MOST_IGNORED])
    for one in told:
        logger.info("no trigger", reason=one.reason)
    return Triggered(started=tuple(started), ignored=told)


def _watched(runtime: Runtime, sightings: Sequence[Sighting]) -> Iterator[Watched]:
    """The latest deployment of each service that may be meant."""
    named = {sighting.service for sighting in sightings}
    ecs = any(sighting.ecs_service is not None for sighting in sightings)
    for service in runtime.store.services():
        if None not in named and service not in named:
            continue
        try:
            record = runtime.store.record(service)
            if record is not None:
                plan = runtime.store.plan(record.deployment_id) if ecs else None
                yield Watched(record, plan.workload if plan else None)
        except UnknownDeployment:
            logger.info("a deployment without a plan", service=service)
        except (ClientError, BotoCoreError):
            raise
        except Exception:  # a document of another version must not be in the way of the others
            logger.exception("a record that cannot be read", service=service)
