"""ALTER TABLE: where and how a table is kept, its owner, its row security and its triggers."""

from greenlane.migrations.validating.judging.change import Change
from greenlane.migrations.validating.model import LockMode

_STRONG_OPTIONS = frozenset({"user_catalog_table", "security_barrier", "check_option"})
"""Storage parameters whose lock is ACCESS EXCLUSIVE; of tables all others take SHARE UPDATE
EXCLUSIVE (reloptions.c)."""


def options(change: Change) -> None:
    """SET and RESET of storage parameters."""
    items = change.node.get("def", {}).get("list", {}).get("items", ())
    names = {str(one["def_elem"]["defname"]) for one in items}
    if names & _STRONG_OPTIONS or change.table.kind == "materialized" and not names:
        change.verdict.lock(change.key, LockMode.ACCESS_EXCLUSIVE)


def moves(change: Change) -> None:
    """SET TABLESPACE, LOGGED, UNLOGGED and ACCESS METHOD copy the whole table."""
    verdict = change.verdict
    words = {
        "AT_SetTableSpace": "SET TABLESPACE",
        "AT_SetLogged": "SET LOGGED",
        "AT_SetUnLogged": "SET UNLOGGED",
        "AT_SetAccessMethod": "SET ACCESS METHOD",
    }
    verdict.rewrite(change.key)
    what = words[change.kind]
    if change.kind == "AT_SetUnLogged":
        verdict.needs("contract")
        what += ", after which a crash empties the table"
    verdict.find("moves-storage", change.key, what=what, cost=verdict.writing(change.key))


def replica_identity(change: Change) -> None:
    """REPLICA IDENTITY."""
    change.verdict.find("replica-identity", change.key)
    kinds = {"n": "nothing", "f": "full", "i": "index"}
    kind = str(change.detail("replica_identity_stmt").get("identity_type", "d"))
    change.world.change(change.key, replica_identity=kinds.get(kind, "default"))


def owner(change: Change) -> None:
    """OWNER TO: the old owner keeps only what was granted to it."""
    if change.world.in_use(change.key):
        change.verdict.needs("contract")
    change.verdict.find("owner-changed", change.key)


def row_security(change: Change) -> None:
    """ENABLE and FORCE ROW LEVEL SECURITY."""
    if change.world.in_use(change.key):
        change.verdict.needs("contract")
    change.verdict.find("row-security", change.key)
    change.world.change(change.key, row_security=True)


def enable_trigger(change: Change) -> None:
    """ENABLE TRIGGER, of one, of the users' or of all."""
    change.verdict.find("trigger-on-writes", change.key, what="ENABLE TRIGGER")


def disable_trigger(change: Change) -> None:
    """DISABLE TRIGGER, or one that fires on replicas only."""
    if change.world.in_use(change.key):
        change.verdict.needs("contract")
    change.verdict.find("trigger-disabled", change.key)


def switch_rule(change: Change) -> None:
    """ENABLE and DISABLE RULE: statements of every version mean something else from then on."""
    if change.world.in_use(change.key):
        change.verdict.needs("contract")
    what = f"a rule of {change.key} that is switched on or off"
    change.verdict.find("replaces-code", change.key, what=what)
