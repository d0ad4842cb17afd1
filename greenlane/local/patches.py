"""Changes to moto's classes that last as long as one local cloud."""

from typing import Any

_MISSING = object()


class Patches:
    """Replaces attributes and puts the old ones back, in reverse order, on `undo`.

    moto keeps its behaviour on classes and modules, so a change is process-wide: one local cloud
    at a time.
    """

    def __init__(self) -> None:
        """See the class."""
        self._saved: list[tuple[Any, str, Any]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        """Replace `owner.name` (a class, module or instance attribute) by `value`."""
        self._saved.append((owner, name, vars(owner).get(name, _MISSING)))
        setattr(owner, name, value)

    def undo(self) -> None:
        """Put everything back; harmless when repeated."""
        while self._saved:
            owner, name, old = self._saved.pop()
            if old is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, old)
