"""The functions that carry out what pipelines and events ask."""

from infra.function_spec import FunctionSpec
from infra.permissions_pipelines import (
    abort,
    answer_failed_jobs,
    answer_jobs,
    carry_out,
    have_dead_jobs_answered,
)

TURN_SECONDS = 120
"""A call that hangs ends a turn after nine seconds, and the result has its attempts after that."""

TURN_MEMORY_MB = 1024
"""The whole Python API is imported; memory buys CPU."""

PIPELINES = (
    FunctionSpec(
        "run_pipeline_action",
        "pipelines",
        lambda may: [*carry_out(may), answer_jobs(), have_dead_jobs_answered(may)],
        timeout_seconds=TURN_SECONDS,
        memory_mb=TURN_MEMORY_MB,
    ),
    FunctionSpec(
        "answer_dead_job",
        "pipelines",
        lambda _: [answer_failed_jobs()],
        timeout_seconds=60,
        memory_mb=TURN_MEMORY_MB,
    ),
    FunctionSpec(
        "follow_request",
        "pipelines",
        carry_out,
        timeout_seconds=TURN_SECONDS,
        memory_mb=TURN_MEMORY_MB,
    ),
    FunctionSpec(
        "cancel_requests",
        "pipelines",
        abort,
        timeout_seconds=TURN_SECONDS,
        memory_mb=TURN_MEMORY_MB,
    ),
)
