"""The functions of database migrations: some speak to AWS only, some to a database only."""

from infra.permissions_migrations import MigrationPermissions, MigrationSpec
from infra.roles import Allow

SLICE_SECONDS = 900
"""As long as Lambda lets a function run; a slice ends well before."""


def _in_the_database(may: MigrationPermissions) -> list[Allow]:
    return [may.read_plans(), *may.sign_in()]


MIGRATIONS = (
    MigrationSpec(
        "take_migration",
        lambda may: [*may.see_fleet(), may.read_plans(), may.see_migrations(), may.tell()],
    ),
    MigrationSpec("check_migration", _in_the_database, timeout_seconds=300, in_network=True),
    MigrationSpec(
        "back_up_database",
        lambda may: [may.table("PutItem", "UpdateItem"), *may.back_up()],
    ),
    MigrationSpec(
        "watch_migration",
        lambda may: [*may.see_fleet(), may.read_plans(), may.see_alarms(), may.tell()],
    ),
    MigrationSpec(
        "run_migration",
        _in_the_database,
        timeout_seconds=SLICE_SECONDS,
        memory_mb=1024,
        in_network=True,
    ),
    MigrationSpec(
        "undo_migration",
        _in_the_database,
        timeout_seconds=SLICE_SECONDS,
        memory_mb=1024,
        in_network=True,
    ),
    MigrationSpec(
        "hand_over_migration",
        lambda may: [
            may.table("GetItem", "PutItem", "UpdateItem"),
            may.go_on(),
            may.see_migrations(),
        ],
    ),
    MigrationSpec(
        "publish_migration",
        lambda may: [
            may.table("GetItem", "PutItem", "UpdateItem"),
            may.read_plans(),
            may.publish_parameters(),
        ],
    ),
    MigrationSpec(
        "release_migration",
        lambda may: [may.table("GetItem", "PutItem", "UpdateItem")],
    ),
    MigrationSpec("tell_migration", lambda may: [may.tell()]),
    MigrationSpec(
        "tell_dead_migration",
        lambda may: [may.table("GetItem", "PutItem"), may.tell()],
    ),
    MigrationSpec(
        "tick_migrations",
        lambda may: [may.table("GetItem", "PutItem", "Query"), may.go_on()],
        tick=True,
    ),
)
