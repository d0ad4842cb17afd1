"""What a catalog is read by: a handful of queries, each of the whole database.

The columns have the names of the model's fields.
"""

_FIRST = 16384
"""The server gives lower ids to its own objects only (FirstNormalObjectId in access/transam.h), of
which there are thousands: said of an indexed column, they are not looked at."""

OURS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
_OUR_TABLES = (
    "(SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE c.relkind IN ('r', 'p', 'm', 'f') AND {OURS})"
)
"""The server's own catalogs have thousands of columns, and nobody asks for them."""

TABLES = f"""
SELECT c.oid, n.nspname AS schema_name, c.relname AS name, c.relkind::text AS kind,
  c.reltuples::bigint AS rows, pg_table_size(c.oid) AS bytes, pg_get_userbyid(c.relowner) AS owner,
  c.relrowsecurity AS row_security, c.relforcerowsecurity AS forced_row_security,
  coalesce(c.reloptions, '{{}}') AS options, c.relreplident::text AS identity,
  (SELECT pn.nspname || '.' || p.relname FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
   JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid AND c.relispartition)
  AS parent, pg_get_expr(c.relpartbound, c.oid) AS bound,
  pg_get_partkeydef(c.oid) AS partition_key,
  obj_description(c.oid, 'pg_class') AS comment, coalesce(c.relacl::text[], '{{}}') AS grants
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid >= {_FIRST} AND c.relkind IN ('r', 'p', 'm', 'f') AND {OURS} ORDER BY 2, 3"""

COLUMNS = f"""
SELECT a.attrelid AS of, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
  a.attnotnull AS not_null, pg_get_expr(d.adbin, d.adrelid) AS expression,
  a.attgenerated::text AS generated, a.attidentity::text AS identity,
  CASE WHEN a.attcollation <> t.typcollation THEN
    (SELECT format('%%I.%%I', cn.nspname, o.collname) FROM pg_collation o
     JOIN pg_namespace cn ON cn.oid = o.collnamespace WHERE o.oid = a.attcollation) END
  AS collation, nullif(a.attstorage, t.typstorage)::text AS storage,
  nullif(a.attstattarget, -1)::int AS statistics,
  col_description(a.attrelid, a.attnum) AS comment, coalesce(a.attacl::text[], '{{}}') AS grants
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid >= {_FIRST} AND a.attrelid IN {_OUR_TABLES}
ORDER BY a.attrelid, a.attnum""".replace("%%", "%")

INDEXES = f"""
SELECT i.indrelid AS of, c.relname AS name, pg_get_indexdef(i.indexrelid) AS definition,
  i.indexprs IS NOT NULL AS has_expressions, i.indisunique AS unique, i.indisprimary AS primary,
  i.indisvalid AS valid, i.indisclustered AS clustered, i.indisreplident AS replica_identity,
  pg_get_expr(i.indpred, i.indrelid) AS predicate, pg_relation_size(c.oid) AS bytes,
  (SELECT conname FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN
   ('p', 'u', 'x') LIMIT 1) AS constraint, obj_description(c.oid, 'pg_class') AS comment,
  ARRAY(SELECT a.attname FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u (n, at)
   JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.n
   WHERE u.at <= i.indnkeyatts ORDER BY u.at) AS columns
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid IN {_OUR_TABLES}
ORDER BY 1, 2"""

KEYS = f"""
SELECT k.conrelid AS of, k.conname AS name, k.contype::text AS kind,
  pg_get_constraintdef(k.oid) AS definition, k.convalidated AS validated,
  (SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid =
   c.relnamespace WHERE c.oid = k.confrelid) AS references,
  ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY AS u (n, at)
   JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.at) AS columns,
  ARRAY(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY AS u (n, at)
   JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.at)
  AS referenced_columns, obj_description(k.oid, 'pg_constraint') AS comment
FROM pg_constraint k WHERE k.conrelid IN {_OUR_TABLES}
AND k.contype IN ('p', 'u', 'f', 'c', 'x', 'n') AND k.conparentid = 0 ORDER BY 1, 2"""

