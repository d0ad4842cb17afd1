"""A pipeline was stopped and abandons its actions: what they began goes back.

CodePipeline tells of it by an event for each action, with the state ABANDONED, and calls nobody.
Stopping and waiting for the actions makes no such event, and changes nothing here.
"""

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field

from greenlane.errors import GreenlaneError, NotFinished
from greenlane.logs import logger
from greenlane.pipelines.book import Mark
from greenlane.pipelines.runtime import PipelineRuntime
from greenlane.pipelines.serving import stop


class Abandoned(BaseModel):
    """What the rule makes of CodePipeline's event.

    Args:
        pipeline: its name.
        execution: the pipeline execution's id.
        action: the name of the action that was abandoned.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    pipeline: str = ""
    execution: str = Field(min_length=1)
    action: str = ""


def cancel_requests(event: Abandoned, runtime: PipelineRuntime) -> None:
    """Abort all that a pipeline execution began and that is under way; repeating it is fine.

    Raises:
        NotFinished: of something it cannot be said yet; Lambda runs it again.
        ClientError, BotoCoreError: the table does not answer; Lambda runs it again.
    """
    why = f"the pipeline {event.pipeline} was stopped and abandoned {event.action}".strip()
    runtime.requests.mark(event.execution, Mark(why=why, at=runtime.clock.now()))
    waits: list[str] = []
    for entry in runtime.requests.entries(event.execution):
        try:
            said = stop(runtime.greenlane, runtime.requests, entry, why)
        except (GreenlaneError, BotoCoreError, ClientError) as error:
            waits.append(f"{entry.subject_id}: {error}")  # the others have their turn all the same
        else:
            logger.info("the pipeline was stopped", about=entry.subject_id, became=said)
    if waits:
        raise NotFinished("; ".join(waits))
