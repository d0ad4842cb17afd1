"""One local cloud: its endpoint, its clock and its parts, started and stopped together."""

import contextlib
import importlib
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, cast

import boto3
from botocore.config import Config
from moto.core.base_backend import BackendDict
from moto.core.config import default_user_config
from moto.core.model_instances import reset_model_data

from greenlane.clock import ScaledClock
from greenlane.local.context import LocalContext
from greenlane.local.errors import DirectoryInUse, LocalCloudError
from greenlane.local.events import EventBridge
from greenlane.local.functions import Functions
from greenlane.local.gateway import Gateway
from greenlane.local.journal import PERSON, Journal, access_key_of
from greenlane.local.permissions import Permissions
from greenlane.local.schedules import Schedules
from greenlane.local.server import LocalServer
from greenlane.local.topics import Topics
from greenlane.local.transactions import Transactions
from greenlane.local.workflows import Workflows

# Parts that live in modules of their own: `install(context)` returns a `Part`.
WORKLOAD_PARTS = ("cloudwatch", "elb", "containers")
_MARKER = ".greenlane-local-cloud"
_running = threading.Lock()


class Part(Protocol):
    """One part of a local cloud."""

    def start(self) -> None:
        """Begin to work."""
        ...

    def stop(self) -> None:
        """End, leaving no thread, process or patch behind."""
        ...


class LocalCloud:
    """An AWS endpoint on this machine whose time runs `time_scale` times as fast.

    A context manager; `start` and `stop` do the same by hand. Each start begins with nothing in
    the account. One at a time in a process, for moto keeps its state in its modules.

    Args:
        directory: where logs, unpacked code and the journal go; emptied at each start. It must
            be new, empty or a local cloud's of before (else `DirectoryInUse`).
        time_scale: virtual seconds for each real second, more than 0.
        region: the region that the parts serve.
        seed: makes what is random repeatable.
        parts: what a workload needs besides (alarms, containers, the balancer), by module name;
            none of it for a cloud with functions, workflows and events only.
        origin: the instant at which the virtual clock and the machine's show the same, aware; that
            of the start if left out.
    """

    def __init__(
        self,
        directory: Path | str,
        time_scale: float = 60,
        region: str = "eu-west-1",
        seed: int = 7,
        parts: tuple[str, ...] = WORKLOAD_PARTS,
        origin: datetime | None = None,
    ) -> None:
        """See the class."""
        self.directory = Path(directory).resolve()
        self.time_scale = time_scale
        self.region = region
        self.seed = seed
        self._modules = parts
        self._origin = origin
        self.parts: dict[str, Any] = {}
        self._context: LocalContext | None = None
        self._server: LocalServer | None = None
        self._stack = contextlib.ExitStack()
        self._sessions = threading.local()

    @property
    def context(self) -> LocalContext:
        """What the parts share; raises `LocalCloudError` unless the cloud runs."""
        if self._context is None:
            raise LocalCloudError("the local cloud does not run: call start() first")
        return self._context

    @property
    def server(self) -> LocalServer:
        """The endpoint, with its hooks; raises `LocalCloudError` unless the cloud runs."""
        if self._server is None:
            raise LocalCloudError("the local cloud does not run: call start() first")
        return self._server

    @property
    def clock(self) -> ScaledClock:
        """The virtual clock."""
        return self.context.clock

    @property
    def endpoint_url(self) -> str:
        """What `aws --endpoint-url` and boto3 take."""
        return self.context.endpoint_url

    @property
    def gateway(self) -> Gateway:
        """The REST APIs."""
        return cast(Gateway, self.parts["gateway"])

    @property
    def workflows(self) -> Workflows:
        """Step Functions."""
        return cast(Workflows, self.parts["workflows"])

    def client(self, service: str, caller: str = PERSON, **arguments: Any) -> Any:
        """A boto3 client for this cloud; the journal knows its calls as `caller`'s.

        `arguments` go to boto3 (another `region_name`, a `config`).
        """
        key = access_key_of(caller)
        self._journal.name_caller(key, caller)
        session: Any = getattr(self._sessions, "session", None)
        if session is None:
            session = self._sessions.session = boto3.Session()
        settings = {
            "region_name": self.region,
            "endpoint_url": self.endpoint_url,
            "aws_access_key_id": key,
            "aws_secret_access_key": "local",
            "config": Config(max_pool_connections=50),
        }
        return session.client(service, **(settings | arguments))

    def transitions(self, execution_arn: str) -> int:
        """Billable state transitions of an execution: states entered plus retries."""
        return self.workflows.transitions(execution_arn)

    def start(self) -> None:
        """Start everything; on an error whatever had started is stopped again."""
        if not _running.acquire(blocking=False):
            raise LocalCloudError("another local cloud runs in this process: stop it first")
        self._stack.callback(_running.release)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything, in reverse; harmless when nothing runs."""
        try:
            self._stack.close()
        finally:
            self.parts.clear()
            self._context = self._server = None

    def _start(self) -> None:
        _empty(self.directory)
        _forget_state()
        self._stack.callback(_forget_state)
        calls: list[Any] = []
        journal = Journal(self.directory / "calls.jsonl", calls)
        self._stack.callback(journal.close)
        self._journal = journal
        self._server = server = LocalServer(journal)
        events = EventBridge()
        self._context = context = LocalContext(
            region=self.region,
            directory=self.directory,
            clock=ScaledClock(self._origin or datetime.now(UTC), self.time_scale),
            endpoint_url=server.url,
            put_event=events.put_event,
            calls=calls,
            seed=self.seed,
        )
        self._stack.callback(_restore_config, dict(default_user_config))
        default_user_config["stepfunctions"] = {"execute_state_machine": True}
        server.start()
        self._stack.callback(server.stop)
        self._begin("transactions", Transactions())
        self._begin("permissions", Permissions(self.region))
        functions = Functions(context, journal)
        self._begin("functions", functions)
        self._begin("gateway", Gateway(context))
        self._begin("topics", Topics(context, functions))
        self._begin("workflows", Workflows(context, journal))
        events.bind(context, functions)
        self._begin("events", events)
        self._begin("schedules", Schedules(context, events))
        for name in self._modules:
            module = importlib.import_module(f"greenlane.local.{name}")
            self._begin(name, module.install(context))

    def _begin(self, name: str, part: Part) -> None:
        self._stack.callback(part.stop)
        self.parts[name] = part
        part.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _forget_state() -> None:
    BackendDict.reset()
    reset_model_data()


def _restore_config(saved: dict[str, Any]) -> None:
    config = cast(dict[str, Any], default_user_config)
    config.clear()
    config.update(saved)


def _empty(directory: Path) -> None:
    """Make `directory` an empty local cloud's directory, or refuse to."""
    marker = directory / _MARKER
    if directory.exists() and any(directory.iterdir()) and not marker.exists():
        raise DirectoryInUse(f"{directory} has files that are not a local cloud's: choose another")
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    marker.touch()
