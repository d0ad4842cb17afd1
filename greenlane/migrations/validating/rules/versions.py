"""The rules about versions that are still in use, and about data that is lost."""

from greenlane.migrations.validating.rules.shape import Rule

_CONTRACT = "in contract, when no version that uses it can come back"

VERSIONS = (
    Rule(
        "phase-too-early",
        "block",
        "a statement whose file has an earlier phase than it needs",
        "it breaks versions that are still in use, or that a rollback brings back",
        "move it to a file of the phase that it needs",
    ),
    Rule(
        "drop-column",
        "warn",
        "DROP COLUMN",
        "its values are lost, and versions that name it fail",
        _CONTRACT,
    ),
    Rule(
        "drop-table",
        "warn",
        "DROP TABLE",
        "its rows are lost, and versions that name it fail",
        f"{_CONTRACT}; a table with foreign keys locks the other tables too",
    ),
    Rule(
        "drop-object",
        "warn",
        "a DROP of a view, function, type, sequence, schema or extension",
        "versions that use it fail",
        _CONTRACT,
    ),
    Rule(
        "drop-cascade",
        "block",
        "a DROP with CASCADE",
        "what else goes is not written anywhere, and may be in use",
        "drop each dependent object by its name, in an order that needs no CASCADE",
    ),
    Rule(
        "drop-constraint",
        "warn",
        "DROP CONSTRAINT of a primary key or a unique constraint",
        "`ON CONFLICT` on its columns fails, foreign keys to it and replication need it",
        _CONTRACT,
    ),
    Rule(
        "drop-default",
        "warn",
        "DROP DEFAULT of a column that must not be NULL",
        "versions that leave the column out of their INSERT fail",
        _CONTRACT,
    ),
    Rule(
        "index-may-be-used",
        "warn",
        "a DROP of an index",
        "queries of the versions in use may need it, and making it again takes long",
        "look at `pg_stat_user_indexes.idx_scan` first; rather in contract",
    ),
    Rule(
        "rename-column",
        "block",
        "a rename of a column",
        "versions that use the old name fail the moment it runs, and the new ones before it",
        "a new column, a trigger that keeps both, a backfill, and a drop in contract, as they are "
        "planned",
    ),
    Rule(
        "rename-table",
        "block",
        "a rename of a table or view, or another schema for it",
        "versions that use the old name fail the moment it runs, and the new ones before it",
        "in one transaction with a view of the old name over it, which takes writes too; the view "
        "goes in contract",
    ),
    Rule(
        "rename-object",
        "block",
        "a rename of a function, type, label, schema or sequence, or another schema for it",
        "versions that use the old name fail the moment it runs, and the new ones before it",
        "make a second one by the new name, and drop the old one in contract",
    ),
    Rule(
        "type-change",
        "info",
        "a change of a column's type that leaves all rows alone",
        "versions in use may read values that they do not expect",
        "it is the safe form; see that the versions in use can read the wider values",
    ),
    Rule(
        "constraint-on-writes",
        "info",
        "a constraint that new writes must meet",
        "a version in use that breaks it gets an error from then on",
        "see that every version in use meets it; NOT VALID spares old rows only",
    ),
    Rule(
        "column-must-be-given",
        "warn",
        "NOT NULL on a column that the plan added, without a default",
        "the version in use does not know the column, and its INSERTs fail",
        "give the column a default or a trigger; or in contract",
    ),
    Rule(
        "row-security",
        "warn",
        "ENABLE or FORCE ROW LEVEL SECURITY, or a policy that takes rows away",
        "versions in use see and write fewer rows, or none, without an error",
        "policies first, tried with the service's own role; then this, in contract",
    ),
    Rule(
        "owner-changed",
        "warn",
        "another owner",
        "the role that owned it loses every right that it was not granted",
        "GRANT to the role of the service first; then this, in contract",
    ),
    Rule(
        "revoke",
        "warn",
        "REVOKE",
        "versions that use the right fail",
        _CONTRACT,
    ),
    Rule(
        "trigger-disabled",
        "warn",
        "DISABLE TRIGGER, or a DROP of one",
        "what it kept in step, such as a column of the other version, is not kept from then on",
        _CONTRACT,
    ),
    Rule(
        "trigger-on-writes",
        "info",
        "a new trigger",
        "it runs within each write of every version, and its errors are theirs",
        "keep it short, without queries of other tables, and never let it raise",
    ),
    Rule(
        "replaces-code",
        "warn",
        "CREATE OR REPLACE, or ALTER, of a view or function that may be in use",
        "versions in use get the new meaning at once",
        "only what gives the old version the same results; else one by a new name",
    ),
    Rule(
        "replica-identity",
        "info",
        "another REPLICA IDENTITY",
        "with NOTHING updates fail while the table is published; FULL logs whole old rows",
        "the primary key, or a unique index USING INDEX",
    ),
)
