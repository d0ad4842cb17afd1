"""The rules about how a file is written, and about what cannot be judged."""

from greenlane.migrations.validating.rules.shape import Rule

WRITING = (
    Rule(
        "transaction-control",
        "block",
        "BEGIN, COMMIT, ROLLBACK, SAVEPOINT or two-phase commit",
        "the runner gives each statement its own transaction with its line of the ledger; locks "
        "of one statement would be held through the next",
        "leave them out; what must happen at once can be one ALTER TABLE or one DO block",
    ),
    Rule(
        "validate-in-same-transaction",
        "block",
        "VALIDATE CONSTRAINT in the transaction that added the constraint",
        "the strong lock of ADD CONSTRAINT is held through the scan",
        "two statements, in two transactions",
    ),
    Rule(
        "locks-add-up",
        "block",
        "one transaction or ALTER TABLE that holds a strong lock while more work is done",
        "everybody waits for the sum of them; with two tables, deadlocks become possible",
        "one statement in a transaction, and one constraint in an ALTER TABLE",
    ),
    Rule(
        "enum-label-in-same-transaction",
        "block",
        "a label of an enum that is used in the transaction that added it",
        "PostgreSQL refuses it: unsafe use of new value",
        "use it in a later statement",
    ),
    Rule(
        "opaque-code",
        "block",
        "code that builds its SQL as it runs, or cannot be read",
        "neither its locks nor its effect can be told before",
        "plain SQL; or a person who knows what it does accepts it",
    ),
    Rule(
        "session-setting",
        "info",
        "SET or RESET of a session's setting",
        "the runner sets its own timeouts, and the next statement may run in another session",
        "leave it out",
    ),
    Rule(
        "server-wide",
        "block",
        "a statement about the server rather than one database's schema",
        "databases, roles, replication and settings of the server outlive this migration",
        "in the infrastructure's own code",
    ),
    Rule(
        "needs-newer-server",
        "block",
        "syntax that the server's version does not have",
        "it fails",
        "the form for the version that the database runs",
    ),
    Rule(
        "already-there",
        "block",
        "something made anew that the database has, or changed that it has not",
        "it fails",
        "look at the database: somebody changed it by hand, or the file ran before",
    ),
    Rule(
        "exists-check",
        "info",
        "IF NOT EXISTS or IF EXISTS",
        "another table or column of that name, however different, counts as there",
        "leave it out: the ledger knows what ran",
    ),
    Rule(
        "not-judged",
        "block",
        "a statement that no rule knows",
        "its locks and its effect are not known",
        "a person who knows what it does accepts it",
    ),
)
