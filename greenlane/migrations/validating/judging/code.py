"""DO blocks, and transaction control."""

from collections.abc import Iterator
from typing import Any

from greenlane.migrations.sql.names import literal, relation_name
from greenlane.migrations.sql.parsing import InvalidSql, Node, Statement, parse_script, plpgsql_of
from greenlane.migrations.validating.verdict import Verdict
from greenlane.migrations.validating.world import Transaction

_OPAQUE = {
    "PLpgSQL_stmt_dynexecute": "EXECUTE",
    "PLpgSQL_stmt_dynfors": "FOR ... IN EXECUTE",
    "PLpgSQL_stmt_call": "CALL",
}
_CONTROL = ("PLpgSQL_stmt_commit", "PLpgSQL_stmt_rollback")


def do(verdict: Verdict, node: Node) -> None:
    """DO: every SQL statement in the block, each as if it ran; what is built as it runs is not."""
    options = {str(one["def_elem"]["defname"]): one["def_elem"] for one in node.get("args", ())}
    language = options.get("language", {}).get("arg", {}).get("string", {}).get("sval", "plpgsql")
    body = str(options["as"]["arg"]["string"].get("sval", ""))
    if language != "plpgsql":
        verdict.certain = False
        verdict.find("opaque-code", what=f"a DO block in {language}")
        return
    try:
        tree = plpgsql_of(f"DO {literal(body)}")
    except InvalidSql as problem:
        verdict.certain = False
        verdict.find("opaque-code", what=f"a DO block that cannot be read ({problem.way_out})")
        return
    outer, verdict.within_code = verdict.within_code, True
    views = set(verdict.world.views)
    for kind, query in _statements(tree):
        _one(verdict, kind, query)
    _allow_swaps(verdict, body, views)
    verdict.within_code = outer
    verdict.runs_as = "transaction"


def _allow_swaps(verdict: Verdict, body: str, views: set[str]) -> None:
    """Renames that nobody sees: the name is taken again, or was a view's, in the same statement.

    All of a block is seen at once. `a` to `b` and `c` to `a` leave a column `a`; a view that is
    dropped for a table of its name leaves something of that name.
    """
    renamed: dict[str, list[tuple[str, str]]] = {}
    for _, query in _statements(plpgsql_of(f"DO {literal(body)}")):
        for node in _renames(query):
            key = verdict.key(relation_name(node))
            if node["rename_type"] == "OBJECT_COLUMN":
                pair = (str(node["subname"]), str(node["newname"]))
                renamed.setdefault(key, []).append(pair)
            elif f"{key.rpartition('.')[0]}.{node['newname']}" in views:
                verdict.allow("rename-table", key)
    for key, pairs in renamed.items():
        if {old for old, _ in pairs} & {new for _, new in pairs}:
            verdict.allow("rename-column", key)


def _renames(query: str) -> Iterator[Node]:
    try:
        statements = parse_script(query, "DO").statements
    except InvalidSql:
        return
    for one in statements:
        if one.kind == "rename_stmt" and "relation" in one.node:
            yield one.node


def _one(verdict: Verdict, kind: str, query: str) -> None:
    if kind in _OPAQUE:
        verdict.certain = False
        verdict.find("opaque-code", what=f"{_OPAQUE[kind]} in a DO block")
    elif kind in _CONTROL:
        verdict.find("transaction-control", what="COMMIT or ROLLBACK in a DO block")
    else:
        try:
            statements = parse_script(query, "DO").statements
        except InvalidSql:
            # Conditions and assignments are expressions, which PL/pgSQL runs as SELECT.
            try:
                statements = parse_script(f"SELECT {query}", "DO").statements
            except InvalidSql:
                verdict.certain = False
                return
        for one in statements:
            verdict.judge(verdict, one)


def _statements(tree: Any) -> Iterator[tuple[str, str]]:
    """Kind and text of all SQL in a PL/pgSQL tree, in its order."""
    if isinstance(tree, list):
        for one in tree:
            yield from _statements(one)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            if key in _OPAQUE or key in _CONTROL:
                yield key, ""
                if isinstance(value, dict) and "body" in value:
                    yield from _statements(value["body"])
            elif key == "PLpgSQL_expr":
                yield key, str(value["query"])
            else:
                yield from _statements(value)


def transaction(verdict: Verdict, node: Node) -> None:
    """BEGIN, COMMIT and their like: the runner's business."""
    kind = str(node.get("kind", "TRANS_STMT_BEGIN")).removeprefix("TRANS_STMT_")
    verdict.find("transaction-control", what=f"{kind.replace('_', ' ')} in a migration")
    if kind in ("BEGIN", "START"):
        verdict.world.transaction = Transaction(verdict.statement.line)
    elif kind in ("COMMIT", "ROLLBACK", "PREPARE"):
        verdict.world.transaction = None


def uses_new_label(statement: Statement, labels: set[str]) -> bool:
    """Whether a label that this transaction added is written as a constant in the statement."""
    return any(literal(one) in statement.text for one in labels)