TRIGGERS = """
SELECT t.tgrelid AS of, t.tgname AS name, pg_get_triggerdef(t.oid) AS definition,
  t.tgenabled::text AS fires, obj_description(t.oid, 'pg_trigger') AS comment
FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgparentid = 0 ORDER BY 1, 2"""

DEPENDENTS = f"""
SELECT * FROM (
SELECT DISTINCT d.refobjid AS of, CASE v.relkind WHEN 'm' THEN 'materialized ' ELSE 'view ' END
  || n.nspname || '.' || v.relname AS who, a.attname AS column
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
JOIN pg_class v ON v.oid = r.ev_class JOIN pg_namespace n ON n.oid = v.relnamespace
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND v.oid <> d.refobjid
  AND d.refobjid >= {_FIRST}
UNION SELECT d.refobjid, 'policy ' || n.nspname || '.' || p.polname, a.attname FROM pg_depend d
JOIN pg_policy p ON p.oid = d.objid AND d.classid = 'pg_policy'::regclass
JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
UNION SELECT d.refobjid, 'function ' || n.nspname || '.' || f.proname, a.attname FROM pg_depend d
JOIN pg_proc f ON f.oid = d.objid AND d.classid = 'pg_proc'::regclass
JOIN pg_namespace n ON n.oid = f.pronamespace
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.refclassid = 'pg_class'::regclass) AS found WHERE "of" IN {_OUR_TABLES}"""

VIEWS = f"""
SELECT c.oid AS of, n.nspname AS schema_name, c.relname AS name, pg_get_viewdef(c.oid)
  AS definition, coalesce(c.relacl::text[], '{{}}') AS grants, pg_get_userbyid(c.relowner) AS owner,
  coalesce(c.reloptions, '{{}}') AS options, obj_description(c.oid, 'pg_class') AS comment
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid >= {_FIRST} AND c.relkind IN ('v', 'm') AND {OURS}"""

FUNCTIONS = f"""
SELECT n.nspname AS schema_name, p.proname AS name,
  pg_get_function_identity_arguments(p.oid) AS arguments, p.provolatile::text AS volatility,
  p.proisstrict AS strict, CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) ELSE '' END
  AS definition, pg_get_userbyid(p.proowner) AS owner, coalesce(p.proacl::text[], '{{}}') AS grants,
  obj_description(p.oid, 'pg_proc') AS comment
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid >= {_FIRST} AND {OURS}"""

TYPES = f"""
SELECT n.nspname AS schema_name, t.typname AS name, t.typtype::text AS kind,
  format_type(t.typbasetype, t.typtypmod) AS base,
  t.typnotnull OR EXISTS (SELECT 1 FROM pg_constraint k WHERE k.contypid = t.oid) AS constrained,
  ARRAY(SELECT enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY enumsortorder) AS labels,
  pg_get_userbyid(t.typowner) AS owner, coalesce(t.typacl::text[], '{{}}') AS grants,
  obj_description(t.oid, 'pg_type') AS comment
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE t.oid >= {_FIRST} AND {OURS}
AND (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND c.relkind = 'c')"""

NAMES = f"""
SELECT current_setting('server_version_num')::int AS version,
  (SELECT coalesce(array_agg(nspname::text ORDER BY 1), '{{}}') FROM pg_namespace n WHERE {OURS})
  AS schemas,
  (SELECT coalesce(array_agg(n.nspname || '.' || c.relname ORDER BY 1), '{{}}') FROM pg_class c
   JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S' AND {OURS}) AS sequences,
  (SELECT array_agg(extname::text ORDER BY 1) FROM pg_extension) AS extensions,
  (SELECT array_agg(s::text) FROM unnest(current_schemas(false)) AS s) AS search_path,
  current_setting('TimeZone') AS time_zone"""
