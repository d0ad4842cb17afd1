"""Copying tables back from the new database, by statements that a person reads and runs. Pure.

Going back with a whole database loses what everybody wrote since. Most accidents harm few tables:
rows that were deleted, a column or a table that was dropped. Those are copied back, and all else
stays. Nothing here is run by Greenlane: what a row should be is for people to say.

Each table comes into the old database beside its own, in the schema `greenlane_salvage`. There it
is compared by its primary key, and what is missing is put in.
"""

from typing import Literal, NamedTuple

from greenlane.migrations.databases.model import Endpoint
from greenlane.migrations.restoring.model import ColumnShape, Looked, RestoreRun, TableShape
from greenlane.migrations.sql.names import Name, quoted

SIDE = "greenlane_salvage"
"""The schema into which tables are copied; it must not be there before."""


class SalvageStep(NamedTuple):
    """One thing to do.

    Args:
        title: what it does, and what it may lose.
        where: `new` and `old` are SQL for that database; `shell` is a command.
        text: the statements, or the command.
    """

    title: str
    where: Literal["new", "old", "shell"]
    text: str


def salvage_of(run: RestoreRun) -> tuple[SalvageStep, ...]:
    """All steps of a restore's salvage, in order; none before both databases were looked at."""
    if run.looked is None or run.restored is None:
        return ()
    old = run.described.endpoint
    new = old.model_copy(update={"host": run.restored.host, "port": run.restored.port})
    return salvage(run.looked, run.request.tables, new, old)


def salvage(
    looked: Looked, tables: tuple[str, ...], new: Endpoint, old: Endpoint
) -> tuple[SalvageStep, ...]:
    """All steps, in order.

    Args:
        looked: the tables as they are in both.
        tables: which of them are copied back.
        new: where the new database is.
        old: where the old one is.
    """
    then = {one.name: one for one in looked.then if one.exists and one.name in tables}
    now = {one.name: one for one in looked.now if one.exists}
    gone = [one for name, one in then.items() if name not in now]
    both = [(one, now[name]) for name, one in then.items() if name in now]
    steps = [_whole(one, new, old) for one in gone]
    if both:
        steps += [_aside([one for one, _ in both], both), _copied(new, old)]
    for one, other in both:
        steps += _put_back(one, other)
    if both:
        title = "when everything is back, take the copies away"
        steps.append(SalvageStep(title, "old", f"DROP SCHEMA {SIDE} CASCADE;"))
    return tuple(steps)


def _whole(table: TableShape, new: Endpoint, old: Endpoint) -> SalvageStep:
    """A table that is gone: with its indexes, constraints and grants, as it was."""
    named = _shell_pattern(table.name)
    return SalvageStep(
        f"{table.name} is gone: bring all of it back. Foreign keys of other tables to it do not "
        "come along",
        "shell",
        f"pg_dump {_at(new)} --table={named} | psql {_at(old)} --single-transaction "
        "--set=ON_ERROR_STOP=1",
    )


def _aside(tables: list[TableShape], both: list[tuple[TableShape, TableShape]]) -> SalvageStep:
    made = [
        f"CREATE TABLE {_side(one)} AS SELECT {_listed(_plain(one))} FROM {_name(one)};"
        for one in tables
    ]
    made += [
        f"ALTER TABLE {_side(one)} ADD PRIMARY KEY ({_listed(_key(one, other))});"
        for one, other in both
        if _key(one, other)
    ]
    text = "\n".join([f"CREATE SCHEMA {SIDE};", *made])
    return SalvageStep("copy the tables aside", "new", text)


def _copied(new: Endpoint, old: Endpoint) -> SalvageStep:
    return SalvageStep(
        "bring the copies into the old database; nothing of its own is touched",
        "shell",
        f"pg_dump {_at(new)} --schema={SIDE} --no-owner --no-privileges | psql {_at(old)} "
        "--single-transaction --set=ON_ERROR_STOP=1",
    )


def _put_back(then: TableShape, now: TableShape) -> list[SalvageStep]:
    key, table = _key(then, now), _name(now)
    have = {one.name for one in now.columns}
    dropped = [one for one in _plain(then) if one.name not in have]
    steps = [_added(then, dropped)] if dropped else []
    if not key:
        steps.append(
            SalvageStep(
                f"{then.name} has no primary key that is the same in both: look at the rows that "
                "only the copy has, and decide by hand",
                "old",
                f"SELECT {_listed(_shared(then, now))} FROM {_side(then)}\n"
                f"EXCEPT ALL SELECT {_listed(_shared(then, now))} FROM {table};",
            )
        )
        return steps
    joined = " AND ".join(f"s.{quoted(one)} = t.{quoted(one)}" for one in key)
    if dropped:
        steps.append(_filled(then, dropped, joined))
    steps.append(_missing(then, now, dropped, joined))
    if changed := [one for one in _shared(then, now) if one.name not in key]:
        steps.append(_changed(then, changed, key, joined))
    return steps


