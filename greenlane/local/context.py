"""What the parts of the local cloud share: place, clock, events and a journal of API calls."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from greenlane.clock import ScaledClock

ACCOUNT_ID = "123456789012"
CODE = "GREENLANE_LOCAL_CODE"
"""The variable that names a folder for the unpacked code of functions, for several clouds."""


@dataclass(frozen=True)
class ApiCall:
    """One call of the AWS API as the local endpoint saw it.

    `caller` is the name of the Lambda function that called, `states` for Step Functions' own calls,
    or `person`; `at` is a real
    Unix time in seconds (not virtual), taken when the call arrived; `seconds` how long it took.
    """

    at: float
    seconds: float
    caller: str
    service: str
    operation: str
    status: int


@dataclass
class LocalContext:
    """Shared by every part of one running local cloud.

    `put_event(source, detail_type, detail, resources)` delivers an AWS event on the default bus,
    stamped with the virtual instant. `seed` makes what is random repeatable.
    """

    region: str
    directory: Path
    clock: ScaledClock
    endpoint_url: str
    put_event: Callable[[str, str, dict[str, Any], list[str]], None]
    calls: list[ApiCall] = field(default_factory=list)
    seed: int = 7
