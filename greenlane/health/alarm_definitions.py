"""From conditions to CloudWatch alarms: what `apply` writes for each slot of a workload.

A condition that is one watch is one metric alarm. Any other is a composite alarm over metric
alarms that are nobody's trigger by themselves. All are called

    greenlane.<service>.<role>.<slot>.<digest of the expression>

which no other name can be mistaken for: a service's name has no dot. `slot` is `service` where no
metric is a slot's own. Two more composite alarms, `<service>-critical` and `<service>-warning`,
join what is red for people who look.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from greenlane.deployments.model import Slot
from greenlane.deployments.workload import Workload
from greenlane.health.catalogue import CATALOGUE, Metric, Part
from greenlane.health.criteria import Condition
from greenlane.health.expressions import parse
from greenlane.health.rules import AllOf, Rule, Watch, expand, metrics_of, without_data

Role = Literal["trigger", "critical", "warning", "part", "summary"]

PULLING: tuple[Role, ...] = ("trigger", "critical")
"""The roles whose alarms start the way back."""

SLOTS: tuple[Slot, ...] = ("blue", "green")
PERIOD_SECONDS = 60
MOST_METRICS = 10
"""What one alarm's metric math may read."""
MOST_CHILDREN = 100
"""Alarms below one composite alarm."""
FAMILY, FLAGS = "greenlane", "greenlane-flag"
"""How the names of all alarms of deployments begin, and of all those of feature flags."""
MARK = "Kept by `greenlane apply`."
"""The end of each description: an alarm without it is somebody else's."""

_COMPARISONS = {
    ">": "GreaterThanThreshold",
    ">=": "GreaterThanOrEqualToThreshold",
    "<": "LessThanThreshold",
    "<=": "LessThanOrEqualToThreshold",
}
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class AlarmDefinition:
    """One alarm as it is to be.

    `body` are the parameters of `PutMetricAlarm`, or of `PutCompositeAlarm` where it has an
    `AlarmRule`, without tags. `slot` is None for one of the whole service.
    """

    name: str
    role: Role
    slot: Slot | None
    body: Mapping[str, Any] = field(hash=False)

    @property
    def composite(self) -> bool:
        """Whether it is a composite alarm."""
        return "AlarmRule" in self.body

    @property
    def pulls(self) -> bool:
        """Whether it starts the way back."""
        return self.role in PULLING


@dataclass(frozen=True)
class AlarmPlan:
    """All alarms of one service, each after those that it is made of.

    `unwatched` are the conditions that cannot be alarms, with the reason.
    """

    alarms: tuple[AlarmDefinition, ...] = ()
    unwatched: tuple[tuple[Condition, str], ...] = ()

    def pulling(self, slot: Slot | None) -> tuple[str, ...]:
        """The names of those that start the way back, of a slot or of the whole service."""
        return tuple(one.name for one in self.alarms if one.pulls and one.slot == slot)

    def parts(self, slot: Slot) -> tuple[str, ...]:
        """The names of those that a slot's, and the whole service's, are made of."""
        rules = " ".join(
            one.body.get("AlarmRule", "")
            for one in self.alarms
            if one.pulls and one.slot in (slot, None)
        )
        return tuple(one.name for one in self.alarms if f'"{one.name}"' in rules)


def plan_alarms(
    conditions: Iterable[Condition],
    workload: Workload,
    metrics: Mapping[str, Metric] = CATALOGUE,
    *,
    family: str = FAMILY,
    about: str = "",
) -> AlarmPlan:
    """The alarms that conditions ask for.

    Args:
        conditions: triggers, critical alerts and warnings.
        workload: whose slots.
        metrics: the catalogue, or with it what the user declared.
        family: how the names begin.
        about: tells these conditions from others of the same words, about other metrics.

    Raises:
        ExpressionError: a condition is none.
    """
    alarms: dict[str, AlarmDefinition] = {}
    unwatched = []
    for condition in conditions:
        tree = parse(condition.expression, metrics)
        rule = expand(tree, metrics)
        why = unalarmable(rule)
        if why:
            unwatched.append((condition, why))
            continue
        of_slots = any(metric.per_slot for metric in metrics_of(rule).values())
        for slot in SLOTS if of_slots else (None,):
            writer = _Writer(workload, slot, condition, str(tree), family, about)
            for alarm in writer.write(rule):
                alarms.setdefault(alarm.name, alarm)
    return AlarmPlan((*alarms.values(), *_summaries(workload.service, alarms)), tuple(unwatched))


