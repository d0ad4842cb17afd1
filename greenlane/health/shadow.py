"""Shadow mode: a verdict on the numbers that is told and decides nothing. Pure; no I/O."""

from typing import TypeVar

from greenlane.deployments.model import CheckResult, Verdict

C = TypeVar("C", bound=CheckResult)


def shadowed(judged: Verdict) -> Verdict:
    """The same verdict, as a pass that says what it would have been."""
    return Verdict(
        verdict="pass",
        checks=tuple(_told(check) for check in judged.checks),
        requests=judged.requests,
        would=judged.verdict,
        would_because=judged.reason,
    )


def _told(check: C) -> C:
    if check.verdict == "pass":
        return check
    said = f": {check.reason}" if check.reason else ""
    reason = f"in shadow, would {check.verdict}{said}"
    return check.model_copy(update={"verdict": "pass", "reason": reason})
