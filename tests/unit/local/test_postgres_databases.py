from greenlane.local.postgres import LocalPostgres
from tests.postgres import Database, MakeDatabase
from tests.postgres import database as database
from tests.postgres import make_database as make_database
from tests.postgres import postgres_server as postgres_server
from tests.postgres import postgres_templates as postgres_templates

built: list[str] = []


def shop(database: Database) -> None:
    built.append(database.name)
    database.execute("CREATE TABLE item (id int PRIMARY KEY)", "INSERT INTO item VALUES (1), (2)")


def test_a_test_finds_an_empty_database(database: Database) -> None:
    assert database.rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
    database.execute("CREATE TABLE left_over (id int)")


def test_the_next_one_finds_an_empty_database_too(database: Database) -> None:
    assert database.rows("SELECT to_regclass('left_over')") == [(None,)]


def test_what_a_function_builds_is_built_once_and_copied_for_each(
    make_database: MakeDatabase,
) -> None:
    one, other = make_database(shop), make_database(shop)
    one.execute("DELETE FROM item WHERE id = 2")

    assert len(built) == 1
    assert one.rows("SELECT id FROM item WHERE id > %s", 0) == [(1,)]
    assert other.rows("SELECT id FROM item ORDER BY id") == [(1,), (2,)]


def test_equal_databases_have_equal_schemas_and_others_have_not(
    make_database: MakeDatabase,
) -> None:
    one, other = make_database(shop), make_database(shop)

    assert one.schema() == other.schema()
    assert "CREATE TABLE public.item" in one.schema()
    other.execute("ALTER TABLE item ADD COLUMN name text")
    assert one.schema() != other.schema()


def test_databases_of_ended_tests_are_gone(postgres_server: LocalPostgres) -> None:
    server = Database(postgres_server, "postgres")

    assert server.rows("SELECT datname FROM pg_database WHERE datname LIKE 'test%'") == []