def unalarmable(rule: Rule) -> str:
    """Why a rule cannot be an alarm; nothing where it can."""
    for name, metric in metrics_of(rule).items():
        if metric.cumulative:
            return f"{name} counts since the first traffic, which no alarm can"
        if metric.lacks:
            return metric.lacks
        if metric.promql is not None:
            return f"{name} is read from Prometheus, which no alarm can"
        if len(_used(metric)) > MOST_METRICS:
            return f"{name} is made of more than {MOST_METRICS} metrics, which no alarm can be"
    if without_data(rule):
        return "it is true where there is no data, so on each slot without traffic"
    return ""


def prefix_of(service: str, *role: Role, family: str = FAMILY) -> str:
    """How the names of a service's own alarms begin, of one role or of all."""
    return ".".join((family, service, *role, ""))


def slot_of(name: str) -> Slot | None:
    """The slot that the name of an alarm of `apply` says; None of the whole service."""
    parts = name.split(".")
    return next((slot for slot in SLOTS if parts[0] == "greenlane" and slot in parts[3:4]), None)


def places_of(workload: Workload, slot: Slot | None) -> dict[str, str]:
    """What the placeholders of dimensions stand for; those of a slot only where there is one."""
    places = {
        "service": workload.service,
        "cluster": workload.cluster,
        "load_balancer": workload.load_balancer_full_name,
    }
    if slot is None:
        return places
    resources = workload.slots[slot]
    return places | {
        "slot": slot,
        "ecs_service": resources.service,
        "target_group": resources.target_group_full_name,
    }


def with_alarms(workload: Workload, alarms: AlarmPlan) -> Workload:
    """The workload with its own alarms and those that `apply` keeps for it."""
    slots = {
        slot: resources.model_copy(
            update={"alarms": _joined(resources.alarms, alarms.pulling(slot))}
        )
        for slot, resources in workload.slots.items()
    }
    of_all = _joined(workload.alarms, alarms.pulling(None))
    return workload.model_copy(update={"slots": slots, "alarms": of_all})


def _joined(names: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*names, *more)))


