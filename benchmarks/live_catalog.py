"""The catalog of a live database, as far as the rules look at it, read as plainly as can be."""

from typing import Any

import psycopg

from greenlane.migrations.catalog.model import (
    Catalog,
    Column,
    Constraint,
    Function,
    Index,
    Table,
    Trigger,
    UserType,
    View,
)

_OURS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
_KINDS = {"r": "table", "p": "partitioned", "m": "materialized", "f": "foreign"}
_CONSTRAINTS = {
    "p": "primary",
    "u": "unique",
    "f": "foreign",
    "c": "check",
    "x": "exclusion",
    "n": "not null",
}
_VOLATILITY = {"i": "immutable", "s": "stable", "v": "volatile"}

_TABLES = f"""
SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.reltuples::bigint, pg_table_size(c.oid),
  pg_get_userbyid(c.relowner), c.relrowsecurity,
  (SELECT pn.nspname || '.' || p.relname FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
   JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid AND c.relispartition),
  pg_get_expr(c.relpartbound, c.oid), pg_get_partkeydef(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'f') AND {_OURS} ORDER BY 2, 3"""

_COLUMNS = """
SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
  pg_get_expr(d.adbin, d.adrelid), a.attgenerated::text, a.attidentity::text,
  (SELECT collname FROM pg_collation c JOIN pg_type t ON t.oid = a.atttypid
   WHERE c.oid = a.attcollation AND t.typcollation <> c.oid)
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum"""

_INDEXES = """
SELECT i.indrelid, c.relname, pg_get_indexdef(i.indexrelid), i.indexprs IS NOT NULL,
  i.indisunique, i.indisprimary, i.indisvalid, pg_get_expr(i.indpred, i.indrelid),
  (SELECT conname FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN
   ('p', 'u', 'x') LIMIT 1), ARRAY(SELECT a.attname FROM unnest(i.indkey::int2[]) WITH ORDINALITY
   AS u (n, at) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.n ORDER BY u.at)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid ORDER BY 1, 2"""

_KEYS = """
SELECT k.conrelid, k.conname, k.contype::text, pg_get_constraintdef(k.oid), k.convalidated,
  (SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid =
   c.relnamespace WHERE c.oid = k.confrelid),
  ARRAY(SELECT a.attname FROM unnest(k.conkey) u JOIN pg_attribute a ON a.attrelid = k.conrelid
   AND a.attnum = u)
FROM pg_constraint k WHERE k.conrelid <> 0 AND k.contype IN ('p', 'u', 'f', 'c', 'x', 'n')
ORDER BY 1, 2"""

_DEPENDENTS = """
SELECT DISTINCT d.refobjid, CASE v.relkind WHEN 'm' THEN 'materialized ' ELSE 'view ' END
  || n.nspname || '.' || v.relname, a.attname
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
JOIN pg_class v ON v.oid = r.ev_class JOIN pg_namespace n ON n.oid = v.relnamespace
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND v.oid <> d.refobjid
UNION SELECT d.refobjid, 'policy ' || p.polname, a.attname FROM pg_depend d
JOIN pg_policy p ON p.oid = d.objid AND d.classid = 'pg_policy'::regclass
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"""

_TRIGGERS = """
SELECT t.tgrelid, t.tgname, pg_get_triggerdef(t.oid), t.tgenabled <> 'D'
FROM pg_trigger t WHERE NOT t.tgisinternal ORDER BY 1, 2"""

_TYPES = f"""
SELECT n.nspname, t.typname, t.typtype::text, format_type(t.typbasetype, t.typtypmod),
  t.typnotnull OR EXISTS (SELECT 1 FROM pg_constraint k WHERE k.contypid = t.oid),
  ARRAY(SELECT enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY enumsortorder)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype IN ('e', 'd') AND {_OURS}"""

Connection = psycopg.Connection[Any]


