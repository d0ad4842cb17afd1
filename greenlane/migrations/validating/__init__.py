"""What a statement locks, rewrites and breaks, and its safe form."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenlane.migrations.validating.assessing import assess as assess
    from greenlane.migrations.validating.assessing import problems as problems


def __getattr__(name: str) -> Any:
    """Functions without the parser's layer use the models of this room: it is loaded when asked."""
    if name not in ("assess", "problems"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from greenlane.migrations.validating import assessing

    return getattr(assessing, name)
