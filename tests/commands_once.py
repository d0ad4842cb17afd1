"""The commands of the app made once, not for each line that a test types.

The runner makes all of them anew each time, which is most of what a line costs.
"""

import functools
from typing import Any

import typer.testing


def make_commands_once() -> None:
    testing: Any = typer.testing
    if not hasattr(testing._get_command, "cache_info"):
        testing._get_command = functools.cache(testing._get_command)
