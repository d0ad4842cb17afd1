"""How A/B tests, their numbers and their changes are printed."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from greenlane.cli.flags_views import as_json, table
from greenlane.cli.session import Session

if TYPE_CHECKING:
    from decimal import Decimal

    from greenlane.experiments.planning import TestPlan
    from greenlane.experiments.records import Guarded, Look
    from greenlane.experiments.results import Results
    from greenlane.experiments.statistics.effects import Effect
    from greenlane.experiments.storing.apply import AppliedTests
    from greenlane.experiments.storing.state import AuditedChange, StoredTest, Watch

DAY = timedelta(days=1)


def tell_applied(session: Session, applied: "AppliedTests") -> None:
    """What applying a file of tests came to."""
    session.emit(applied)
    for name, status in applied.tests.items():
        said = "applied" if name in applied.changed else "unchanged"
        session.say(f"{name}: {said}, {status}, version {applied.versions[name]}")
    if applied.shared:
        session.say("layers and holdouts: applied, for tests that begin from now on")
    if any(status == "draft" for status in applied.tests.values()):
        session.say("drafts serve their control and count nothing; begin them with --start")


def tell_test(session: Session, test: "StoredTest") -> None:
    """What a change of one test came to."""
    session.emit(test)
    session.say(f"{test.name}: {standing(test)}, version {test.version}")


def standing(test: "StoredTest") -> str:
    """Where a test stands, in some words."""
    again = f", run {test.run}" if test.run > 1 else ""
    if test.status == "draft":
        return f"a draft{again}"
    if test.status == "running":
        return f"running since {moment(test.started_at)}{again}"
    return f"ended {moment(test.ended_at)} ({test.verdict}), serves {test.served}{again}"


def moment(at: datetime | None) -> str:
    """An instant to the minute."""
    return "never" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def weights_text(weights: "Mapping[str, Decimal]") -> str:
    """Weights as people write them."""
    return ", ".join(f"{name} {percent.normalize():f}%" for name, percent in weights.items())


def listed(tests: "Sequence[StoredTest]") -> list[str]:
    """All tests, one line each."""
    if not tests:
        return ["there are no A/B tests yet; put some with `greenlane apply -f FILE`"]
    rows = [("test", "status", "since", "variants", "serves", "changed by")]
    for test in tests:
        status = test.status if test.verdict is None else f"{test.status}: {test.verdict}"
        since = test.ended_at or test.started_at or test.at
        serves = "as dealt" if test.status == "running" else test.served
        weights = weights_text(test.as_it_is().variants)
        rows.append((test.name, status, moment(since), weights, serves, test.by))
    return table(rows)


def detailed(test: "StoredTest") -> Iterator[str]:
    """One test: what was written, and what became of it."""
    from greenlane.flags.storing.state import as_written

    yield f"{test.name}: {standing(test)}"
    why = _why(test.change_reason)
    yield f"  version {test.version}, by {test.by or 'nobody'} at {moment(test.at)}{why}"
    for name, value in as_written(test.as_it_is()).items():
        yield f"  {name}: {as_json(value)}"
    if test.layer is not None:
        share = _share(test.layer.start, test.layer.end)
        yield f"  in layer {test.layer.name}: {share} of its users"
    for holdout in test.holdouts:
        yield f"  without holdout {holdout.name}: {_share(holdout.start, holdout.end)}"
    for epoch in test.epochs if len(test.epochs) > 1 else ():
        yield f"  from {moment(epoch.since)}: {weights_text(epoch.weights)}"


def _share(start: int, end: int) -> str:
    return f"{(end - start) / 10_000:g}%"


def _why(why: str) -> str:
    return f": {why}" if why else ""


def status_of(
    test: "StoredTest",
    found: "Results | None",
    looks: "Sequence[Look]",
    watch: "Watch | None",
    now: datetime,
) -> Iterator[str]:
    """Where one test stands: who is in it, what was looked at, what it says."""
    yield f"{test.name}: {standing(test)}"
    if test.reason:
        yield f"  why     {test.reason}"
    definition = test.as_it_is()
    if test.status == "running" and test.started_at is not None:
        yield f"  time    {_elapsed(test.started_at, now, definition.maximum_duration)}"
    yield f"  weights {weights_text(definition.variants)}"
    if test.status == "running":
        yield f"  traffic {_traffic(test, now)}"
    if found is None:
        return
    least = definition.minimum_sample_size
    yield f"  users   {_counts(found.users)} (each needs {least})"
    if looks:
        last = looks[-1]
        at = moment(last.snapshot.at)
        yield f"  look    {last.number} at {at}: {last.verdict}: {last.reason.text}"
    if watch is not None:
        said = watch.reason.text if watch.reason is not None else "nothing speaks against going on"
        yield f"  watch   {moment(watch.at)}: {said}"
    if found.look is None and found.reason is not None:
        when = "now   " if test.status == "running" else "at end"
        yield f"  {when}  {found.verdict}: {found.reason.text}"
    for note in found.notes:
        yield f"  note    {note}"


def _elapsed(start: datetime, now: datetime, longest: timedelta | None) -> str:
    days = max(now - start, timedelta(0)) / DAY
    return f"{days:.1f} days" + ("" if longest is None else f" of {longest / DAY:g}")


def _traffic(test: "StoredTest", now: datetime) -> str:
    from greenlane.experiments.assignment import level_of

    start = test.started_at or now
    level = level_of(test.ramp, test.traffic, now - start)
    text = f"{level.normalize():f}% of the eligible"
    return text if level == test.traffic else f"{text}, on the way to {test.traffic:f}%"


def _counts(users: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in users.items())


def numbers(found: "Results") -> Iterator[str]:
    """What a test says: users, effects, guardrails."""
    kept = f"look {found.look}" if found.look is not None else "not a look that counts"
    whose = f" of segment {found.segment}" if found.segment else ""
    yield f"{found.test}{whose}, run {found.run}, at {moment(found.at)} ({kept})"
    if found.verdict is not None and found.reason is not None:
        yield f"{found.verdict}: {found.reason.text}"
    ratio = "not as planned" if found.verdict == "invalid" else "as planned"
    yield f"users: {_counts(found.users)} ({ratio}, p {found.sample_ratio.p_value:.3g})"
    if found.crossovers or found.before_exposure:
        early = f"{found.before_exposure or 0} events from before their user's exposure"
        yield f"left out: {found.crossovers} users seen with two variants, {early}"
    yield ""
    yield from table(_effect_rows(found))
    if found.guardrails:
        yield ""
        yield from table(_guardrail_rows(found.guardrails))
    if found.honest is not None:
        yield ""
        yield _honest(found)
    for note in found.notes:
        yield f"note: {note}"


def _effect_rows(found: "Results") -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("metric", "variant", found.control, "variant's", "lift", "interval", "p", "")
    ]
    for metric, by in found.effects.items():
        name = f"{metric} *" if metric == found.primary else metric
        for treatment, effect in by.items():
            rows.append((name, treatment, *_effect_cells(effect)))
    return rows


def _effect_cells(effect: "Effect") -> tuple[str, ...]:
    if effect.outcome != "compared":
        return (
            _number(effect.control),
            _number(effect.treatment),
            "",
            "",
            "",
            _OUTCOMES[effect.outcome],
        )
    low, high = effect.lift_interval or (None, None)
    interval = "" if effect.lift_interval is None else f"{_lift(low)} to {_lift(high)}"
    p = "" if effect.p_value is None else f"{effect.p_value:.2g}"
    return (
        _number(effect.control),
        _number(effect.treatment),
        _lift(effect.lift),
        interval,
        p,
        "significant" if effect.significant else "",
    )


_OUTCOMES = {
    "empty_arm": "a variant has no users",
    "not_sent": "nobody sent it",
    "not_exposed": "more users sent it than were exposed",
    "no_variance": "all values are alike",
    "too_few": "too few users",
}


def _guardrail_rows(guardrails: "Sequence[Guarded]") -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("guardrail", "variant", "standing", "value")]
    for one in guardrails:
        standing = f"{one.standing}, the control's too" if one.everywhere else one.standing
        rows.append((one.condition, one.treatment, standing, _number(one.value)))
    return rows


def _honest(found: "Results") -> str:
    honest = found.honest
    if honest is None:
        return ""
    low, high = honest.difference_interval
    lift = f" (lift {_lift(honest.lift)})" if honest.lift is not None else ""
    return (
        f"without the luck of the moment the difference is {honest.difference:.4g}{lift}, "
        f"{low:.4g} to {high:.4g}"
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"


def _lift(value: float | None) -> str:
    return "?" if value is None else f"{value:+.2%}"


def look_lines(looks: "Sequence[Look]") -> list[str]:
    """Looks, oldest first, one line each."""
    rows = [("look", "at", "users", "verdict", "why")]
    for one in looks:
        users = sum(sum(epoch.users.values()) for epoch in one.snapshot.epochs)
        at = moment(one.snapshot.at)
        rows.append((str(one.number), at, str(users), one.verdict, one.reason.text))
    return table(rows)


def audit_lines(entries: "Sequence[AuditedChange]") -> Iterator[str]:
    """Who changed a test, newest first."""
    for entry in entries:
        at = f"{entry.at:%Y-%m-%d %H:%M:%S} UTC"
        yield f"{entry.version:>5}  {at}  {entry.by}{_why(entry.reason)}"
        yield from (f"       {line}" for line in differences(entry.before, entry.after))


def differences(before: Any, after: Any) -> Iterator[str]:
    """What differs between two tests, as stored or as written, one line for each key."""
    if before is None or after is None:
        yield "+ new" if before is None else "- gone"
        return
    old, new = _flat(before), _flat(after)
    for name in dict.fromkeys([*old, *new]):
        if as_json(old.get(name)) != as_json(new.get(name)):
            yield f"{name}: {_shown(old, name)} -> {_shown(new, name)}"


_TOLD_ELSEWHERE = ("version", "by", "at", "change_reason", "why")


def _flat(test: Mapping[str, Any]) -> dict[str, Any]:
    """A test's content by key, those of its definition among them."""
    flat = {name: value for name, value in test.items() if name not in _TOLD_ELSEWHERE}
    definition = flat.pop("definition", {})
    epochs = flat.pop("epochs", None)
    if epochs:
        flat["weights"] = epochs[-1]["weights"]
    return {**definition, **flat}


