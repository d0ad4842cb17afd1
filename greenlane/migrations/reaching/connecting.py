"""Signing in to a database: IAM's token or a secret, and TLS as its description says.

A token is good for 15 minutes and is asked for by each new session, so it is made anew for each.
"""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

from greenlane.errors import InvalidInput
from greenlane.migrations.databases.model import Database
from greenlane.migrations.reaching.runtime import NetworkRuntime
from greenlane.migrations.running.psycopg_session import connect
from greenlane.migrations.running.session import Connect, Session
from greenlane.problems import ABSENT, Excerpt


def connecting(described: Database, runtime: NetworkRuntime) -> Connect:
    """What opens sessions of a database.

    Args:
        described: the database.
        runtime: who signs, or reads the secret.
    """

    def open_session(application_name: str) -> Session:
        parameters = parameters_of(described) | sign_in(described, runtime)
        return connect("", application_name=application_name, **parameters)

    return open_session


def parameters_of(described: Database) -> dict[str, Any]:
    """Where a database is and how it is spoken to, as libpq's parameters."""
    endpoint = described.endpoint
    parameters: dict[str, Any] = {
        "host": endpoint.host,
        "port": endpoint.port,
        "dbname": endpoint.dbname,
        "sslmode": described.tls,
    }
    if described.root_certificates is not None:
        parameters["sslrootcert"] = str(_kept(described.root_certificates))
    return parameters


def sign_in(described: Database, runtime: NetworkRuntime) -> dict[str, str]:
    """As whom, and with what.

    Raises:
        InvalidInput: the secret does not hold what it should.
        ClientError: Secrets Manager did not answer.
    """
    endpoint = described.endpoint
    if described.auth == "iam":
        token = runtime.signer.generate_db_auth_token(
            DBHostname=endpoint.host, Port=endpoint.port, DBUsername=endpoint.user
        )
        return {"user": endpoint.user, "password": str(token)}
    answer = runtime.secretsmanager.get_secret_value(SecretId=described.secret)
    return _from_secret(described.secret or "", str(answer.get("SecretString", "")))


def _from_secret(name: str, text: str) -> dict[str, str]:
    """What a secret holds, as RDS writes it; its value is in no message."""
    try:
        held = json.loads(text)
    except json.JSONDecodeError:
        held = None
    if not isinstance(held, dict):
        way_out = "write JSON with username and password into it, as RDS does"
        raise InvalidInput(f"secret {name}", Excerpt("its value"), way_out)
    for key in ("username", "password"):
        if not isinstance(held.get(key), str):
            raise InvalidInput(f"secret {name}.{key}", ABSENT, "write it into the secret, as text")
    return {"user": held["username"], "password": held["password"]}


def _kept(certificates: str) -> Path:
    """The file of root certificates: libpq reads them from nowhere else."""
    digest = hashlib.sha256(certificates.encode()).hexdigest()[:16]
    place = Path(tempfile.gettempdir()) / f"greenlane-roots-{digest}.pem"
    if not place.exists():
        with tempfile.NamedTemporaryFile("w", dir=place.parent, delete=False) as file:
            file.write(certificates)
        Path(file.name).replace(place)
    return place
