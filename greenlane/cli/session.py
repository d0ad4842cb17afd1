"""What the global options of one command line decide: which cloud, and how to print."""

import getpass
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any

from greenlane.cli.exits import ExitCode
from greenlane.cli.local_state import find_local
from greenlane.cli.visible import visible
from greenlane.errors import InvalidInput

if TYPE_CHECKING:
    from datetime import datetime

    from pydantic import BaseModel
    from rich.console import Console

    from greenlane.deployments.client import Greenlane
    from greenlane.experiments.storing.store import ExperimentStore
    from greenlane.flags.storing.store import FlagStore
    from greenlane.incidents.reports import Reports

LOCAL_DIRECTORY = Path("build/local")
"""Where a local cloud keeps its state unless told otherwise, seen from the working directory."""

POLL_SECONDS = 5.0
"""Between two looks at AWS. Each look costs three calls of the load balancer's API, which allows
an account about ten a second."""

LOCAL_POLL_SECONDS = 0.5


@dataclass
class Session:
    """One run of the command.

    The local cloud is used only when asked for: `--local`, or `GREENLANE_LOCAL=1` without
    `--profile` and `--endpoint-url`. Real credentials are never sent to it.
    """

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    local: bool = False
    directory: Path = LOCAL_DIRECTORY
    as_json: bool = False
    debug: bool = False
    by: str | None = None
    sleep: Callable[[float], None] = field(default=sleep)

    def check(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            InvalidInput: naming the option.
        """
        if not self.local:
            return
        for name in ("profile", "endpoint_url"):
            if getattr(self, name) is not None:
                raise InvalidInput(
                    f"--{name.replace('_', '-')}",
                    getattr(self, name),
                    "it names another cloud than --local; give one of the two",
                )

    @cached_property
    def client(self) -> "Greenlane":
        """The cloud's client, made on first use; importing it takes a third of a second."""
        from greenlane.deployments.client import Greenlane

        if self.is_local:
            return self._connect_locally()
        return Greenlane.connect(self.profile, self.region, self.endpoint_url)

    @cached_property
    def reports(self) -> "Reports":
        """The cloud's reports."""
        from greenlane.incidents.reports import Reports

        return Reports(self.client.connection)

    @cached_property
    def flags(self) -> "FlagStore":
        """Where the cloud keeps its feature flags."""
        return self.client.flags

    @cached_property
    def experiments(self) -> "ExperimentStore":
        """Where the cloud keeps its A/B tests."""
        return self.client.experiments

    @property
    def now(self) -> "datetime":
        """The cloud's time."""
        return self.client.connection.clock.now()

    @property
    def is_local(self) -> bool:
        """Whether the local cloud was asked for."""
        if self.local:
            return True
        asked = os.environ.get("GREENLANE_LOCAL", "") not in ("", "0")
        return asked and self.profile is None and self.endpoint_url is None

    def _connect_locally(self) -> "Greenlane":
        from greenlane.clock import ScaledClock
        from greenlane.deployments.client import Greenlane

        state = find_local(self.directory)
        if state is None:
            raise InvalidInput(
                "--local",
                str(self.directory),
                "no local cloud runs from there; start one with `greenlane local up`",
            )
        return Greenlane.connect(
            region=self.region or state.region,
            endpoint_url=state.endpoint_url,
            clock=ScaledClock(state.origin, state.time_scale),
            credentials=("local", "local"),
        )

    @property
    def poll_seconds(self) -> float:
        """Real seconds between two looks while watching."""
        return LOCAL_POLL_SECONDS if self.is_local else POLL_SECONDS

    @property
    def person(self) -> str:
        """Who is recorded as having asked."""
        if self.by:
            return self.by
        try:
            return getpass.getuser()
        except (KeyError, OSError):
            return "unknown"

    @cached_property
    def principal(self) -> str:
        """Who is recorded as having changed a flag or a test, which approvals rely on.

        On AWS that is whose credentials these are, whatever `--by` says; the local cloud knows
        nobody, so there it is `person`.
        """
        if self.is_local:
            return self.person
        return self.client.connection.principal

    @cached_property
    def console(self) -> "Console":
        """Where people's output goes: coloured on a terminal, plain otherwise."""
        from greenlane.cli.console import SafeConsole

        return SafeConsole(highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """One line for people; nothing when the output is JSON."""
        if not self.as_json:
            self.console.print(text, markup=False)

    def warn(self, text: str) -> None:
        """One line on stderr, whatever the output."""
        print(visible(f"warning: {text}"), file=sys.stderr)

    def emit(self, value: "BaseModel | list[Any] | dict[str, Any]") -> None:
        """One JSON document on stdout, when the output is JSON."""
        if self.as_json:
            print(json.dumps(plain(value)), flush=True)


def plain(value: Any) -> Any:
    """A value as JSON knows it: models by their fields, exit codes as numbers."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return int(value) if isinstance(value, ExitCode) else value
