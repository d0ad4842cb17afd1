"""What is read of a live database is what stands there."""

import pytest

from benchmarks.live_catalog import live_catalog
from greenlane.migrations.catalog.model import Catalog
from tests.postgres import Database

SHOP = """
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE "Kunden" (id bigserial PRIMARY KEY, mail text COLLATE "C" NOT NULL);
CREATE TABLE orders (
  id int GENERATED ALWAYS AS IDENTITY,
  kunde bigint DEFAULT 7,
  felt mood,
  amount positive,
  twice int GENERATED ALWAYS AS (kunde * 2) STORED,
  PRIMARY KEY (id, kunde)
);
ALTER TABLE orders ADD CONSTRAINT orders_kunde FOREIGN KEY (kunde)
  REFERENCES "Kunden" (id) NOT VALID;
CREATE UNIQUE INDEX orders_mood ON orders (felt) WHERE amount > 1;
CREATE INDEX orders_abs ON orders (abs(kunde), kunde);
CREATE TABLE events (at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE VIEW glad AS SELECT id, amount FROM orders WHERE felt = 'glad';
CREATE FUNCTION later(n int) RETURNS timestamptz LANGUAGE sql VOLATILE STRICT
  AS 'SELECT clock_timestamp()';
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER noted BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION noted();
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON orders USING (amount < 9);
CREATE SEQUENCE counted;
"""


@pytest.fixture
def found(database: Database) -> Catalog:
    database.execute(*(part for part in SHOP.split(";\n") if part.strip()))
    with database.connect() as connection:
        return live_catalog(connection)


def test_tables_are_known_by_schema_and_true_name(found: Catalog) -> None:
    assert set(found.tables) == {
        "public.Kunden", "public.orders", "public.events", "public.events_2026",
    }  # fmt: skip
    assert found.table(None, "orders") == found.tables["public.orders"]
    assert found.tables["public.orders"].rows is None, "it was never analysed"


def test_columns_say_how_they_get_their_values(found: Catalog) -> None:
    orders = found.tables["public.orders"]
    columns = {one.name: one for one in orders.columns}
    assert list(columns) == ["id", "kunde", "felt", "amount", "twice"]
    assert columns["id"].identity == "always"
    assert (columns["kunde"].default, columns["kunde"].not_null) == ("7", True)
    assert (columns["felt"].type, columns["amount"].type) == ("mood", "positive")
    assert (columns["twice"].generated, columns["twice"].default) == ("stored", None)
    mail = found.tables["public.Kunden"].column("mail")
    assert mail is not None
    assert mail.collation == 'pg_catalog."C"'


def test_keys_indexes_and_constraints_keep_their_order_and_standing(found: Catalog) -> None:
    orders = found.tables["public.orders"]
    assert orders.primary_key() == ("id", "kunde")
    indexes = {one.name: one for one in orders.indexes}
    assert indexes["orders_mood"].unique
    assert indexes["orders_mood"].predicate is not None
    assert indexes["orders_abs"].has_expressions
    assert indexes["orders_abs"].columns == ("kunde",), "expressions are no columns"
    assert indexes["orders_pkey"].constraint == "orders_pkey"
    (key,) = [one for one in orders.constraints if one.kind == "foreign"]
    assert (key.references, key.referenced_columns, key.validated) == (
        "public.Kunden", ("id",), False,
    )  # fmt: skip
    assert found.tables["public.Kunden"].referenced_by == ("public.orders",)


def test_an_index_that_a_failed_build_left_is_not_valid(database: Database) -> None:
    database.execute("CREATE TABLE t (a int)", "INSERT INTO t VALUES (1), (1)")
    with pytest.raises(Exception, match="could not create unique index"):
        database.execute("CREATE UNIQUE INDEX CONCURRENTLY twice ON t (a)")
    with database.connect() as connection:
        (left,) = live_catalog(connection).tables["public.t"].indexes
    assert (left.name, left.valid) == ("twice", False)


def test_partitions_and_their_parent_know_each_other(found: Catalog) -> None:
    parent, part = found.tables["public.events"], found.tables["public.events_2026"]
    assert (parent.kind, parent.partition_key) == ("partitioned", "RANGE (at)")
    assert parent.partitions == ("public.events_2026",)
    assert part.parent == "public.events"
    assert part.bound is not None
    assert "2027-01-01" in part.bound


def test_whatever_uses_a_column_is_named_with_it(found: Catalog) -> None:
    uses = found.tables["public.orders"].dependents
    assert set(uses["view public.glad"]) == {"id", "amount", "felt"}
    assert uses["policy public.own"] == ("amount",)
    assert found.tables["public.orders"].row_security
    assert [one.name for one in found.tables["public.orders"].triggers] == ["noted"]


def test_functions_types_and_sequences_are_there(found: Catalog) -> None:
    (later,) = found.functions["public.later"]
    assert (later.volatility, later.strict, later.arguments) == ("volatile", True, "n integer")
    assert found.types["public.mood"].labels == ("sad", "glad")
    assert (found.types["public.positive"].base, found.types["public.positive"].constrained) == (
        "integer", True,
    )  # fmt: skip
    assert "public.counted" in found.sequences
    assert found.version >= 150000


def test_it_is_plain_data(found: Catalog) -> None:
    assert Catalog.model_validate_json(found.model_dump_json()) == found
