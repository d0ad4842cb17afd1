"""Which calls the matrix must have rows for: all that the code of the functions can make."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tests.faults.cells import Cell, Invocation
from tests.infra.reachable import SERVICES, called, operations

Call = tuple[str, str]

NOT_ON_THE_WAY = {
    "answer_dead_job": "answers a pipeline whose job died, which has fault tests of its own",
    "ask_about_restore": "asks people about a restore, which has fault tests of its own",
    "back_up_database": "keeps what a migration could go back to; it has fault tests of its own",
    "cancel_requests": "tells a deployment to go back when its pipeline was stopped",
    "check_migration": "reads a database before a migration; no deployment waits for it",
    "conclude_experiment": "ends an A/B test; no deployment waits for it",
    "coordinate_regions": "takes a version through Regions, which has fault tests of its own",
    "cut_over_restore": "points clients at another database, which has fault tests of its own",
    "expand_database": "waits for a migration; no traffic has moved, and it has tests of its own",
    "finish_restore": "ends a restore",
    "follow_request": "follows what a pipeline asks; no deployment waits for it",
    "hand_over_migration": "lets a migration go on in its next execution",
    "hand_over_rollout": "lets a rollout go on in its next execution",
    "hear_region": "wakes the coordinator of several Regions",
    "hear_webhooks": "asks for the way back and answers; who sent it sends it again",
    "heed_restore": "hears what people want of a restore",
    "judge_experiment": "looks at an A/B test; no deployment waits for it",
    "judge_flag": "judges the ramp of a flag, which has fault tests of its own",
    "look_up_flags": "answers for flags and A/B tests; no deployment waits for it",
    "manage_deployments": "asks for what a person asks for; no deployment waits for it",
    "manage_experiments": "changes A/B tests for people; no deployment waits for it",
    "manage_flags": "changes flags for people; no deployment waits for it",
    "manage_migrations": "asks for what a person asks for; no deployment waits for it",
    "manage_rollouts": "asks for what a person asks for; no deployment waits for it",
    "own_listener_rule": "CloudFormation calls it when a workload's stack is made or deleted",
    "prepare_cutover": "looks before a cutover; no deployment waits for it",
    "publish_migration": "writes what stands in a database after a migration",
    "raise_flag": "raises the ramp of a flag, which has fault tests of its own",
    "record_experiments": "answers and records for A/B tests; no deployment waits for it",
    "release_migration": "ends the lease of a migration",
    "restore_database": "makes a new database beside another; no deployment waits for it",
    "run_migration": "runs a slice of a migration in its database",
    "run_pipeline_action": "answers a pipeline, which has fault tests of its own",
    "stop_experiments": "watches A/B tests at once; no deployment waits for it",
    "stop_flags": "switches flags off; no deployment waits for it",
    "take_migration": "takes the lease of a migration, which has fault tests of its own",
    "take_restore": "takes the lease of a database for a restore",
    "take_rollout": "takes a rollout, which has fault tests of its own",
    "tell_dead_migration": "tells of a migration whose execution died",
    "tell_dead_restore": "tells of a restore whose execution died",
    "tell_migration": "tells how a migration ended",
    "tell_restore": "tells how a restore ended",
    "tell_warning": "tells people of an alarm that decides nothing",
    "tend_rollouts": "looks after rollouts through several Regions",
    "tick_experiments": "looks after A/B tests",
    "tick_flags": "looks after the ramps and alarms of flags",
    "tick_migrations": "begins a migration once there is traffic; no deployment waits for it",
    "undo_migration": "undoes a slice of a migration in its database",
    "validate_slot": "makes no AWS calls; its own requests are answered in the same second",
    "verify_restore": "reads two databases; no deployment waits for it",
    "wait_for_regions": "waits for Regions; each takes itself back without it",
    "watch_migration": "says whether a migration goes on; it has fault tests of its own",
}
"""Functions without rows, and why."""

_A_GAP = "after the traffic, and what fails is a gap of the report"

NO_ROW: dict[Call, str] = {
    ("hold_traffic", "stepfunctions.describe_execution"): (
        "part of stopping the deployment when its end was the trigger, which needs the table"
    ),
    ("plan_deployment", "s3.get_object"): (
        "where databases are configured: what a contract that is open asks of a version"
    ),
    ("report_incident", "ecs.describe_tasks"): _A_GAP,
    ("report_incident", "logs.get_query_results"): _A_GAP,
    ("report_incident", "logs.start_query"): _A_GAP,
}
"""Calls without a row, and why. A call that is only named, and never made, is here too."""


@cache
def makable_by(function: str) -> frozenset[Call]:
    """Each call that the source of a function can reach."""
    methods = {action: name for name, actions in operations().items() for action in actions}
    services = {prefix: service for service, prefix in SERVICES.items()} | {"lambda": "lambda"}
    return frozenset(
        (function, f"{services[action.partition(':')[0]]}.{methods[action]}")
        for action in called(function) - {"iam:PassRole"}
    )


def makable_on_the_way() -> set[Call]:
    """Each call of the functions that need rows."""
    functions = {file.stem for file in Path("functions").glob("[a-z]*.py")}
    needed = functions - NOT_ON_THE_WAY.keys()
    return {call for function in needed for call in makable_by(function)}


def struck(cells: Iterable[Cell]) -> set[Call]:
    """Each call that cells strike."""
    return {
        (cell.at.caller, f"{cell.at.service}.{cell.at.operation}")
        for cell in cells
        if not isinstance(cell.at, Invocation)
    }


def without_a_row(cells: Iterable[Cell]) -> set[Call]:
    """What the code can call, and no cell strikes."""
    return makable_on_the_way() - struck(cells)