def _shown(values: Mapping[str, Any], name: str) -> str:
    return as_json(values[name]) if name in values else "nothing"


def plan_lines(name: str, plan: "TestPlan") -> Iterator[str]:
    """What a test needs."""
    yield (
        f"{name}: {plan.metric} from {plan.baseline:.4g} by {plan.lift:+.2%}, found in "
        f"{plan.power:.0%} of tests at a level of {plan.alpha:g}"
    )
    rule = plan.rule.replace("_", " ")
    yield f"  decided  {rule}, {plan.looks} look{'' if plan.looks == 1 else 's'}"
    yield f"  users    {_counts(plan.users)}: {sum(plan.users.values())} in all"
    yield f"  expected {plan.expected:.0%} of them until it ends, if the effect is as planned"
    if plan.duration is not None and plan.taking_part is not None:
        yield (
            f"  time     {plan.duration / DAY:g} days at {plan.taking_part:g} users a day"
            f"{_fits(plan)}"
        )
    if plan.detectable is not None and plan.maximum_duration is not None:
        days = plan.maximum_duration / DAY
        yield f"  finds    {plan.detectable:.2%} and more within {days:g} days"
    for note in plan.notes:
        yield f"  note     {note}"


def _fits(plan: "TestPlan") -> str:
    if plan.fits is None or plan.maximum_duration is None:
        return ""
    longest = plan.maximum_duration / DAY
    if plan.fits:
        return f", within its maximum of {longest:g}"
    return f", more than its maximum of {longest:g}: it would end too early"