@dataclass(frozen=True)
class _Writer:
    """Writes the alarms of one condition for one slot."""

    workload: Workload
    slot: Slot | None
    condition: Condition
    text: str
    family: str
    about: str

    def write(self, rule: Rule) -> list[AlarmDefinition]:
        if isinstance(rule, Watch) and rule.red:
            return [self._watch(rule, self.condition.role, self.slot, self._about())]
        children: dict[str, AlarmDefinition] = {}
        top = _composite(
            self._name(self.condition.role, self.slot, self.text),
            self._joined(rule, children),
            self._about(),
        )
        role = self.condition.role
        return [*children.values(), AlarmDefinition(top["AlarmName"], role, self.slot, top)]

    def _joined(self, rule: Rule, children: dict[str, AlarmDefinition]) -> str:
        if isinstance(rule, Watch):
            slot = self.slot if rule.metric.per_slot else None
            about = f"{rule.text}: part of a condition, starts nothing by itself. {MARK}"
            child = self._watch(rule, "part", slot, about)
            children[child.name] = child
            return f'{"ALARM" if rule.red else "OK"}("{child.name}")'
        joined = (" AND " if isinstance(rule, AllOf) else " OR ").join(
            self._joined(part, children) for part in rule.parts
        )
        return f"({joined})"

    def _watch(self, watch: Watch, role: Role, slot: Slot | None, about: str) -> AlarmDefinition:
        # A condition keeps its own text; one watch below several conditions is one alarm.
        name = self._name(role, slot, watch.text if role == "part" else self.text)
        body = {
            "AlarmName": name,
            "AlarmDescription": about,
            "ActionsEnabled": True,
            "Metrics": _queries(watch.metric, self.workload, slot),
            "ComparisonOperator": _COMPARISONS[watch.operator],
            "Threshold": float(watch.limit),
            "EvaluationPeriods": watch.minutes,
            "DatapointsToAlarm": watch.matched,
            "TreatMissingData": "notBreaching",
        }
        return AlarmDefinition(name, role, slot, body)

    def _name(self, role: Role, slot: Slot | None, text: str) -> str:
        digest = hashlib.sha256(f"{self.about}{text}".encode()).hexdigest()[:12]
        prefix = prefix_of(self.workload.service, role, family=self.family)
        return f"{prefix}{slot or 'service'}.{digest}"

    def _about(self) -> str:
        whose = f"{self.workload.service} {self.slot}" if self.slot else self.workload.service
        source = self.condition.source[-200:]
        where = f", from {source}" if source else ""
        return f"{self.text}: {self.condition.role} of {whose}{where}. {MARK}"


def _summaries(service: str, alarms: Mapping[str, AlarmDefinition]) -> list[AlarmDefinition]:
    """`<service>-critical` and `<service>-warning`: is anything of that kind red?"""
    found: list[AlarmDefinition] = []
    roles: Sequence[Role] = ("critical", "warning")
    for role in roles:
        names = [name for name, alarm in alarms.items() if alarm.role == role]
        about = f"Any {role} alert of {service}, of either slot. {MARK}"
        if len(names) > MOST_CHILDREN:
            groups: list[AlarmDefinition] = []
            for first in range(0, len(names), MOST_CHILDREN):
                group = f"{prefix_of(service, 'summary')}service.{role}{len(groups) + 1}"
                some = names[first : first + MOST_CHILDREN]
                groups.append(_summary(group, some, f"Part of {service}-{role}. {MARK}"))
            found += groups
            names = [group.name for group in groups]
        if names:
            found.append(_summary(f"{service}-{role}", names, about))
    return found


def _summary(name: str, names: Iterable[str], about: str) -> AlarmDefinition:
    rule = " OR ".join(f'ALARM("{one}")' for one in names)
    return AlarmDefinition(name, "summary", None, _composite(name, rule, about))


def _composite(name: str, rule: str, about: str) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "AlarmDescription": about,
        "AlarmRule": rule,
        "ActionsEnabled": True,
    }


def _used(metric: Metric) -> list[str]:
    """The ids of the parts that its math names."""
    words = set(_WORD.findall(metric.math))
    return [part for part in metric.parts if part in words]


def _queries(metric: Metric, workload: Workload, slot: Slot | None) -> list[dict[str, Any]]:
    """The metric as an alarm's `Metrics`, with nothing left for CloudWatch to add."""
    alone = metric.math in metric.parts
    queries: list[dict[str, Any]] = [
        {
            "Id": part,
            "MetricStat": _stat(metric.parts[part], workload, slot),
            "ReturnData": alone,
        }
        for part in _used(metric)
    ]
    if not alone:
        result = "result"
        while result in metric.parts:
            result += "_"
        queries.append({"Id": result, "Expression": metric.math, "ReturnData": True})
    return queries


def _stat(part: Part, workload: Workload, slot: Slot | None) -> dict[str, Any]:
    values = part.filled(places_of(workload, slot))
    dimensions = [{"Name": name, "Value": value} for name, value in values.items()]
    named = {"Namespace": part.namespace, "MetricName": part.metric, "Dimensions": dimensions}
    return {"Metric": named, "Period": PERIOD_SECONDS, "Stat": part.statistic}
