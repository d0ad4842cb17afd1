"""What tests of jobs have in common: a town, what is logged, and a job handled by the function."""

import io
import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from functions import run_pipeline_action
from greenlane.logs import logger
from tests.pipeline_town import PipelineTown

JOB = str(uuid.UUID(int=7))


@pytest.fixture
def town() -> Iterator[PipelineTown]:
    with PipelineTown().works() as made:
        yield made


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything that is logged, at the most talkative level."""
    found = io.StringIO()
    handler = logging.StreamHandler(found)
    handler.setFormatter(logger.registered_formatter)
    level = logger.log_level
    logger.addHandler(handler)
    logger.setLevel("DEBUG")
    try:
        yield found
    finally:
        logger.setLevel(level)
        logger._logger.removeHandler(handler)


def handled(town: PipelineTown, event: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The one result of a job, through the real handler."""
    town.codepipeline.jobs.add(JOB)
    run_pipeline_action.handler(event, None)
    assert list(town.codepipeline.results) == [JOB]
    assert town.codepipeline.refused == []
    return town.codepipeline.results[JOB]
