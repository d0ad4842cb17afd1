"""What judging one criterion comes to, and what all of them come to. Pure; no I/O."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from greenlane.deployments.model import CheckResult, Verdict, VerdictName
from greenlane.health.criteria import Against, Criteria, Role
from greenlane.health.sequential import Standing

SEVERITY: dict[VerdictName, int] = {"pass": 0, "hold": 1, "fail": 2}

ALWAYS_CRITICAL = frozenset({"error_rate"})
"""Critical unless a rule says otherwise: nobody wants to promote without knowing it."""


class Outcome(NamedTuple):
    """What a comparison says, before the rules of the metric are applied.

    `samples` are all that it rests on, `recent` those of the step that the candidate is in.
    """

    verdict: VerdictName
    value: float | None
    limit: float | None
    reason: str = ""
    samples: int = 0
    recent: int = 0
    newest: datetime | None = None
    standing: Standing = "unproven"


class Finding(CheckResult):
    """One criterion's verdict, with where it came from.

    Attributes:
        metric: by the name of the catalogue.
        against: what it was compared with.
        role: as the criterion's.
        source: the file that says so.
        standing: whether the limit is shown to be kept, to be broken, or neither.
        evidence: whether the verdict rests on data; a step needs some from each critical metric.
        dry_run: shown only; then `verdict` is pass whatever was found.
    """

    metric: str
    against: Against = "limit"
    role: Role = "success"
    source: str = ""
    standing: Standing = "unproven"
    evidence: bool = True
    dry_run: bool = False


def number(value: float | None) -> Decimal | None:
    """A measured value as it is stored and shown, with five digits."""
    return None if value is None else Decimal(f"{value:.5g}")


def settle(findings: Sequence[Finding], criteria: Criteria, requests: int) -> Verdict:
    """One verdict of all criteria: the worst of the critical ones, and of the others' score.

    Without a score every criterion counts by itself. Nothing that passes is a hold.
    """
    counted = [finding for finding in findings if not finding.dry_run]
    scored = [one for one in counted if criteria.pass_score and not _critical(one, criteria)]
    single = [one for one in counted if not criteria.pass_score or _critical(one, criteria)]
    deciding: list[CheckResult] = list(single)
    if scored:
        deciding.append(_score(scored, criteria))
    if all(check.verdict == "pass" for check in deciding):
        deciding += _without_evidence(counted, criteria)
    known = set(map(id, findings))
    checks = [*findings, *(check for check in deciding if id(check) not in known)]
    return _verdict(deciding, checks, requests)


def joined(verdict: Verdict, more: Iterable[CheckResult]) -> Verdict:
    """A verdict and other checks. The verdict counts as a whole: its score is not taken apart."""
    others = tuple(more)
    worse = [check for check in others if SEVERITY[check.verdict] >= SEVERITY[verdict.verdict]]
    name = max((verdict.verdict, *(one.verdict for one in others)), key=SEVERITY.__getitem__)
    reasons = [verdict.reason] if verdict.verdict == name and verdict.reason else []
    if name != "pass":
        reasons += [f"{one.name}: {one.reason}" for one in worse if one.verdict == name]
    return verdict.model_copy(
        update={
            "verdict": name,
            "checks": (*verdict.checks, *others),
            "reason": "; ".join(reasons)[:1000],
        }
    )


def _critical(finding: Finding, criteria: Criteria) -> bool:
    declared = criteria.rule(finding.metric).critical
    return finding.metric in ALWAYS_CRITICAL if declared is None else declared


def _without_evidence(counted: Sequence[Finding], criteria: Criteria) -> list[CheckResult]:
    """A hold for each critical metric of which no criterion was judged, or for all of them.

    What is always critical needs evidence though no criterion of this phase names it.
    """
    known = {one.metric for one in counted if one.evidence}
    critical = {one.metric for one in counted if _critical(one, criteria)}
    for name in ALWAYS_CRITICAL:
        rule = criteria.rule(name)
        if rule.critical is not False and not rule.dry_run:
            critical.add(name)
    lacking = critical - known
    why = "it is critical, and there is no evidence of it"
    holds = [CheckResult(name=one, verdict="hold", reason=why) for one in sorted(lacking)]
    if not known and not holds:
        holds = [CheckResult(name="evidence", verdict="hold", reason="nothing was judged")]
    return holds


def _score(scored: Sequence[Finding], criteria: Criteria) -> CheckResult:
    """The weight of what passes, in percent of what was judged; open while it can be reached."""
    weights: dict[VerdictName, Decimal] = {
        "pass": Decimal(0),
        "hold": Decimal(0),
        "fail": Decimal(0),
    }
    for one in scored:
        if one.evidence or one.verdict != "pass":
            weights[one.verdict] += criteria.rule(one.metric).weight
    whole = sum(weights.values())
    wanted = criteria.pass_score or Decimal(0)
    reached = 100 * weights["pass"] / whole if whole else Decimal(0)
    possible = 100 * (weights["pass"] + weights["hold"]) / whole if whole else Decimal(0)
    verdict: VerdictName = "pass" if whole and reached >= wanted else "fail"
    if verdict == "fail" and (not whole or possible >= wanted):
        verdict = "hold"
    reason = "" if verdict == "pass" else f"{reached:.0f} of 100, {wanted} are needed"
    return CheckResult(
        name="score",
        verdict=verdict,
        value=reached.quantize(Decimal("0.1")),
        limit=wanted,
        reason=reason,
    )


def _verdict(
    deciding: Sequence[CheckResult], checks: Sequence[CheckResult], requests: int
) -> Verdict:
    name = max((check.verdict for check in deciding), key=SEVERITY.__getitem__)
    reasons = [f"{one.name}: {one.reason}" for one in deciding if one.verdict == name != "pass"]
    return Verdict(
        verdict=name,
        checks=tuple(checks),
        requests=requests,
        reason="; ".join(reasons)[:1000],
    )
