import io
import json
import textwrap
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from greenlane.local.cloud import LocalCloud

ROLE = "arn:aws:iam::123456789012:role/local"


@dataclass
class Account:
    """A small cloud with short cuts for what the tests put into it."""

    cloud: LocalCloud

    def client(self, service: str) -> Any:
        return self.cloud.client(service)

    def function(self, name: str, code: str, timeout: int = 5, **environment: str) -> str:
        """Create or update a function from its source; returns its unqualified ARN."""
        client = self.client("lambda")
        archive = zipped(code)
        try:
            client.get_function(FunctionName=name)
        except client.exceptions.ResourceNotFoundException:
            return str(
                client.create_function(
                    FunctionName=name,
                    Runtime="python3.14",
                    Role=ROLE,
                    Handler="app.handler",
                    Timeout=timeout,
                    Code={"ZipFile": archive},
                    Environment={"Variables": environment},
                )["FunctionArn"]
            )
        client.update_function_configuration(
            FunctionName=name, Environment={"Variables": environment}
        )
        return str(
            client.update_function_code(FunctionName=name, ZipFile=archive)["FunctionArn"]
        ).split(f":{name}:")[0]

    def invoke(self, name: str, payload: Any = None, **arguments: Any) -> tuple[Any, str | None]:
        """Call a function; returns what it answers, and `FunctionError` if there is one."""
        answer = self.client("lambda").invoke(
            FunctionName=name, Payload=json.dumps(payload), **arguments
        )
        body = answer["Payload"].read()
        return (json.loads(body) if body else None), answer.get("FunctionError")

    @staticmethod
    def wait_until(condition: Callable[[], Any], seconds: float = 60) -> Any:
        """Wait for something that happens beside the test; returns what the condition gave."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"not so within {seconds} s"
            time.sleep(0.01)
        return found


def zipped(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", textwrap.dedent(code))
    return buffer.getvalue()


def _account(cloud: LocalCloud) -> Account:
    iam = cloud.client("iam")
    iam.create_role(RoleName="local", AssumeRolePolicyDocument="{}")
    return Account(cloud)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """One small cloud for a module of tests."""
    with LocalCloud(tmp_path_factory.mktemp("cloud"), parts=()) as cloud:
        yield _account(cloud)


@pytest.fixture
def make_account(tmp_path: Any) -> Iterator[Callable[..., Account]]:
    """A small cloud with chosen settings, for one test."""
    clouds = []

    def make(**settings: Any) -> Account:
        cloud = LocalCloud(tmp_path / "cloud", parts=(), **settings)
        clouds.append(cloud)
        cloud.start()
        return _account(cloud)

    yield make
    for cloud in clouds:
        cloud.stop()
