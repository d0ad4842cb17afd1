"""What is said of a function of the product: its module, its limits, its permissions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from infra.permissions import Permissions
from infra.roles import Allow

Path = Literal["forward", "rollback", "people", "flags", "experiments", "pipelines"]


@dataclass(frozen=True)
class FunctionSpec:
    """One module of `functions/` in the product stack.

    `tick` marks those run each minute, `in_vpc` those that call private addresses of the VPC.
    """

    module: str
    path: Path
    may: Callable[[Permissions], list[Allow]]
    timeout_seconds: int = 60
    memory_mb: int = 512
    tick: bool = False
    in_vpc: bool = False
