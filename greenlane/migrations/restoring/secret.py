"""The edge to Secrets Manager: a new host in a database's secret, and nothing else of it changed.

`UpdateSecretVersionStage` moves the label AWSCURRENT only away from the version that it is told,
so it is a compare-and-swap: a secret that was rotated in between keeps what the rotation wrote.
No value of a secret is in a message, a log or a state.
"""

import hashlib
import json
import uuid
from typing import Any

from botocore.exceptions import ClientError

from greenlane.errors import InvalidInput, NotFinished, Refused
from greenlane.problems import Excerpt

_CURRENT = "AWSCURRENT"
_OWNED = "rds!"
"""How the names of secrets begin that RDS keeps itself; nobody else may write them."""


def write_host(secretsmanager: Any, secret: str, host: str, port: int, restore: str) -> str:
    """Write where the database is into its secret; the id of the version that says so.

    Repeating it finds that version and changes nothing.

    Args:
        secretsmanager: the client.
        secret: its name.
        host: the new one.
        port: the new one.
        restore: the id, of which the version's own follows.

    Raises:
        Refused: RDS keeps this secret itself.
        InvalidInput: it holds no JSON object with a host.
        NotFinished: it was changed at the same moment; ask again.
    """
    before, held = _read(secretsmanager, secret)
    if (held["host"], held.get("port", port)) == (host, port):
        return before
    text = json.dumps(held | {"host": host} | ({"port": port} if "port" in held else {}))
    version = _version(restore, before, text)
    secretsmanager.put_secret_value(
        SecretId=secret,
        ClientRequestToken=version,
        SecretString=text,
        VersionStages=[f"greenlane-{restore}"],
    )
    try:
        secretsmanager.update_secret_version_stage(
            SecretId=secret,
            VersionStage=_CURRENT,
            MoveToVersionId=version,
            RemoveFromVersionId=before,
        )
    except ClientError as error:
        if error.response["Error"]["Code"] not in (
            "InvalidParameterException",
            "InvalidRequestException",
        ):
            raise
        raise NotFinished(f"{secret} was changed in the same moment") from error
    return version


def check_secret(secretsmanager: Any, secret: str) -> None:
    """Look whether a host can be written into a secret, and write nothing.

    Raises:
        Refused: RDS keeps this secret itself.
        InvalidInput: it holds no JSON object with a host.
    """
    _read(secretsmanager, secret)


def _read(secretsmanager: Any, secret: str) -> tuple[str, dict[str, Any]]:
    """The id of the version that counts, and what it holds."""
    if secret.startswith(_OWNED):
        raise Refused(f"{secret} belongs to RDS, which keeps it for the old database")
    now = secretsmanager.get_secret_value(SecretId=secret, VersionStage=_CURRENT)
    return str(now["VersionId"]), _held(secret, str(now.get("SecretString", "")))


def _held(secret: str, text: str) -> dict[str, Any]:
    try:
        held = json.loads(text)
    except json.JSONDecodeError:
        held = None
    if not isinstance(held, dict) or not isinstance(held.get("host"), str):
        way_out = "it must hold JSON with a host; leave writes_secret out if it names none"
        raise InvalidInput(f"secret {secret}", Excerpt("its value"), way_out)
    return held


def _version(restore: str, before: str, text: str) -> str:
    """The same for the same value over the same version, so that a repetition makes no other."""
    digest = hashlib.sha256("\n".join((restore, before, text)).encode()).digest()
    return str(uuid.UUID(bytes=digest[:16]))
