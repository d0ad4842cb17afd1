"""The fence that every forward step reads, strongly consistent, before it writes anything."""

from collections.abc import Collection

from greenlane.deployments.model import SCHEMA, Deployment, Record
from greenlane.deployments.phases import Phase
from greenlane.errors import Aborted, DeadlineExceeded, FenceLost
from greenlane.runtime import Runtime


def fenced(runtime: Runtime, deployment: Deployment, phases: Collection[Phase]) -> Record:
    """The service's record, if this deployment still owns it at its epoch and phase.

    No answer from the table is an exception of botocore's: then nothing is written either.

    Raises:
        FenceLost: the record moved on; a rollback began, or another version wrote it.
    """
    record = runtime.store.record(deployment.service)
    if record is None:
        raise FenceLost(f"{deployment.service} has no record any more")
    if record.schema_version > SCHEMA + 1:
        raise FenceLost(f"the record has schema {record.schema_version}, newer than {SCHEMA} + 1")
    if record.deployment_id != deployment.deployment_id or record.epoch != deployment.epoch:
        raise FenceLost(
            f"{deployment.deployment_id} at epoch {deployment.epoch} no longer owns "
            f"{deployment.service}: it belongs to {record.deployment_id} at {record.epoch}"
        )
    if record.phase not in phases:
        raise FenceLost(f"{deployment.deployment_id} is {record.phase.value} already")
    return record


def still_wanted(runtime: Runtime, record: Record) -> None:
    """Nobody said abort, and `max_duration` has not passed.

    Raises:
        Aborted: a person said abort.
        DeadlineExceeded: it has passed.
    """
    if record.signal is not None and record.signal.name == "abort":
        raise Aborted(f"aborted by {record.signal.by}")
    if record.phase is not Phase.PROMOTED and runtime.clock.now() >= record.deadline:
        raise DeadlineExceeded(f"max_duration passed at {record.deadline.isoformat()}")
