"""Where deployments are kept: one record per service that decides, and append-only history.

Layout of the table (`pk`, `sk`)::

    SERVICES             <service>                    the current configuration
    SERVICE#<service>    CONFIG#<version>             every configuration that was applied
    SERVICE#<service>    RECORD                       lease, owner, epoch, phase, recipe ...
    SERVICE#<service>    DEPLOYMENT#<instant>#<id>    one line per deployment
    DEPLOYMENT#<id>      PLAN                         what it was asked to do
    DEPLOYMENT#<id>      EVENT#<instant>#<nonce>      its history
    DEPLOYMENT#<id>      LOOK                         the latest look at a bake
    DEPLOYMENT#<id>      TOLD#<announcement>#<chan.>  what became of one message to people
    EVIDENCE#<service>   <digest>#<name>#<instant>..  what was posted about an image

Leases never expire by TTL: only a conditional write ends one.
"""

import secrets
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Annotated, Any, Protocol

from botocore.exceptions import ClientError
from pydantic import Field

from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.model import (
    DeploymentSummary,
    HistoryEvent,
    Judgement,
    Plan,
    Record,
    StoredModel,
)
from greenlane.deployments.phases import FREE, Phase
from greenlane.deployments.storing.items import (
    Item,
    attribute,
    body_item,
    instant,
    phase_list,
    record_from,
    record_item,
    record_key,
)
from greenlane.deployments.storing.stored import as_stored
from greenlane.deployments.storing.table import DynamoTable, condition_failed
from greenlane.errors import DeploymentInFlight, FenceLost, UnknownDeployment, UnknownService


class StoredConfig(StoredModel):
    """A configuration as it was applied."""

    service: str
    version: int
    config: Annotated[ServiceConfig, as_stored(ServiceConfig)]
    workload_declared: bool = Field(False, description="in the file; else SSM describes it")
    source: str
    applied_by: str
    applied_at: datetime


class Store(Protocol):
    """What deployments and rollbacks need of their storage."""

    def services(self) -> list[str]:
        """The names of all services that were applied."""
        ...

    def get_config(self, service: str) -> StoredConfig:
        """The current configuration; raises `UnknownService`."""
        ...

    def record(self, service: str) -> Record | None:
        """The service's record, strongly consistent."""
        ...

    def acquire(self, record: Record) -> Record:
        """Take the lease for a new deployment; raises `DeploymentInFlight`."""
        ...

    def update(
        self,
        record: Record,
        changes: Mapping[str, Any],
        *,
        phases: Collection[Phase] | None = None,
        where: Mapping[str, Any] | None = None,
        at_most: Mapping[str, Any] | None = None,
    ) -> Record:
        """Change the record if owner and epoch (and phase) still hold; raises `FenceLost`."""
        ...

    def plan(self, deployment_id: str) -> Plan:
        """A deployment's plan; raises `UnknownDeployment`."""
        ...

    def put_plan(self, plan: Plan) -> None:
        """Keep a plan."""
        ...

    def append(self, deployment_id: str, event: HistoryEvent) -> None:
        """Add one line to a deployment's history."""
        ...

    def put_summary(self, summary: DeploymentSummary) -> None:
        """Write the deployment's line in its service's list."""
        ...

    def put_report(self, summary: DeploymentSummary, key: str) -> None:
        """Write where the deployment's report is into its line."""
        ...


