"""The functions of rollouts through several Regions, in the Regions of home and standby only."""

from infra.permissions_regions import RegionsPermissions, RegionsSpec
from infra.roles import Allow

TURN_SECONDS = 180
"""All Regions are asked at once, and one that hangs has had its attempts long before."""

TURN_MEMORY_MB = 1024
"""Forty Regions at once are many handshakes."""


def _look(may: RegionsPermissions) -> list[Allow]:
    return [may.see_executions(), *may.see_condition()]


EVERYTHING = ("GetItem", "PutItem", "Query", "UpdateItem")

REGIONS = (
    RegionsSpec(
        "take_rollout",
        lambda may: [may.tables(*EVERYTHING), *_look(may)],
        timeout_seconds=TURN_SECONDS,
        memory_mb=TURN_MEMORY_MB,
    ),
    RegionsSpec(
        "coordinate_regions",
        lambda may: [
            may.tables(*EVERYTHING),
            *_look(may),
            may.start_in_regions(),
            may.pause_in_regions(),
            may.tell(),
        ],
        timeout_seconds=TURN_SECONDS,
        memory_mb=TURN_MEMORY_MB,
    ),
    RegionsSpec("wait_for_regions", lambda may: [may.table("GetItem", "UpdateItem"), may.wake()]),
    RegionsSpec(
        "hand_over_rollout",
        lambda may: [may.table("GetItem", "PutItem", "UpdateItem"), may.go_on()],
    ),
    RegionsSpec(
        "hear_region",
        lambda may: [may.table("GetItem", "Query", "UpdateItem"), may.wake()],
    ),
    RegionsSpec(
        "tend_rollouts",
        lambda may: [
            may.tables(*EVERYTHING),
            *_look(may),
            may.go_on(),
            may.wake(),
            may.tell(),
        ],
        timeout_seconds=TURN_SECONDS,
        memory_mb=TURN_MEMORY_MB,
    ),
)
