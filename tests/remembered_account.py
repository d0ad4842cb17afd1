"""An account of moto's whose answers are asked for once in a run of the tests.

What moto answers depends on nothing but the changes before: a hundred towns that begin alike and
go on alike need not be a hundred databases. So a call that came after the same changes before gets
the answer from then. Only one that did not is put to moto, after the changes that led there.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import NAMESPACE_OID, uuid5

from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.utils import utcnow
from moto.moto_api._internal import mock_random

from tests.fakes import client

_BEGAN = utcnow()
_READS = ("describe_", "get_", "list_")

Call = tuple[str, str, str]
"""The service, the operation, and what is given to it."""


@dataclass
class _Standing:
    """An account after certain changes: what is known of it, and where further ones lead."""

    answers: dict[Call, "bytes | ClientError"] = field(default_factory=dict)
    then: dict[Call, "_Standing"] = field(default_factory=dict)


_EMPTY = _Standing()


class RememberedAccount:
    """See the module. Only one at a time may be asked, for moto has but one account."""

    def __init__(self) -> None:
        self._standing = _EMPTY
        self._changes: list[Callable[[], Any]] = []
        self._mock: Any = None

    @property
    def _number(self) -> int:
        """Of the next change."""
        return len(self._changes)

    def client(self, service: str) -> Any:
        """A boto3 client."""
        return _Client(self, service)

    def call(self, service: str, operation: str, given: dict[str, Any]) -> Any:
        """What moto answers.

        Raises:
            ClientError: as moto does.
        """
        given = self._tokens(service, operation) | given
        key = service, operation, repr(given)
        if key not in self._standing.answers:
            self._begin()
            self._standing.answers[key] = _answer(self._number, service, operation, given)
        elif self._mock is not None and not operation.startswith(_READS):
            _answer(self._number, service, operation, given)
        answer = self._standing.answers[key]
        if not operation.startswith(_READS):
            self._changes.append(partial(_answer, self._number, service, operation, given))
            self._standing = self._standing.then.setdefault(key, _Standing())
        if isinstance(answer, ClientError):
            raise type(answer)(answer.response, answer.operation_name)
        return pickle.loads(answer)

    def _tokens(self, service: str, operation: str) -> dict[str, str]:
        """What botocore would draw for a change, so that the change is the same each time."""
        meta = client(service).meta
        model = meta.service_model.operation_model(meta.method_to_api_mapping[operation])
        seed = f"{self._number} {operation}"
        return {name: str(uuid5(NAMESPACE_OID, seed)) for name in model.idempotent_members}

    def close(self) -> None:
        """End moto's, if it was needed."""
        if self._mock is not None:
            self._mock.stop()
            self._mock = None

    def _begin(self) -> None:
        """Bring moto to where this account stands."""
        if self._mock is None:
            self._mock = mock_aws()
            self._mock.start()
            for change in self._changes:
                change()


class _Client:
    def __init__(self, account: RememberedAccount, service: str) -> None:
        self._account, self._service = account, service

    def __getattr__(self, operation: str) -> Any:
        return lambda **given: self._account.call(self._service, operation, given)


def _answer(
    number: int, service: str, operation: str, given: dict[str, Any]
) -> "bytes | ClientError":
    """What moto says as the next thing after so many changes; the same each time.

    So are what it draws, such as the ARN that one answer after another has, and its time.
    """
    mock_random.seed(number)
    at = _BEGAN + timedelta(seconds=number)
    seconds = at.replace(tzinfo=UTC).timestamp()
    with (
        patch("moto.rds.models.utcnow", lambda: at),
        patch("moto.secretsmanager.models.time", SimpleNamespace(time=lambda: seconds)),
    ):
        try:
            return pickle.dumps(getattr(client(service), operation)(**given))
        except ClientError as problem:
            return problem
