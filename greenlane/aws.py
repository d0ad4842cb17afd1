"""AWS clients, one of a kind per process, each with explicit timeouts and retries.

Clients are made on first use, not at import. Threads may share a client, but must not make two at
the same time: boto3's default session is not safe for that. Retries are botocore's `standard` mode
unless a caller says otherwise; a caller that does says why.
"""

from functools import cache
from threading import Lock
from typing import Any

import boto3
from botocore.config import Config

_making = Lock()


def client(
    service: str,
    *,
    connect_timeout_seconds: float = 2.0,
    read_timeout_seconds: float = 10.0,
    attempts: int = 4,
    region: str | None = None,
) -> Any:
    """The client of an AWS service, in the function's own Region unless another is named.

    Args:
        service: botocore's name of the service, such as `elbv2`.
        connect_timeout_seconds: for the connection.
        read_timeout_seconds: for each answer.
        attempts: all tries, the first included.
        region: another Region's name.
    """
    with _making:
        return _client(service, connect_timeout_seconds, read_timeout_seconds, attempts, region)


@cache
def _client(
    service: str,
    connect_timeout_seconds: float,
    read_timeout_seconds: float,
    attempts: int,
    region: str | None,
) -> Any:
    make: Any = boto3.client  # the stubs overload it per literal name; callers' names vary
    where = {} if region is None else {"region_name": region}
    return make(
        service,
        **where,
        config=Config(
            connect_timeout=connect_timeout_seconds,
            read_timeout=read_timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": attempts},
            tcp_keepalive=True,
        ),
    )
