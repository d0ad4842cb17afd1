"""The extended watch: the old slot stands at its floor, and the numbers are still looked at.

Critical alerts have alarms of their own. What only the criteria know is judged here, less often
than in a bake: a day of looks would cost more than the deployment.
"""

from copy import copy

from greenlane.deployments.model import Record
from greenlane.health.candidate import judge_candidate
from greenlane.runtime import Runtime

LOOK_EVERY_MINUTES = 5


def judged_bad(runtime: Runtime, record: Record) -> str | None:
    """Why the version that was promoted must go back after all; None, as nearly always.

    Only a fail counts: what is not known a day after promotion is no reason to go back.
    """
    now = runtime.clock.now()
    over = record.watch_until is not None and now >= record.watch_until
    if over or now.minute % LOOK_EVERY_MINUTES:
        return None
    plan = runtime.store.plan(record.deployment_id)
    if plan.config.deployment.shadow:
        return None
    verdict = judge_candidate(_hurried(runtime), plan, record)
    return verdict.reason if verdict.verdict == "fail" else None


def _hurried(runtime: Runtime) -> Runtime:
    """The same with less patience: a CloudWatch that hangs must not take the reconciler's minute.

    What is not read in time is a hold, and the next look is five minutes away.
    """
    hurried = copy(runtime)
    hurried.cloudwatch = runtime.cloudwatch_quick
    return hurried
