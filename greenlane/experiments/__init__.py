"""A/B tests: who sees what, what is counted, and a decision that holds however often one looks.

The pure core decides from numbers and talks to nobody: `assignment`, `decision`, `statistics`,
with numbers from the standard library alone (ADR 0028). The rooms: `storing` (definitions, and how
a change is kept), `counting` (what users were shown and did, exactly once; ADR 0030).

`dealing` is all that a lookup needs, and imports only the standard library's lightest modules.
What services use is imported from here, and only when it is asked for.
"""

TYPE_CHECKING = False  # `typing` itself costs more to import than all of a lookup
if TYPE_CHECKING:
    from greenlane.experiments.manager import ABTestManager

__all__ = ["ABTestManager"]


def __getattr__(name: str) -> object:
    if name != "ABTestManager":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from greenlane.experiments.manager import ABTestManager

    globals()[name] = ABTestManager
    return ABTestManager
