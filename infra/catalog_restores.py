"""The functions that go back to a backup of a database."""

from infra.permissions_restores import RestoreSpec

RESTORES = (
    RestoreSpec(
        "take_restore",
        lambda may: [
            may.table("GetItem", "PutItem", "Query", "UpdateItem"),
            *may.see_databases(),
            may.see_migrations(),
            may.tell(),
        ],
    ),
    RestoreSpec(
        "restore_database",
        lambda may: [may.table("PutItem", "UpdateItem"), *may.restore()],
    ),
    RestoreSpec(
        "verify_restore",
        lambda may: may.look_into_both(),
        timeout_seconds=900,
        in_network=True,
    ),
    RestoreSpec(
        "ask_about_restore",
        lambda may: [
            may.table("GetItem", "PutItem", "UpdateItem"),
            may.answer_itself(),
            may.tell(),
        ],
    ),
    RestoreSpec("heed_restore", lambda may: [may.table("GetItem", "PutItem", "UpdateItem")]),
    RestoreSpec(
        "prepare_cutover",
        lambda may: [
            may.table("GetItem", "PutItem", "UpdateItem"),
            *may.see_new(),
            *may.read_hosts(),
        ],
    ),
    RestoreSpec(
        "cut_over_restore",
        lambda may: [
            may.table("GetItem", "PutItem", "Query", "UpdateItem"),
            may.publish_parameters(),
            *may.write_hosts(),
        ],
    ),
    RestoreSpec("finish_restore", lambda may: [may.table("GetItem", "PutItem", "UpdateItem")]),
    RestoreSpec("tell_restore", lambda may: [may.tell()]),
    RestoreSpec(
        "tell_dead_restore",
        lambda may: [may.table("GetItem", "PutItem"), may.tell()],
    ),
)