def _added(then: TableShape, dropped: list[ColumnShape]) -> SalvageStep:
    added = ", ".join(f"ADD COLUMN {quoted(one.name)} {one.type}" for one in dropped)
    return SalvageStep(
        f"{then.name}: add the columns that are gone, without their defaults, constraints and "
        "indexes",
        "old",
        f"ALTER TABLE {_name(then)} {added};",
    )


def _filled(then: TableShape, dropped: list[ColumnShape], joined: str) -> SalvageStep:
    sets = ", ".join(f"{quoted(one.name)} = s.{quoted(one.name)}" for one in dropped)
    new = [f"t.{quoted(one.name)} IS NULL" for one in dropped]
    return SalvageStep(
        f"{then.name}: fill them where nobody has written since; rows that came since stay empty",
        "old",
        f"UPDATE {_name(then)} AS t SET {sets}\nFROM {_side(then)} AS s\n"
        f"WHERE {joined} AND {' AND '.join(new)};",
    )


def _missing(
    then: TableShape, now: TableShape, dropped: list[ColumnShape], joined: str
) -> SalvageStep:
    columns = [*_shared(then, now), *dropped]
    writable = {one.name: one for one in now.columns}
    identity = any(one.name in writable and writable[one.name].identity for one in columns)
    # An identity that is always generated takes a value only so.
    overriding = " OVERRIDING SYSTEM VALUE" if identity else ""
    return SalvageStep(
        f"{then.name}: put back the rows that are missing; those that were deleted since on "
        "purpose come back too. Triggers fire, and foreign keys must find their rows",
        "old",
        f"INSERT INTO {_name(now)} ({_listed(columns)}){overriding}\n"
        f"SELECT {_listed(columns, 's.')} FROM {_side(then)} AS s\n"
        f"WHERE NOT EXISTS (SELECT FROM {_name(now)} AS t WHERE {joined});",
    )


def _changed(
    then: TableShape, changed: list[ColumnShape], key: tuple[str, ...], joined: str
) -> SalvageStep:
    sets = ",\n--   ".join(f"{quoted(one.name)} = s.{quoted(one.name)}" for one in changed)
    differ = f"({_listed(changed, 's.')}) IS DISTINCT FROM ({_listed(changed, 't.')})"
    looked = ", ".join(f"t.{quoted(one)}" for one in key)
    return SalvageStep(
        f"{then.name}: look at the rows that differ. To take one back, run the commented statement "
        "with its key; what was written to it since is lost",
        "old",
        f"SELECT {looked} FROM {_name(then)} AS t JOIN {_side(then)} AS s ON {joined}\n"
        f"WHERE {differ};\n"
        f"-- UPDATE {_name(then)} AS t SET\n--   {sets}\n"
        f"-- FROM {_side(then)} AS s WHERE {joined} AND {differ}\n"
        f"--   AND ({looked}) = (...);",
    )


def _plain(table: TableShape) -> list[ColumnShape]:
    """The columns that hold values of their own."""
    return [one for one in table.columns if not one.generated]


def _shared(then: TableShape, now: TableShape) -> list[ColumnShape]:
    """Those that both have and that can be written to now."""
    writable = {one.name for one in _plain(now)}
    return [one for one in _plain(then) if one.name in writable]


def _key(then: TableShape, now: TableShape) -> tuple[str, ...]:
    """The primary key, if it is the same in both."""
    return then.key if then.key == now.key else ()


def _name(table: TableShape) -> str:
    schema, _, bare = table.name.partition(".")
    return str(Name(schema, bare))


def _side(table: TableShape) -> str:
    """Two schemas may have a table of the same name."""
    schema, _, bare = table.name.partition(".")
    whole = bare if schema == "public" else f"{schema}_{bare}"
    return f"{SIDE}.{quoted(whole[:63])}"


def _listed(columns: list[ColumnShape] | tuple[str, ...], prefix: str = "") -> str:
    names = [one if isinstance(one, str) else one.name for one in columns]
    return ", ".join(prefix + quoted(name) for name in names)


def _at(endpoint: Endpoint) -> str:
    return (
        f"--host={endpoint.host} --port={endpoint.port} --username={endpoint.user} "
        f"--dbname={_shell(endpoint.dbname)}"
    )


def _shell_pattern(table: str) -> str:
    schema, _, bare = table.partition(".")
    return _shell(f'"{schema}"."{bare}"')


def _shell(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
