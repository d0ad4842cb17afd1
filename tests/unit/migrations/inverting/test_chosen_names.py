"""Names that PostgreSQL chooses are known before it does."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.live_catalog import live_catalog
from greenlane.migrations.catalog.model import Catalog, Table
from greenlane.migrations.inverting import grade_inverse
from greenlane.migrations.inverting.naming import MAX_BYTES, chosen_name
from greenlane.migrations.sql.names import quoted
from greenlane.migrations.sql.parsing import parse_script
from tests.effort import examples
from tests.postgres import Database, MakeDatabase

NAMES = st.one_of(
    st.text(st.sampled_from('ab_é€😀 "'), min_size=1, max_size=12),
    st.text(st.sampled_from("abé😀"), min_size=20, max_size=60),
).filter(lambda name: 0 < len(name.encode()) <= MAX_BYTES)
FORMS = (
    "CREATE INDEX ON {t} ({a}, {b})",
    "CREATE INDEX ON {t} (lower({a}), upper({b}), ({a} || {b}), (coalesce({a}, {b})))",
    "CREATE UNIQUE INDEX ON {t} (({a}::varchar), (nullif({a}, {b}))) INCLUDE ({b})",
    "CREATE INDEX ON {t} (({a} = {b}), ({b} IS NULL), (greatest({a}, {b})))",
    "ALTER TABLE {t} ADD CHECK ({a} <> 'x')",
    "ALTER TABLE {t} ADD CHECK ({a} <> {b})",
    "ALTER TABLE {t} ADD UNIQUE ({a}, {b})",
    "ALTER TABLE {t} ADD PRIMARY KEY ({b})",
    "ALTER TABLE {t} ADD FOREIGN KEY ({a}, {b}) REFERENCES target",
    "ALTER TABLE {t} ADD EXCLUDE ({a} WITH =, {b} WITH =)",
)
_tables = itertools.count()


def _build(database: Database) -> None:
    database.execute("CREATE TABLE target (a text, b text, PRIMARY KEY (a, b))")


@pytest.mark.parametrize("form", FORMS)
def test_an_unnamed_object_is_dropped_by_the_name_that_it_got(
    make_database: MakeDatabase, form: str
) -> None:
    database = make_database(_build)

    @settings(max_examples=examples(3, 12), deadline=None, suppress_health_check=list(HealthCheck))
    @given(table=NAMES, columns=st.lists(NAMES, min_size=2, max_size=2, unique=True))
    def both_ways(table: str, columns: list[str]) -> None:
        schema = f"s{next(_tables)}"
        of = f"{schema}.{quoted(table)}"
        one, two = map(quoted, columns)
        sql = form.format(t=of, a=one, b=two)
        with database.connect() as connection:
            connection.execute(f"CREATE SCHEMA {schema}".encode())
            connection.execute(f"CREATE TABLE {of} ({one} text, {two} text)".encode())
            for _ in range(2 if "PRIMARY" not in sql else 1):  # the second finds its name taken
                catalog = live_catalog(connection)
                inverse = grade_inverse(parse_script(sql).statements[0], catalog)
                assert inverse.sql
                connection.execute(sql.encode())
            made = live_catalog(connection)
            for back in inverse.sql:
                connection.execute(back.replace("CONCURRENTLY ", "").encode())
            assert made != catalog
            after = live_catalog(connection)
            assert after.tables[f"{schema}.{table}"] == catalog.tables[f"{schema}.{table}"]
            connection.rollback()

    both_ways()


@given(NAMES, NAMES, st.sets(st.sampled_from(["t_c_idx", "t_c_idx1", "t_c_idx2"])))
def test_a_chosen_name_fits_and_is_free(table: str, column: str, taken: set[str]) -> None:
    name = chosen_name(table, column, "idx", taken)

    assert len(name.encode()) <= MAX_BYTES
    assert name not in taken
    assert chosen_name("t", "c", "idx", taken) not in taken


def test_an_expression_without_a_known_name_is_not_guessed() -> None:
    catalog = Catalog(version=150000, tables={"public.t": Table(schema_name="public", name="t")})
    (statement,) = parse_script("CREATE INDEX ON t ((CASE WHEN a THEN b END))").statements

    inverse = grade_inverse(statement, catalog)

    assert inverse.grade == "none"
    assert "name the index" in inverse.why
