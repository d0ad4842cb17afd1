"""What is looked at before a phase of a folder is started. Pure but for the check."""

from collections.abc import Iterable

from pydantic import ValidationError

from greenlane.clock import Clock
from greenlane.errors import InvalidInput, Refused
from greenlane.migrations.declaring.judging import assess_plan, stopping
from greenlane.migrations.declaring.plan import Migration, Plan
from greenlane.migrations.guarding.release import WAIVED_BY
from greenlane.migrations.running.checking import check
from greenlane.migrations.running.model import CheckResult, Override, SliceRequest
from greenlane.migrations.running.session import Connect
from greenlane.migrations.validating.model import Phase
from greenlane.migrations.validating.rules import RULES
from greenlane.problems import as_error, explain, suggest


def up_to_release(plan: Plan, phase: Phase, release: str | None) -> Plan:
    """The plan without the files of a phase that come after a release.

    Raises:
        InvalidInput: the plan has no file of that phase, or of that release in it.
    """
    files = plan.of(phase)
    if not files:
        found = ", ".join(dict.fromkeys(one.phase for one in plan.migrations))
        raise InvalidInput("phase", phase, f"the manifest has files of {found} only")
    if release is None:
        return plan
    known = list(dict.fromkeys(one.declared.release for one in files if one.declared.release))
    if release not in known:
        said = f"{phase} has files of {', '.join(known) or 'no release'}{suggest(release, known)}"
        raise InvalidInput("release", release, said)
    last = max(at for at, one in enumerate(files) if one.declared.release == release)
    later = {one.id for one in files[last + 1 :]}
    manifest = plan.manifest.model_copy(
        update={"files": tuple(one for one in plan.manifest.files if one.id not in later)}
    )
    sources = tuple(one for one in plan.sources if one.file.removesuffix(".sql") not in later)
    return Plan(manifest=manifest, sources=sources, old_app_queries=plan.old_app_queries)


def foreseen_stops(plan: Plan, phase: Phase, overrides: Iterable[Override]) -> tuple[str, ...]:
    """What would stop a phase, by the text alone: some of it may have run, or be harmless there."""
    given = list(overrides)
    assessed = assess_plan(plan, None)
    found: list[str] = []
    for one in plan.of(phase):
        for finding in stopping(one, assessed[one.id]):
            if not any(_accepts(each, finding.rule, finding.statement) for each in given):
                found.append(_said(one, finding.line, f"{finding.rule}: {finding.message}"))
    return tuple(found)


def check_there(
    connect: Connect, plan: Plan, phase: Phase, overrides: Iterable[Override], clock: Clock
) -> CheckResult:
    """The workflow's own check, over a connection that may write nothing.

    Raises:
        Refused: the phase cannot run in the database as it is; nothing was started.
        ConnectionLost: the database does not answer.
    """
    request = SliceRequest(
        database=plan.manifest.database,
        plan_sha=plan.sha256,
        phase=phase,
        epoch=0,
        execution="",
        deadline=clock.now(),
        overrides=tuple(overrides),
    )
    result = check(connect, plan, request, clock)
    if result.outcome == "refused":
        blocking = [one for one in result.findings if one.severity == "block"]
        said = [*result.reasons, *(f"{one.rule}: {one.message}" for one in blocking)]
        raise Refused("; ".join(said))
    return result


def override_of(rule: str, *, person: str, reason: str) -> Override:
    """An accepted finding, of a rule or of one statement of it: `add-column`, `add-column:3`.

    Raises:
        InvalidInput: no such rule, a statement that is no number, or no reason.
    """
    name, colon, number = rule.partition(":")
    if name not in (*RULES, WAIVED_BY):
        near = suggest(name, [one.replace("-", "_") for one in RULES]).replace("_", "-")
        raise InvalidInput("override", name, f"there is no such rule{near}")
    if colon and not number.isdecimal():
        raise InvalidInput("override", rule, "write the rule, or the rule and a statement: rule:0")
    given = {"rule": name, "person": person, "reason": reason}
    if colon:
        given["statement"] = number
    try:
        return Override.model_validate(given)
    except ValidationError as error:
        raise as_error(explain(error, Override, given), f"override {rule}") from None


def _accepts(override: Override, rule: str, statement: int) -> bool:
    return override.rule == rule and override.statement in (None, statement)


def _said(migration: Migration, line: int, text: str) -> str:
    return f"{migration.declared.file}, line {line}: {text}"