def live_catalog(connection: Connection) -> Catalog:
    """Of the whole database, in a few queries."""
    parts = {
        query: _grouped(connection, query)
        for query in (_COLUMNS, _INDEXES, _KEYS, _TRIGGERS, _DEPENDENTS)
    }
    tables: dict[str, Table] = {}
    for (
        oid,
        schema,
        name,
        kind,
        rows,
        size,
        owner,
        secured,
        parent,
        bound,
        partition_key,
    ) in connection.execute(_TABLES):
        dependents: dict[str, tuple[str, ...]] = {}
        for who, column in parts[_DEPENDENTS].get(oid, ()):
            dependents[who] = (*dependents.get(who, ()), column)
        tables[f"{schema}.{name}"] = Table(
            schema_name=schema,
            name=name,
            kind=_KINDS[kind],
            columns=tuple(_column(*one) for one in parts[_COLUMNS].get(oid, ())),
            indexes=tuple(_index(*one) for one in parts[_INDEXES].get(oid, ())),
            constraints=tuple(_constraint(*one) for one in parts[_KEYS].get(oid, ())),
            triggers=tuple(
                Trigger(name=one, definition=definition, enabled=enabled)
                for one, definition, enabled in parts[_TRIGGERS].get(oid, ())
            ),
            rows=None if rows < 0 else rows,
            bytes=size,
            owner=owner,
            dependents=dependents,
            parent=parent,
            bound=bound,
            partition_key=partition_key,
            row_security=secured,
        )
    version = int(connection.info.server_version)
    zone = connection.execute("SHOW TimeZone").fetchone()
    return Catalog(
        version=version,
        tables=_joined(tables),
        views=_views(connection),
        functions=_functions(connection),
        types=_types(connection),
        time_zone=zone[0] if zone else "UTC",
    )


def _grouped(connection: Connection, query: str) -> dict[int, list[tuple[Any, ...]]]:
    found: dict[int, list[tuple[Any, ...]]] = {}
    for oid, *rest in connection.execute(query.encode()):
        found.setdefault(oid, []).append(tuple(rest))
    return found


def _column(*row: Any) -> Column:
    name, kind, not_null, default, generated, identity, collation = row
    return Column(
        name=name,
        type=kind,
        not_null=not_null,
        default=None if generated else default,
        generated={"s": "stored", "v": "virtual"}.get(generated),
        identity={"a": "always", "d": "by default"}.get(identity),
        collation=collation,
    )


def _index(*row: Any) -> Index:
    name, definition, expressions, unique, primary, valid, predicate, constraint, columns = row
    return Index(
        name=name,
        definition=definition,
        columns=tuple(columns),
        has_expressions=expressions,
        unique=unique,
        primary=primary,
        valid=valid,
        predicate=predicate,
        constraint=constraint,
    )


def _constraint(*row: Any) -> Constraint:
    name, kind, definition, validated, references, columns = row
    return Constraint(
        name=name,
        kind=_CONSTRAINTS[kind],
        definition=definition,
        columns=tuple(columns),
        validated=validated,
        references=references,
    )


def _joined(tables: dict[str, Table]) -> dict[str, Table]:
    """With what other tables say of each: its partitions, and who references it."""
    found = dict(tables)
    for key, table in tables.items():
        if table.parent:
            parent = found[table.parent]
            found[table.parent] = parent.model_copy(
                update={"partitions": (*parent.partitions, key)}
            )
        for one in table.constraints:
            if one.references:
                other = found[one.references]
                by = tuple(dict.fromkeys((*other.referenced_by, key)))
                found[one.references] = other.model_copy(update={"referenced_by": by})
    return found


def _views(connection: Connection) -> dict[str, View]:
    rows = connection.execute(
        f"SELECT n.nspname, c.relname, pg_get_viewdef(c.oid) FROM pg_class c JOIN pg_namespace n "
        f"ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') AND {_OURS}".encode()
    )
    return {
        f"{schema}.{name}": View(schema_name=schema, name=name, definition=definition)
        for schema, name, definition in rows
    }


def _functions(connection: Connection) -> dict[str, tuple[Function, ...]]:
    found: dict[str, tuple[Function, ...]] = {}
    for schema, name, arguments, how in connection.execute(
        f"SELECT n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), "
        f"p.provolatile::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        f"WHERE {_OURS}".encode()
    ):
        made = Function(
            schema_name=schema, name=name, arguments=arguments, volatility=_VOLATILITY[how]
        )
        found[f"{schema}.{name}"] = (*found.get(f"{schema}.{name}", ()), made)
    return found


def _types(connection: Connection) -> dict[str, UserType]:
    return {
        f"{schema}.{name}": UserType(
            schema_name=schema,
            name=name,
            kind="enum" if kind == "e" else "domain",
            base=base if kind == "d" else None,
            constrained=kind == "d" and constrained,
            labels=tuple(labels),
        )
        for schema, name, kind, base, constrained, labels in connection.execute(_TYPES.encode())
    }
