"""What `apply` does: bind a file to a service, make the configuration, keep it as a version."""

from collections.abc import Sequence
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from greenlane.deployments.connection import Connection
from greenlane.deployments.declaring.applied_alarms import alarms_asked
from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.declaring.dashboard import cloudwatch_dashboard
from greenlane.deployments.declaring.document import Checked, Sources, compose, read_document
from greenlane.deployments.model import Record, StoredModel
from greenlane.deployments.phases import LEASED, Phase
from greenlane.deployments.reaching.workloads import read_workload
from greenlane.deployments.storing.store import StoredConfig
from greenlane.deployments.workload import Workload
from greenlane.documents import decode
from greenlane.errors import InvalidInput, UnknownService
from greenlane.health.alarm_keeping import keep_alarms
from greenlane.health.dashboards import keep_dashboard
from greenlane.people import addresses
from greenlane.people.paging_route import keep_routes
from greenlane.people.routing import secrets_of
from greenlane.problems import ABSENT


class Applied(StoredModel):
    """What `apply` did. `changed` is False when the same content was applied before."""

    service: str
    version: int
    changed: bool
    warnings: tuple[str, ...] = ()


class Applier:
    """Applies files.

    Args:
        connection: the account and Region.
    """

    def __init__(self, connection: Connection) -> None:
        """See the class."""
        self._connection = connection
        self._store = connection.store

    def apply(self, document: Path | str, service: str | None, by: str) -> Applied:
        """See `Greenlane.apply`."""
        checked = check(document)
        name = self._bind(checked, service)
        stored = self._stored(name)
        before = _sources_of(stored)
        withdrawn = checked.kind == "canary" and checked.canary is None
        sources = before.model_copy(update={checked.kind: None if withdrawn else checked.source})
        base = ServiceConfig(name=name)
        if stored is not None and before == Sources():
            base = stored.config
        config, warnings = compose(sources, base)
        declared = config.workload is not None
        if not declared:
            config = config.model_copy(update={"workload": self._workload(name, checked)})
        if config.workload is not None and config.workload.service != name:
            raise InvalidInput(
                "workload.service", config.workload.service, f"it must be the service's, {name}"
            )
        if stored is not None and _same(stored.config, config):
            config = stored.config
        now = self._connection.clock.now()
        after = self._store.put_config(
            config,
            source=sources.model_dump_json(),
            by=by,
            at=now,
            workload_declared=declared,
        )
        changed = stored is None or after.version != stored.version
        before_that = stored.config.notifications.email_list if stored is not None else ()
        configs = self._configs()
        if config.notifications.email_list or before_that:
            warnings += self._subscribe(name, configs)
        warnings += self._keep_paging_routes(configs)
        warnings += self._look_for_secrets(config)
        warnings += self._keep_alarms(config, after.version)
        warnings += self._keep_dashboard(config)
        return Applied(service=name, version=after.version, changed=changed, warnings=warnings)

    def _configs(self) -> list[ServiceConfig]:
        """What every service has configured: some things exist once for all of them."""
        return [self._store.get_config(name).config for name in self._store.services()]

    def _subscribe(self, service: str, configs: Sequence[ServiceConfig]) -> tuple[str, ...]:
        """Subscribe addresses to the topic that tells people; what still is to be done for it."""
        wanted: dict[str, set[str]] = {}
        for config in configs:
            for address in config.notifications.email_list:
                wanted.setdefault(address, set()).add(config.name)
        sns, topic = self._connection.client("sns"), self._connection.topic_arn
        try:
            return tuple(addresses.subscribe(sns, topic, service, wanted))
        except (BotoCoreError, ClientError) as error:
            return (f"email_list: not subscribed, apply again: {error}",)

    def _keep_paging_routes(self, configs: Sequence[ServiceConfig]) -> tuple[str, ...]:
        """Keep outside of the table how services page, for when the table is down."""
        try:
            keep_routes(self._connection.client("ssm"), configs)
        except (BotoCoreError, ClientError) as error:
            return (f"notifications: pages may not go out while the table is down: {error}",)
        return ()

    def _keep_alarms(self, config: ServiceConfig, version: int) -> tuple[str, ...]:
        """Keep the alarms that the configuration's conditions ask for; it is stored already."""
        assert config.workload is not None, "apply has read or declared it"
        asked = alarms_asked(config, config.workload)
        said = tuple(
            f"{condition.role} {condition.expression}: no alarm: {why}"
            for condition, why in asked.unwatched
        )
        record = self._store.record(config.name)
        busy = record.deployment_id if record is not None and record.phase in LEASED else None
        watched = record.deployment_id if record is not None and self._watched(record) else None
        kept = keep_alarms(
            self._connection.client("cloudwatch"),
            asked,
            config.name,
            version,
            in_use_by=busy,
            watched_by=watched,
            pause=self._connection.pause,
        )
        return said + kept.warnings

    def _watched(self, record: Record) -> bool:
        """Whether its alarms may still start a rollback, as in the extended watch."""
        over = record.watch_until is not None and (
            self._connection.clock.now() >= record.watch_until
        )
        return record.phase is Phase.WATCHING and not over

    def _keep_dashboard(self, config: ServiceConfig) -> tuple[str, ...]:
        """Keep what shows the configuration's metrics and limits."""
        if not config.monitoring.dashboard:
            return ()
        body = cloudwatch_dashboard(config, self._connection.region)
        return keep_dashboard(self._connection.client("cloudwatch"), config.name, body)

    def _look_for_secrets(self, config: ServiceConfig) -> tuple[str, ...]:
        """Which channels reach nobody yet: better said now than on the night they are needed."""
        said = []
        for key, secret in secrets_of(config).items():
            try:
                self._connection.client("secretsmanager").describe_secret(SecretId=secret)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "ResourceNotFoundException":
                    said.append(f"notifications.{key}: nobody hears it until {secret} is a secret")
                else:
                    said.append(f"notifications.{key}: not known whether {secret} exists: {code}")
            except BotoCoreError as error:
                said.append(f"notifications.{key}: not known whether {secret} exists: {error}")
        return tuple(said)

    def _bind(self, checked: Checked, service: str | None) -> str:
        if checked.service is not None:
            if service is not None and service != checked.service:
                raise InvalidInput(
                    "service", service, f"the file declares {checked.service}; leave --service out"
                )
            return checked.service
        if service is not None:
            return service
        known = self._store.services()
        if len(known) == 1:
            return known[0]
        if known:
            names = ", ".join(known)
            raise InvalidInput("service", ABSENT, f"name one with --service: {names}")
        raise InvalidInput(
            "service", ABSENT, "this kind of file names no service; add --service NAME"
        )

    def _stored(self, service: str) -> StoredConfig | None:
        try:
            return self._store.get_config(service)
        except UnknownService:
            return None

    def _workload(self, service: str, checked: Checked) -> Workload:
        try:
            return read_workload(self._connection.client("ssm"), service)
        except InvalidInput as error:
            if checked.kind != "service" and error.field == "service.workload":
                raise UnknownService(service, self._store.services()) from None
            raise


def _same(one: ServiceConfig, other: ServiceConfig) -> bool:
    """Whether two configurations differ at most in the names of the files they came from."""
    return _nameless(one) == _nameless(other)


def _nameless(config: ServiceConfig) -> ServiceConfig:
    if config.criteria is None:
        return config
    nameless = {
        part: tuple(one.model_copy(update={"source": ""}) for one in getattr(config.criteria, part))
        for part in ("criteria", "conditions", "gates")
    }
    return config.model_copy(update={"criteria": config.criteria.model_copy(update=nameless)})


def check(document: Path | str) -> Checked:
    """See `Greenlane.check`."""
    return read_document(*text_of(document))


def text_of(document: Path | str) -> tuple[str, str]:
    """A document's text and the name to call it by."""
    if isinstance(document, str):
        return document, "document"
    try:
        return decode(document.read_bytes(), str(document)), str(document)
    except OSError as error:
        raise InvalidInput("file", str(document), str(error.strerror or error)) from None


def _sources_of(stored: StoredConfig | None) -> Sources:
    """The files behind a stored configuration; none when it was not stored by `apply`."""
    if stored is None:
        return Sources()
    try:
        return Sources.model_validate_json(stored.source)
    except ValidationError:
        return Sources()
