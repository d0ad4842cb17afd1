"""What `apply` does: bind a file to a service, make the configuration, keep it as a version."""

from collections.abc import Sequence
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from greenlane.deployments.config import ServiceConfig
from greenlane.deployments.connection import Connection
from greenlane.deployments.document import Checked, Sources, compose, read_document
from greenlane.deployments.model import StoredModel
from greenlane.deployments.store import StoredConfig
from greenlane.deployments.workload import Workload
from greenlane.deployments.workloads import read_workload
from greenlane.documents import decode
from greenlane.errors import InvalidInput, UnknownService
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
        sources = before.model_copy(update={checked.kind: checked.source})
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
        now = self._connection.clock.now()
        after = self._store.put_config(
            config,
            source=sources.model_dump_json(),
            by=by,
            at=now,
            workload_declared=declared,
        )
        changed = stored is None or after.version != stored.version
        warnings += self._subscribe(config.notifications.email_list)
        warnings += self._look_for_secrets(config)
        return Applied(service=name, version=after.version, changed=changed, warnings=warnings)

    def _subscribe(self, addresses: Sequence[str]) -> tuple[str, ...]:
        """Subscribe addresses to the topic that tells people; what still is to be done for it.

        An address that a later file leaves out stays subscribed: another service may name it.
        """
        if not addresses:
            return ()
        sns, topic = self._connection.client("sns"), self._connection.topic_arn
        said = []
        try:
            known: dict[str, str] = {}
            pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
            for found in (entry for page in pages for entry in page["Subscriptions"]):
                known[found["Endpoint"]] = found["SubscriptionArn"]
            for address in addresses:
                if address not in known:
                    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address)
                if known.get(address, "PendingConfirmation") == "PendingConfirmation":
                    said.append(f"email_list: {address} hears nothing until the mail is confirmed")
        except (BotoCoreError, ClientError) as error:
            said.append(f"email_list: not subscribed, apply again: {error}")
        return tuple(said)

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
            if checked.kind == "canary" and error.field == "service.workload":
                raise UnknownService(service, self._store.services()) from None
            raise


def check(document: Path | str) -> Checked:
    """See `Greenlane.check`."""
    return read_document(*_text_of(document))


def _text_of(document: Path | str) -> tuple[str, str]:
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
