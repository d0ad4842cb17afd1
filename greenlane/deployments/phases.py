"""The phases of a deployment, and which may follow which. Pure tables; no I/O.

Two rules for this file:

1. Everything that asks "may this happen now?" asks a table here.
2. A phase changes only by one conditional write on the service's record.
"""

from enum import StrEnum


class Phase(StrEnum):
    """Where a service's latest deployment stands."""

    PLANNING = "planning"
    PREPARING = "preparing"
    SHIFTING = "shifting"
    PROMOTED = "promoted"
    WATCHING = "watching"
    RETIRED = "retired"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    HELD = "held"
    REFUSED = "refused"


FOLLOWS: dict[Phase, frozenset[Phase]] = {
    Phase.PLANNING: frozenset({Phase.PREPARING, Phase.REFUSED, Phase.ROLLING_BACK}),
    Phase.PREPARING: frozenset({Phase.SHIFTING, Phase.ROLLING_BACK}),
    Phase.SHIFTING: frozenset({Phase.PROMOTED, Phase.ROLLING_BACK}),
    Phase.PROMOTED: frozenset({Phase.WATCHING, Phase.RETIRED, Phase.ROLLING_BACK}),
    Phase.WATCHING: frozenset({Phase.RETIRED, Phase.ROLLING_BACK}),
    Phase.RETIRED: frozenset({Phase.ROLLING_BACK}),
    Phase.ROLLING_BACK: frozenset({Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.HELD}),
    Phase.HELD: frozenset({Phase.ROLLING_BACK}),
    Phase.ROLLED_BACK: frozenset(),
    Phase.REFUSED: frozenset(),
}
"""What one deployment may become. A new deployment's `planning` replaces any phase in `FREE`."""

LEASED = frozenset(
    {Phase.PLANNING, Phase.PREPARING, Phase.SHIFTING, Phase.PROMOTED, Phase.ROLLING_BACK}
)
"""The deployment holds the service's lease: no other may begin."""

FREE = frozenset(Phase) - LEASED
"""A new deployment may begin, which also closes the watch of the one before."""

WITHOUT_TRAFFIC = frozenset({Phase.PLANNING, Phase.PREPARING})
"""The candidate never had weight: going back is abandoning, without touching the rule."""

LET_GO = frozenset({Phase.WATCHING, Phase.RETIRED})
"""The old slot is smaller than it was, or becomes so at this moment."""

REVERSIBLE = frozenset(
    {
        Phase.PLANNING,
        Phase.PREPARING,
        Phase.SHIFTING,
        Phase.PROMOTED,
        Phase.WATCHING,
        Phase.RETIRED,
        Phase.HELD,
    }
)
"""A trigger may begin a rollback from here."""

DIES_BACKWARD = frozenset({Phase.PLANNING, Phase.PREPARING, Phase.SHIFTING})
"""If the forward execution dies here, the deployment goes back."""

DIES_FORWARD = frozenset({Phase.PROMOTED})
"""If the forward execution dies here, the deployment is completed."""

TERMINAL = frozenset({Phase.WATCHING, Phase.RETIRED, Phase.ROLLED_BACK, Phase.HELD, Phase.REFUSED})
"""The deployment has its outcome."""
