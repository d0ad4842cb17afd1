"""What a scheduled function does for every service: beside each other, none in another's way."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.errors import GreenlaneError
from greenlane.logs import logger
from greenlane.runtime import Runtime

AT_ONCE = 10
"""As many as a boto3 client keeps connections; more would wait for one."""


def for_every_service(runtime: Runtime, act: Callable[[str], None], *, failed: str) -> None:
    """Call `act` with the name of each service; whatever one of them raises is logged.

    Args:
        runtime: where the services are listed.
        act: what to do; it runs in a thread of its own.
        failed: what to log when it raises, such as `not reconciled`.
    """

    def one(service: str) -> None:
        try:
            act(service)
        except (GreenlaneError, ClientError, BotoCoreError) as error:
            logger.error(failed, service=service, error=f"{type(error).__name__}: {error}")
        except Exception:  # such as a document of another version that cannot be read
            logger.exception(failed, service=service)

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        list(pool.map(one, runtime.store.services()))
