"""What a scheduled function does for every service: beside each other, none in another's way."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.errors import FenceLost, GreenlaneError, NotYet
from greenlane.logs import logger
from greenlane.runtime import Runtime

AT_ONCE = 10
"""As many as a boto3 client keeps connections; more would wait for one."""


_ROUTINE = (NotYet, FenceLost)
"""What an orderly run raises too: the next one goes on."""


def for_every_service(runtime: Runtime, act: Callable[[str], None], *, failed: str) -> list[str]:
    """Call `act` with the name of each service; whatever one of them raises is logged.

    Args:
        runtime: where the services are listed.
        act: what to do; it runs in a thread of its own.
        failed: what to log when it raises, such as `not reconciled`.

    Returns:
        What went wrong that should not: the service and the kind of error.
    """

    def one(service: str) -> str | None:
        try:
            act(service)
        except (GreenlaneError, ClientError, BotoCoreError) as error:
            logger.error(failed, service=service, error=f"{type(error).__name__}: {error}")
            return None if isinstance(error, _ROUTINE) else f"{service}: {_kind(error)}"
        except Exception as error:  # such as a document of another version that cannot be read
            logger.exception(failed, service=service)
            return f"{service}: {_kind(error)}"
        return None

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        said = list(pool.map(one, runtime.store.services()))
    return [problem for problem in said if problem is not None]


def _kind(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    return type(error).__name__