class DynamoStore(DynamoTable):
    """The store in DynamoDB."""

    def services(self) -> list[str]:
        """The names of all services that were applied."""
        return [item["sk"]["S"] for item in self.query("SERVICES", "", projection="sk")]

    def get_config(self, service: str) -> StoredConfig:
        """The current configuration; raises `UnknownService`."""
        item = self.get("SERVICES", service)
        if item is None:
            raise UnknownService(service, self.services())
        return StoredConfig.model_validate_json(item["body"]["S"])

    def put_config(
        self,
        config: ServiceConfig,
        *,
        source: str,
        by: str,
        at: datetime,
        workload_declared: bool = False,
    ) -> StoredConfig:
        """Keep a configuration as the next version; the same content keeps its version."""
        item = self.get("SERVICES", config.name)
        current = StoredConfig.model_validate_json(item["body"]["S"]) if item else None
        if current is not None and current.config == config:
            return current
        version = (current.version if current else self._last_version(config.name)) + 1
        stored = StoredConfig(
            service=config.name,
            version=version,
            config=config,
            workload_declared=workload_declared,
            source=source,
            applied_by=by,
            applied_at=at,
        )
        number = {"version": {"N": str(version)}}
        self.client.transact_write_items(
            TransactItems=[
                {
                    "Put": {
                        "TableName": self.table,
                        "Item": body_item(
                            f"SERVICE#{config.name}", f"CONFIG#{version:06d}", stored
                        ),
                        "ConditionExpression": "attribute_not_exists(pk)",
                    }
                },
                {
                    "Put": {
                        "TableName": self.table,
                        "Item": body_item("SERVICES", config.name, stored, **number),
                        "ConditionExpression": "attribute_not_exists(pk) OR version = :before",
                        "ExpressionAttributeValues": {":before": {"N": str(version - 1)}},
                    }
                },
            ]
        )
        return stored

    def _last_version(self, service: str) -> int:
        """Of one that was let go by `unadopt`, whose configurations are kept; 0 without any."""
        kept = self.query(f"SERVICE#{service}", "CONFIG#", newest_first=True, limit=1)
        return int(kept[0]["sk"]["S"].partition("#")[2]) if kept else 0

    def record(self, service: str) -> Record | None:
        """The service's record, strongly consistent."""
        answer = self.client.get_item(
            TableName=self.table, Key=record_key(service), ConsistentRead=True
        )
        return record_from(answer["Item"]) if "Item" in answer else None

    def acquire(self, record: Record, *, seen: datetime | None = None) -> Record:
        """Take the lease for a new deployment and close the watch of the one before.

        The record's epoch must be one more than the one last read. Asking again for the same
        deployment (a retried function) gives its record as it stands. With `seen`, the
        `updated_at` that was read, a scale-in that the one before announced since is carried along.

        Raises:
            DeploymentInFlight: another deployment holds the lease.
        """
        values: Item = {
            ":before": {"N": str(record.epoch - 1)},
            ":id": {"S": record.deployment_id},
        }
        unchanged = ""
        if seen is not None:
            unchanged, values[":seen"] = " AND updated_at = :seen", attribute("updated_at", seen)
        try:
            self.client.put_item(
                TableName=self.table,
                Item=record_item(record),
                ConditionExpression=(
                    "attribute_not_exists(pk) OR "
                    f"(epoch = :before AND phase IN ({phase_list(values, FREE)}) "
                    f"AND deployment_id <> :id{unchanged})"
                ),
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
            held = self.record(record.service)
            if held is not None and held.deployment_id == record.deployment_id:
                return held
            if held and held.epoch == record.epoch - 1 and held.phase in FREE and seen is not None:
                again = record.model_copy(update={"scaled_in": held.scaled_in})
                return self.acquire(again, seen=held.updated_at)
            owner = held.deployment_id if held else "another deployment"
            phase = held.phase.value if held else "unknown"
            raise DeploymentInFlight(
                f"{record.service} is being deployed by {owner} (phase {phase}); wait for it, "
                f"or end it with `greenlane abort {record.service}`"
            ) from error
        return record

    def update(
        self,
        record: Record,
        changes: Mapping[str, Any],
        *,
        phases: Collection[Phase] | None = None,
        where: Mapping[str, Any] | None = None,
        at_most: Mapping[str, Any] | None = None,
    ) -> Record:
        """Change the record if owner and epoch (and phase, when given) still hold.

        A change to None removes the field. `where` asks for further fields to be as given, None
        meaning absent; `at_most` asks for others to be absent or no more than that.

        Raises:
            FenceLost: the record moved on.
        """
        condition = "deployment_id = :owner AND epoch = :epoch"
        values: Item = {
            ":owner": {"S": record.deployment_id},
            ":epoch": {"N": str(record.epoch)},
        }
        if phases is not None:
            condition += f" AND phase IN ({phase_list(values, phases)})"
        for name, value in (where or {}).items():
            if value is None:
                condition += f" AND attribute_not_exists(#{name})"
            else:
                condition += f" AND #{name} = :where_{name}"
                values[f":where_{name}"] = attribute(name, value)
        for name, value in (at_most or {}).items():
            condition += f" AND (attribute_not_exists(#{name}) OR #{name} <= :most_{name})"
            values[f":most_{name}"] = attribute(name, value)
        names = (*(where or ()), *(at_most or ()))
        try:
            return self.update_when(record.service, changes, condition, values, names=names)
        except ClientError as error:
            if not condition_failed(error):
                raise
            raise FenceLost(
                f"{record.deployment_id} no longer owns {record.service} at epoch {record.epoch}"
            ) from error

    def update_when(
        self,
        service: str,
        changes: Mapping[str, Any],
        condition: str,
        values: Item,
        *,
        assignments: Collection[str] = (),
        names: Collection[str] = (),
    ) -> Record:
        """One `UpdateItem` on the record under a condition; the record after it.

        `assignments` are further `SET` clauses in DynamoDB's own words; `names` are fields that
        the condition writes as `#name`, since some are words that DynamoDB reserves. On a failed
        condition botocore's error carries the record as it was under `Item`.
        """
        aliases = {f"#{name}": name for name in (*changes, *names)}
        sets = list(assignments)
        removes = []
        given = dict(values)
        for name, value in changes.items():
            if value is None:
                removes.append(f"#{name}")
            else:
                sets.append(f"#{name} = :set_{name}")
                given[f":set_{name}"] = attribute(name, value)
        expression = f"SET {', '.join(sets)}" if sets else ""
        if removes:
            expression += f" REMOVE {', '.join(removes)}"
        arguments: dict[str, Any] = {"ExpressionAttributeNames": aliases} if aliases else {}
        answer = self.client.update_item(
            TableName=self.table,
            Key=record_key(service),
            UpdateExpression=expression.strip(),
            ConditionExpression=condition,
            ExpressionAttributeValues=given,
            ReturnValues="ALL_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **arguments,
        )
        return record_from(answer["Attributes"])

    def plan(self, deployment_id: str) -> Plan:
        """A deployment's plan; raises `UnknownDeployment`."""
        item = self.get(f"DEPLOYMENT#{deployment_id}", "PLAN")
        if item is None:
            raise UnknownDeployment(deployment_id)
        return Plan.model_validate_json(item["body"]["S"])

    def put_plan(self, plan: Plan) -> None:
        """Keep a plan."""
        item = body_item(f"DEPLOYMENT#{plan.deployment_id}", "PLAN", plan)
        self.client.put_item(TableName=self.table, Item=item)

    def append(self, deployment_id: str, event: HistoryEvent) -> None:
        """Add one line to a deployment's history; never replaces one."""
        sk = f"EVENT#{instant(event.at)}#{secrets.token_hex(4)}"
        item = body_item(f"DEPLOYMENT#{deployment_id}", sk, event)
        self.client.put_item(
            TableName=self.table, Item=item, ConditionExpression="attribute_not_exists(sk)"
        )

    def history(self, deployment_id: str) -> list[HistoryEvent]:
        """A deployment's history, oldest first."""
        items = self.query(f"DEPLOYMENT#{deployment_id}", "EVENT#")
        return [HistoryEvent.model_validate_json(item["body"]["S"]) for item in items]

    def put_look(self, deployment_id: str, look: Judgement) -> None:
        """Keep the latest look at a bake; each look replaces the one before."""
        item = body_item(f"DEPLOYMENT#{deployment_id}", "LOOK", look)
        self.client.put_item(TableName=self.table, Item=item)

    def last_look(self, deployment_id: str) -> Judgement | None:
        """The latest look at a bake; None before the first."""
        item = self.get(f"DEPLOYMENT#{deployment_id}", "LOOK")
        return Judgement.model_validate_json(item["body"]["S"]) if item else None

    def put_summary(self, summary: DeploymentSummary) -> None:
        """Write the deployment's line in its service's list; its report stays where it is."""
        self.client.update_item(
            TableName=self.table,
            Key=_summary_key(summary),
            UpdateExpression="SET body = :body",
            ExpressionAttributeValues={":body": {"S": summary.model_dump_json(exclude={"report"})}},
        )

    def put_report(self, summary: DeploymentSummary, key: str) -> None:
        """Write where a deployment's report is into its line, and nothing else of that.

        Somebody may have written a newer line since `summary` was read. A line that is not there
        is not begun by this.
        """
        try:
            self.client.update_item(
                TableName=self.table,
                Key=_summary_key(summary),
                UpdateExpression="SET report = :report",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues={":report": {"S": key}},
            )
        except ClientError as error:
            if not condition_failed(error):
                raise

    def deployments(self, service: str, limit: int = 20) -> list[DeploymentSummary]:
        """A service's deployments, newest first."""
        items = self.query(f"SERVICE#{service}", "DEPLOYMENT#", newest_first=True, limit=limit)
        return [summary_from(item) for item in items]


def _summary_key(summary: DeploymentSummary) -> Item:
    sk = f"DEPLOYMENT#{instant(summary.started_at)}#{summary.deployment_id}"
    return {"pk": {"S": f"SERVICE#{summary.service}"}, "sk": {"S": sk}}


def summary_from(item: Item) -> DeploymentSummary:
    """The line that an item holds; lines of an earlier version have the report in their body."""
    summary = DeploymentSummary.model_validate_json(item["body"]["S"])
    if "report" not in item:
        return summary
    return summary.model_copy(update={"report": item["report"]["S"]})
