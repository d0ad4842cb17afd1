"""What a reader sees first: the outcome, how large, how sure, for whom. Pure; no I/O."""

from greenlane.experiments.records import Guarded
from greenlane.experiments.report.charts import by_lift
from greenlane.experiments.report.model import Report
from greenlane.experiments.report.words import (
    measured,
    moment,
    name_of_metric,
    plain,
    ratio,
)
from greenlane.experiments.statistics.effects import Effect
from greenlane.incidents.wording import sentence, span

PILLS = {
    "running": ("wait", "running"),
    "ship": ("good", "shipped"),
    "futile": ("wait", "no use"),
    "inconclusive": ("wait", "inconclusive"),
    "invalid": ("bad", "invalid"),
    "rollback": ("bad", "stopped: harm"),
    "stopped": ("wait", "stopped"),
}

_TITLES = {
    "running": "{name} is running",
    "ship": "{name}: {served} wins",
    "futile": "{name}: no treatment can be as much better as is asked",
    "inconclusive": "{name}: no winner",
    "invalid": "{name}: not to be trusted",
    "rollback": "{name}: stopped, because a treatment does harm",
    "stopped": "{name} was stopped by {by}",
}


def title(report: Report) -> str:
    """One line."""
    return _TITLES[report.outcome].format(
        name=report.name, served=report.served, by=report.ended_by or "somebody"
    )


def summary(report: Report) -> str:
    """A few sentences, the most important first."""
    said = [sentence(report.reason[:1].upper() + report.reason[1:])] if report.reason else []
    effect = report.primary.effects.get(report.leader)
    if effect is not None and effect.outcome == "compared":
        said.append(_effect(report, effect))
    if report.outcome == "ship" and report.honest is not None and report.honest.lift is not None:
        said.append(
            f"Without the luck of having ended just then it is {ratio(report.honest.lift)}."
        )
    if report.outcome == "ship" and not report.clears_minimum and report.minimum_lift > 0:
        asked = ratio(float(report.minimum_lift))
        said.append(f"The lower end of the interval is below the {asked} that is asked.")
    return " ".join(said)


def _effect(report: Report, effect: Effect) -> str:
    metric, kind = name_of_metric(report.primary.name), report.primary.kind
    values = f"{measured(effect.treatment, kind)} against {measured(effect.control, kind)}"
    return f"{metric[:1].upper() + metric[1:]} of {report.leader}: {values} of {report.control}."


def facts(report: Report) -> list[tuple[str, str, str]]:
    """What there is to know at once: what it is about, the answer, and more of it."""
    return [
        ("Everybody has" if report.ended_at else "Those outside have", *_served(report)),
        (_effect_name(report), *_how_large(report)),
        ("Users", *_users(report)),
        ("Guardrails", *_guardrails(report)),
        ("Split", *_split(report)),
        ("When (UTC)", *_when(report)),
    ]


def _served(report: Report) -> tuple[str, str]:
    if report.ended_at is None:
        return report.served, "the control, as long as the test runs"
    who = "the winner" if report.served != report.control else "the control"
    return report.served, f"{who}, of all variants; nobody is dealt any more"


def _effect_name(report: Report) -> str:
    kind = "Lift" if not report.looks or by_lift(report) else "Difference"
    return f"{kind} of {name_of_metric(report.primary.name)}"


def _how_large(report: Report) -> tuple[str, str]:
    effect = report.primary.effects.get(report.leader)
    if effect is None:
        return "not known yet", "no look was taken"
    if effect.outcome != "compared":
        return "not compared", OUTCOMES[effect.outcome]
    shown = "shown not to be chance" if effect.significant else "not shown to be more than chance"
    if not by_lift(report):
        low, high = effect.difference_interval or (None, None)
        return plain(effect.difference), f"from {plain(low)} to {plain(high)}; {shown}"
    low, high = effect.lift_interval or (None, None)
    return ratio(effect.lift), f"{report.leader}, from {ratio(low)} to {ratio(high)}; {shown}"


OUTCOMES = {
    "compared": "compared",
    "empty_arm": "a variant has no users",
    "not_sent": "nobody sent it",
    "not_exposed": "more users sent it than were exposed",
    "no_variance": "all values are alike, so chance cannot be told",
    "too_few": "too few users",
}
"""Why an effect has no numbers."""


def _users(report: Report) -> tuple[str, str]:
    everyone = sum(report.users.values())
    if not report.looks:
        return "not known yet", "no look was taken"
    parts = ", ".join(f"{name} {count:,}" for name, count in report.users.items())
    least = f"; at least {report.minimum_sample_size:,} each are asked"
    return f"{everyone:,}", parts + least


def _guardrails(report: Report) -> tuple[str, str]:
    if not report.limits:
        return "none", "nothing was said that must not become worse"
    if not report.guardrails:
        return "not known yet", "nothing was looked at"
    broken = [one for one in report.guardrails if one.standing == "breached"]
    if broken:
        return "broken", "; ".join(_broken(report, one) for one in broken)
    open_ = [one for one in report.guardrails if one.standing in ("unproven", "no_data")]
    if open_:
        known = not any(one.standing == "no_data" for one in open_)
        said = dict.fromkeys(f"{one.condition}: {STANDINGS[one.standing]}" for one in open_)
        return "not broken" if known else "not all known", "; ".join(said)
    return "kept", "; ".join(dict.fromkeys(one.condition for one in report.guardrails))


def _broken(report: Report, one: Guarded) -> str:
    limit = next((limit for limit in report.limits if limit.metric == one.metric), None)
    said = f"{one.treatment} breaks {one.condition}"
    if limit is None or one.value is None:
        return said
    return f"{said}: {ratio(one.value) if limit.relative else measured(one.value, limit.kind)}"


STANDINGS = {
    "ok": "kept",
    "breached": "broken",
    "unproven": "not shown either way",
    "no_data": "nobody sent it",
}
"""How the standing of a guardrail reads."""


def _split(report: Report) -> tuple[str, str]:
    if report.sample_ratio is None:
        return "not known yet", "nothing was looked at"
    p = report.sample_ratio.p_value
    if p <= 0.01:
        return (
            "not as planned",
            f"chance does that in {p:.2g} of such tests, however often one looks",
        )
    more = f"; {report.crossovers} users were seen with two variants" if report.crossovers else ""
    return "as planned", f"p {p:.2g}, at any number of looks{more}"


def _when(report: Report) -> tuple[str, str]:
    looks = f"{len(report.looks)} look{'' if len(report.looks) == 1 else 's'}"
    if report.ended_at is None:
        end = f"ends by {moment(report.latest_end)}" if report.latest_end else "has no end"
        return f"since {moment(report.started_at)}", f"{looks}; {end}"
    lasted = span((report.ended_at - report.started_at).total_seconds())
    return f"{moment(report.started_at)}, {lasted}", f"{looks}; ended {moment(report.ended_at)}"
