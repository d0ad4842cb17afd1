"""The boto3 clients with which Step Functions calls other services."""

import contextlib
import importlib
import pkgutil
import threading
from datetime import datetime
from typing import Any

import boto3
import moto.stepfunctions.parser.asl as asl
from botocore.config import Config
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_sfn,
)
from moto.stepfunctions.parser.asl.utils import boto_client

from greenlane.local.context import LocalContext
from greenlane.local.journal import Journal
from greenlane.local.patches import Patches

_CALLER = "states"
_KEY = "AKIASTATES0000000000"


class ServiceClients:
    """One client for each service and region, made once: moto makes one for each task."""

    def __init__(self, context: LocalContext, journal: Journal) -> None:
        """See the class."""
        self._endpoint_url = context.endpoint_url
        self._session: Any = boto3.Session()
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()
        journal.name_caller(_KEY, _CALLER)

    def get(self, region: str, service: str, state_credentials: Any = None) -> Any:
        """A client; the calls' caller is `states`."""
        with self._lock:
            if (region, service) not in self._clients:
                self._clients[region, service] = self._session.client(
                    service,
                    region_name=region,
                    endpoint_url=self._endpoint_url,
                    aws_access_key_id=_KEY,
                    aws_secret_access_key="local",
                    config=Config(
                        parameter_validation=False,
                        retries={"total_max_attempts": 1},
                        connect_timeout=10,
                        # A function may run for 15 minutes.
                        read_timeout=1000,
                        max_pool_connections=100,
                    ),
                )
            return self._clients[region, service]

    def install(self, patches: Patches) -> None:
        """Take the place of moto's `boto_client_for` in every module that imported it."""
        original = boto_client.boto_client_for
        for module in pkgutil.walk_packages(asl.__path__, asl.__name__ + "."):
            if ".antlr" in module.name or ".jsonata" in module.name:
                continue
            with contextlib.suppress(ImportError):
                loaded = importlib.import_module(module.name)
                if vars(loaded).get("boto_client_for") is original:
                    patches.set(loaded, "boto_client_for", self.get)
        task = state_task_service_sfn.StateTaskServiceSfn
        patches.set(task, "_eval_service_task", _start_nested)
        for name in ("_build_sync_resolver", "_build_sync2_resolver"):
            patches.set(task, name, _named_as_in_asl(getattr(task, name)))

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()


def _start_nested(
    task: Any,
    env: Any,
    resource_runtime_part: Any,
    normalised_parameters: dict[str, Any],
    state_credentials: Any,
) -> None:
    """`states:startExecution`: its parameters are named as ASL names them, boto3's are not."""
    # Through the module, where our clients have taken the place of moto's.
    boto_client_for = vars(state_task_service_sfn)["boto_client_for"]
    client = boto_client_for(region=resource_runtime_part.region, service="stepfunctions")
    parameters = {key[0].lower() + key[1:]: value for key, value in normalised_parameters.items()}
    response = getattr(client, task._get_boto_service_action())(**parameters)
    response.pop("ResponseMetadata")
    env.stack.append(_asl_names(response))


def _named_as_in_asl(build: Any) -> Any:
    """`states:startExecution.sync`: what the awaited execution gives, in ASL's names."""

    def built(task: Any, *positional: Any, **named: Any) -> Any:
        resolver = build(task, *positional, **named)

        def resolve() -> Any:
            found = resolver()
            return found if found is None else _asl_names(found)

        return resolve

    return built


def _asl_names(response: dict[str, Any]) -> dict[str, Any]:
    """Members with their first letter in upper case, instants as Unix seconds."""
    return {
        key[0].upper() + key[1:]: value.timestamp() if isinstance(value, datetime) else value
        for key, value in response.items()
    }
