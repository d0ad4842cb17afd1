"""An alarm of a service turned red: its tests are watched at once."""

from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict

from greenlane.errors import GreenlaneError, NotReconciled
from greenlane.experiments.running.red_alarms import alarms_of_service, heeding
from greenlane.experiments.running.runtime import ExperimentRuntime
from greenlane.experiments.running.watching_over import watch_over
from greenlane.flags.ramps.behind import service_behind
from greenlane.logs import logger


class RedAlarm(BaseModel):
    """An alarm of a service's conditions that turned red."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    service: str
    name: str
    reason: str = ""
    at: datetime


def stop_experiments(event: RedAlarm, runtime: ExperimentRuntime) -> None:
    """Watch the tests that an alarm is about; see `red_alarms` for what ends them.

    Repeating it changes nothing. What is lost is found by the next regular watch.

    Raises:
        NotReconciled: one of them could not be watched; all had their turn.
        ClientError: a table did not answer; EventBridge's call is repeated.
    """
    services = runtime.store.services()
    behind = service_behind(runtime, event.service, services)
    if event.service not in services or isinstance(behind, str):
        return
    about = [one for one in alarms_of_service(behind) if one.name == event.name]
    tests = runtime.experiments.tests() if about else []
    problems = []
    for alarm in about:
        for test in heeding(tests, alarm, event.service, services):
            try:
                watch_over(runtime, test, services)
            except (GreenlaneError, ClientError, BotoCoreError) as error:
                logger.error("a test was not watched", test=test.name, error=str(error))
                problems.append(f"{test.name}: {type(error).__name__}")
            except Exception as error:  # such as sums of another version; the others have theirs
                logger.exception("a test was not watched", test=test.name)
                problems.append(f"{test.name}: {type(error).__name__}")
    if problems:
        raise NotReconciled("; ".join(problems))
