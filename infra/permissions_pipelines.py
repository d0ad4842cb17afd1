"""What the functions may do that carry out what pipelines ask."""

from infra.functions import all_versions
from infra.permissions import KNOWS_NO_RESOURCE, Permissions
from infra.permissions_releases import see_release_plans
from infra.roles import Allow


def answer_jobs() -> Allow:
    """Put the results of CodePipeline's jobs."""
    return Allow(
        "AnswerJobs",
        ["codepipeline:PutJobFailureResult", "codepipeline:PutJobSuccessResult"],
        ["*"],
        because=KNOWS_NO_RESOURCE,
    )


def answer_failed_jobs() -> Allow:
    """Put the failure of a job whose runs died."""
    return Allow(
        "AnswerFailedJobs",
        ["codepipeline:PutJobFailureResult"],
        ["*"],
        because=KNOWS_NO_RESOURCE,
    )


def have_dead_jobs_answered(may: Permissions) -> Allow:
    """Lambda hands a dead job over, under the role of the function that died."""
    function = all_versions(may.stack, "answer_dead_job")
    return Allow(
        "HaveDeadJobsAnswered",
        ["lambda:InvokeFunction"],
        [function],
        because="each version of our own function; an older one hands over to the one it knew.",
    )


def carry_out(may: Permissions) -> list[Allow]:
    """Begin what a person may begin from the command line, and see what becomes of it."""
    machines = [may.deployment_machine]
    if may.migrations is not None:
        machines.append(may.migrations.machine)
    if may.rollout_machine is not None:
        machines.append(may.rollout_machine)
    return [
        may.table("GetItem", "PutItem", "Query", "UpdateItem"),
        may.flags("GetItem", "PutItem", "Query"),
        may.experiments("GetItem", "PutItem", "Query", "UpdateItem"),
        Allow("StartMachines", ["states:StartExecution"], machines),
        _see_executions(may),
        *_see_coordinator(may),
        *see_release_plans(may.migrations),
        _answer_tokens(may),
    ]


def abort(may: Permissions) -> list[Allow]:
    """Have what is under way go back."""
    return [
        may.table("GetItem", "PutItem", "Query", "UpdateItem"),
        _see_executions(may),
        _answer_tokens(may),
        *_start_coordinator(may),
    ]


def _see_executions(may: Permissions) -> Allow:
    places = may.migrations
    executions = [f"{may.deployment_machine.replace(':stateMachine:', ':execution:')}:*"]
    if places is not None:
        executions.append(places.executions)
    return Allow(
        "SeeExecutions",
        ["states:DescribeExecution"],
        executions,
        because="each execution of our own machines.",
    )


def _answer_tokens(may: Permissions) -> Allow:
    """A deployment that bakes is told to abort, and a rollout that waits is woken."""
    waiting = [may.deployment_machine]
    if may.rollout_machine is not None:
        waiting.append(may.rollout_machine)
    return Allow("AnswerTokens", ["states:SendTaskSuccess"], waiting)


def _see_coordinator(may: Permissions) -> list[Allow]:
    if may.rollout_machine is None:
        return []
    return [Allow("SeeCoordinator", ["states:DescribeStateMachine"], [may.rollout_machine])]


def _start_coordinator(may: Permissions) -> list[Allow]:
    if may.rollout_machine is None:
        return []
    return [Allow("GoOn", ["states:StartExecution"], [may.rollout_machine])]
