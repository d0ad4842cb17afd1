"""A file as it was read. Imports no YAML: what is checked need not have come from a file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from greenlane.problems import Path


@dataclass(frozen=True)
class Source:
    """A file as it was read: its data, and the line on which each path stands.

    `data` is made of dict, list, str, int, float, bool and None. A path is the keys and indexes
    from the top: `("service", "deployment", "steps", 2)`.
    """

    name: str
    text: str
    data: dict[str, Any]
    lines: Mapping[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int | None:
        """The line of a path, or of the nearest part of it that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)
