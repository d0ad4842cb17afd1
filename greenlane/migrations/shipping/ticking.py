"""What runs each minute where databases are: a release's `migrate` begins with its first traffic.

No step of a deployment does this, so nothing about a migration can delay or fail one that moves
traffic. The run itself watches the deployment: it waits while that is not well, and ends with it.
"""

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.model import Record
from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.judging import Tick
from greenlane.deployments.storing.journal import note_best_effort
from greenlane.errors import GreenlaneError, NotReconciled
from greenlane.logs import logger
from greenlane.migrations.guarding.runtime import MigrationRuntime
from greenlane.migrations.shipping.requesting import request_for
from greenlane.migrations.shipping.starting import find_run, start_run

_SERVES = frozenset({Phase.SHIFTING, Phase.PROMOTED, Phase.WATCHING})


def tick_migrations(tick: Tick, runtime: MigrationRuntime) -> None:
    """Begin what is to begin, of each service that has a database.

    Raises:
        NotReconciled: one of them could not be looked at. All have had their turn.
    """
    del tick
    databases = [runtime.databases.database(name) for name in runtime.databases.names()]
    services = sorted({one.database.service for one in databases})
    problems = [problem for service in services if (problem := _one(runtime, service))]
    if problems:
        raise NotReconciled("; ".join(problems))


def _one(runtime: MigrationRuntime, service: str) -> str:
    """Do one service's turn, in no other's way; what went wrong."""
    try:
        begin_migrate(runtime, service)
    except (GreenlaneError, ClientError, BotoCoreError) as error:
        logger.error("migrate was not begun", service=service, error=str(error))
        return f"{service}: {type(error).__name__}"
    except Exception as error:  # such as a document of another version that cannot be read
        logger.exception("migrate was not begun", service=service)
        return f"{service}: {type(error).__name__}"
    return ""


def begin_migrate(runtime: MigrationRuntime, service: str) -> None:
    """Begin the `migrate` phase of a service's latest deployment, if it has traffic and wants it.

    Repeating it begins nothing twice.

    Raises:
        ClientError: the table or Step Functions did not answer; the next minute asks again.
    """
    record = runtime.store.record(service)
    if record is None or not _has_traffic(record):
        return
    plan = runtime.store.plan(record.deployment_id)
    asked = plan.request.migrations
    if asked is None or "migrate" not in asked.phases:
        return
    request = request_for(plan, asked, "migrate")
    if find_run(runtime, request.run) is not None or not start_run(runtime, request):
        return
    note_best_effort(runtime, plan.deployment_id, "migrate begins", run=request.run)


def _has_traffic(record: Record) -> bool:
    return record.phase in _SERVES and record.weight > 0
