"""From a file of databases to checked descriptions, with line numbers for what is wrong."""

import re
from collections.abc import Iterator

from greenlane.documents import read
from greenlane.errors import InvalidInput
from greenlane.migrations.databases.model import PARAMETER_PREFIX, Database, DatabasesDocument
from greenlane.migrations.validating.model import PHASES
from greenlane.problems import ABSENT, Path, dotted, excerpt
from greenlane.source import Source

Found = Iterator[tuple[Path, object, str]]

_PARAMETER = re.compile(rf"{PARAMETER_PREFIX}[A-Za-z0-9_./-]+")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def read_databases(text: str, name: str = "document") -> DatabasesDocument:
    """Read a file whose top-level key is `databases`, without a cloud.

    Args:
        text: the file.
        name: what to call it.

    Raises:
        InvalidDocument: with everything that is wrong, by line.
    """
    return read(DatabasesDocument, problems_of, text, name)


def problems_of(document: DatabasesDocument, source: Source) -> list[InvalidInput]:
    """Everything that takes more than one value to judge, with lines."""
    found: list[tuple[Path, object, str]] = [
        (("databases", name, *at), value, said)
        for name, database in document.databases.items()
        for at, value, said in _of_one(database)
    ]
    found += _twice(document)
    return [
        InvalidInput(dotted(at), excerpt(value), said, line=source.line(at))
        for at, value, said in found
    ]


def _of_one(database: Database) -> Found:
    yield from _where(database)
    yield from _signing_in(database)
    yield from _backing_up(database)
    if database.parameter is not None and not _PARAMETER.fullmatch(database.parameter):
        yield ("parameter",), database.parameter, f"Greenlane may write below {PARAMETER_PREFIX}"


def _where(database: Database) -> Found:
    if database.cluster is not None and database.instance is not None:
        yield ("instance",), database.instance, "name the cluster or the instance, not both"
    if database.engine == "aurora-postgresql" and database.cluster is None:
        yield ("cluster",), database.cluster or ABSENT, "Aurora is a cluster: name it"


def _signing_in(database: Database) -> Found:
    if database.auth == "secret" and database.secret is None:
        yield ("secret",), ABSENT, "auth: secret asks for the name of one in Secrets Manager"
    if database.auth == "iam" and database.secret is not None:
        yield ("secret",), database.secret, "it is not read with auth: iam; write auth: secret"
    if database.auth == "iam" and not database.managed:
        yield (
            ("auth",),
            "iam",
            "only RDS takes IAM's tokens; name its cluster or instance, or a secret",
        )
    if database.auth == "iam" and database.tls == "disable":
        yield ("tls",), "disable", "RDS takes IAM's tokens over TLS only; write require"
    if database.tls == "verify-full" and database.root_certificates is None:
        yield (
            ("root_certificates",),
            ABSENT,
            "verify-full asks for them: RDS's bundle of the Region",
        )
    given = database.root_certificates
    if given is not None and not _PEM.search(given):
        yield ("root_certificates",), given[:60], "write PEM: -----BEGIN CERTIFICATE----- and so on"


def _backing_up(database: Database) -> Found:
    if database.managed:
        return
    for phase in PHASES:
        kind = database.backup.of(phase)
        if kind != "none":
            way_out = "RDS does not run it, so back it up yourself and write none"
            yield ("backup", phase), kind, way_out
    if database.suspends_io is not None:
        yield ("suspends_io",), database.suspends_io, "only RDS takes snapshots; leave it out"


def _twice(document: DatabasesDocument) -> Found:
    """Two names for one database would be two leases, so two migrations at once."""
    seen: dict[tuple[str, int, str], str] = {}
    parameters: dict[str, str] = {}
    at: Path
    for name, database in document.databases.items():
        place = (database.endpoint.host, database.endpoint.port, database.endpoint.dbname)
        first = seen.setdefault(place, name)
        if first != name:
            at = ("databases", name, "endpoint", "host")
            yield at, place[0], f"{first} is the same database; give it one name"
        parameter = database.parameter_of(name)
        other = parameters.setdefault(parameter, name)
        if other != name:
            at = ("databases", name, "parameter")
            yield at, parameter, f"it is that of {other}; each database has its own"
