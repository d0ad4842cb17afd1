"""The alarms of rollback conditions: which there are, whose they are, and keeping them.

Flags with the same condition on the same service share its alarms; a condition on a metric by
variant has its own for each flag. Their names begin with `greenlane-flag.<service>.trigger.`, which
is what the event rule goes by. The alarm of a slot only wakes: what counts is what the service's
users see, see `stopping`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from greenlane.flags.ramps.guards import Guard, guards
from greenlane.flags.ramps.impact import Behind, Questions
from greenlane.flags.ramps.impact_metrics import by_variant, names_environment, of_those_who_have_it
from greenlane.flags.storing.state import StoredFlags
from greenlane.health.alarm_definitions import FLAGS, AlarmDefinition, AlarmPlan, plan_alarms
from greenlane.health.alarm_keeping import KeptAlarms, Pause, keep_alarms
from greenlane.health.criteria import Condition

SOURCE = "the rollback conditions of feature flags"


@dataclass(frozen=True)
class Watched:
    """One condition of one flag in one environment."""

    guard: Guard
    condition: str


@dataclass
class FlagAlarms:
    """The alarms of all flags on one service.

    `whose` has for each alarm that stops something the conditions it stands for; `unwatched` the
    conditions that no alarm can watch, with the reason.
    """

    plan: AlarmPlan = field(default_factory=AlarmPlan)
    whose: dict[str, list[Watched]] = field(default_factory=dict)
    unwatched: dict[Watched, str] = field(default_factory=dict)


def alarms_of(
    flags: StoredFlags, service: str, behind: Behind, services: Iterable[str]
) -> FlagAlarms:
    """The alarms that the flags' conditions on one service ask for; pure.

    A flag that is off keeps its alarms: they are there when it is switched on.
    """
    found = FlagAlarms()
    alarms: dict[str, AlarmDefinition] = {}
    for guard in guards(flags, tuple(services)):
        if guard.service != service:
            continue
        questions = Questions(guard, behind)
        for text in dict.fromkeys(guard.rollback):
            watched = Watched(guard, text)
            if text in questions.wrong:
                found.unwatched[watched] = questions.wrong[text]
                continue
            plan = _planned(questions, text)
            for _, why in plan.unwatched:
                found.unwatched[watched] = why
            for alarm in plan.alarms:
                alarms.setdefault(alarm.name, alarm)
                if alarm.pulls:
                    found.whose.setdefault(alarm.name, []).append(watched)
    found.plan = AlarmPlan(tuple(alarms.values()))
    return found


def _planned(questions: Questions, text: str) -> AlarmPlan:
    guard, named = questions.guard, questions.named(questions.trees[text])
    own = {name: metric for name, metric in named.items() if by_variant(metric)}
    about = ""
    if own:
        # Alarms on the minutes of this flag's users.
        apart = any(names_environment(metric) for metric in own.values())
        about = f"{guard.flag}/{guard.environment if apart else ''}: "
    metrics = {
        **questions.metrics,
        **{name: of_those_who_have_it(metric, guard) for name, metric in own.items()},
    }
    condition = Condition(expression=text, role="trigger", source=SOURCE)
    return plan_alarms([condition], questions.behind.workload, metrics, family=FLAGS, about=about)


def keep_flag_alarms(
    cloudwatch: Any,
    flags: StoredFlags,
    behind: Mapping[str, Behind],
    services: Sequence[str],
    *,
    pause: Pause,
) -> dict[str, KeptAlarms]:
    """Write the alarms that are missing or different, and delete those that no flag asks for.

    Those of a service that is no more are deleted too: its flags ask nobody.

    Args:
        cloudwatch: the client.
        flags: all of them.
        behind: the services that could be looked up, by name; alarms of the other services that
            there are stay as they are.
        services: the names of all that there are.
        pause: how to wait some seconds.

    Returns:
        By service, what was done.
    """
    kept = {}
    for service, it in behind.items():
        alarms = alarms_of(flags, service, it, services)
        kept[service] = keep_alarms(
            cloudwatch, alarms.plan, service, flags.version, pause=pause, family=FLAGS
        )
    for service in sorted(_with_alarms(cloudwatch) - {*services}):
        kept[service] = keep_alarms(
            cloudwatch, AlarmPlan(), service, flags.version, pause=pause, family=FLAGS
        )
    return kept


def _with_alarms(cloudwatch: Any) -> set[str]:
    """The services that have alarms of flags, by the alarms' names."""
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=f"{FLAGS}.", AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    kinds = ("MetricAlarms", "CompositeAlarms")
    return {
        one["AlarmName"].split(".")[1]
        for page in pages
        for kind in kinds
        for one in page.get(kind, [])
    }
