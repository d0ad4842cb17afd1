"""From one schema to another, over three phases.

Pure: both schemas are given as SQL. What cannot be told from them is asked, never guessed.
"""

from collections.abc import Mapping

from greenlane.migrations.catalog.model import Catalog, Table
from greenlane.migrations.planning.comparing import Comparison
from greenlane.migrations.planning.ddl import read_schema
from greenlane.migrations.planning.described import Schema
from greenlane.migrations.planning.model import Draft, NotPlannable, PlannedChange
from greenlane.migrations.planning.others import compare_others
from greenlane.migrations.planning.queries import queries_of
from greenlane.migrations.sql.names import quoted


class AmbiguousRename(NotPlannable):
    """A column goes, and one like it comes: the data stays or is lost, and only a person knows."""


def backward_compatible_migration(
    old_schema: str,
    new_schema: str,
    *,
    renames: Mapping[str, str | None] | None = None,
    fills: Mapping[str, str] | None = None,
) -> PlannedChange:
    """Plan the way from one schema to another, so that old versions work until the contract.

    Args:
        old_schema: the DDL of what there is, hand-written or of `pg_dump -s`.
        new_schema: the DDL of what there is to be.
        renames: for each column that goes while one of its type comes, as `schema.table.column`
            (`public` may be left out): its new name, or None if it is dropped.
        fills: for columns that are to be NOT NULL, by the same names: the value of rows that have
            none, as SQL.

    Raises:
        InvalidSql: a schema is not SQL.
        AmbiguousRename: with the question, and how to answer it.
        NotPlannable: something that is not changed over phases, with what to do first.
    """
    old, new = read_schema(old_schema, "old_schema"), read_schema(new_schema, "new_schema")
    catalog = old.catalog()
    answers = {_full(key): value for key, value in (renames or {}).items()}
    values = {_full(key): value for key, value in (fills or {}).items()}
    unused = {*answers, *values}
    draft = Draft(
        "schema",
        {
            "expand": "What the new schema adds.",
            "migrate": "Fills what was added, and checks it.",
            "contract": "What the new schema does not have goes.",
        },
    )
    others = compare_others(old, new, draft)
    others.before_tables()
    for key, table in new.tables.items():
        if key not in old.tables:
            draft.add("expand", *dict.fromkeys(one.text for one in new.made[key]))
            continue
        pairs = _renames(old.tables[key], table, answers)
        unused -= {f"{key}.{one}" for one in pairs}
        unused -= {f"{key}.{one.name}" for one in old.tables[key].columns}
        unused -= {f"{key}.{one.name}" for one in table.columns}
        _compare(draft, catalog, table, pairs, _of(values, key))
    others.after_tables()
    _drop(draft, catalog, old, new)
    if unused:
        name = sorted(unused)[0]
        raise NotPlannable("renames or fills", name, "neither schema has such a column")
    kept = [one for key, one in catalog.tables.items() if key in new.tables]
    queries = [query for one in kept for query in queries_of(one)]
    return draft.planned(queries)


def _full(name: str) -> str:
    return name if name.count(".") > 1 else f"public.{name}"


def _of(values: Mapping[str, str], table: str) -> dict[str, str]:
    return {
        key.rpartition(".")[2]: value
        for key, value in values.items()
        if key.rpartition(".")[0] == table
    }


def _renames(old: Table, new: Table, answers: Mapping[str, str | None]) -> dict[str, str]:
    """Columns that have another name, as it was answered; a question where it was not."""
    gone = [one for one in old.columns if new.column(one.name) is None]
    come = [one for one in new.columns if old.column(one.name) is None]
    found = {}
    for column in gone:
        key = f"{old.full_name}.{column.name}"
        if key in answers:
            answer = answers[key]
            if answer is not None:
                found[column.name] = answer
            continue
        like = [one.name for one in come if one.type == column.type]
        if like:
            raise AmbiguousRename(
                "renames",
                key,
                f"it goes, and {', '.join(like)} of the same type {column.type} comes; is it "
                f"renamed? Answer renames={{'{key}': '{like[0]}'}}, or None to drop it and lose "
                "its values",
            )
    return found


def _compare(
    draft: Draft, catalog: Catalog, new: Table, pairs: Mapping[str, str], fills: Mapping[str, str]
) -> None:
    comparison = Comparison(draft, catalog.tables[new.full_name], new, catalog, fills)
    for old_name, new_name in pairs.items():
        comparison.rename(old_name, new_name)
    comparison.columns()
    comparison.constraints()
    comparison.indexes()
    comparison.finish()


def _drop(draft: Draft, catalog: Catalog, old: Schema, new: Schema) -> None:
    """Tables that go; one whose columns another one has might be a rename, and is asked about."""
    for key in reversed(old.tables):
        if key in new.tables:
            continue
        table = catalog.tables[key]
        names = {(one.name, one.type) for one in table.columns}
        for other, made in new.tables.items():
            if other not in old.tables and names <= {(c.name, c.type) for c in made.columns}:
                draft.questions.append(
                    f"{key} goes, and {other} has all its columns: is it renamed? Then plan that "
                    "by itself; as it stands its rows are lost"
                )
        place, _, name = key.rpartition(".")
        draft.add("contract", f"DROP TABLE {quoted(place)}.{quoted(name)}")
