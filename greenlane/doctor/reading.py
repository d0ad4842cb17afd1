"""Reading what the doctor looks at. Each part on its own: what does not answer becomes a note."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import yaml
from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.connection import Connection
from greenlane.deployments.declaring.applied_alarms import alarms_asked
from greenlane.deployments.model import DeploymentRequest, Slot
from greenlane.deployments.plan import plan_steps
from greenlane.deployments.reaching.fleet import read_task_definition
from greenlane.deployments.reaching.traffic import read_rule
from greenlane.deployments.reaching.workloads import read_workload
from greenlane.deployments.workload import Workload
from greenlane.doctor.facts import Alarm, Denial, Facts, Ownership, Part, Subscription, TargetGroup
from greenlane.errors import Refused
from greenlane.health.alarm_definitions import with_alarms

_NEEDED = (
    ("greenlane-shift-traffic", "elasticloadbalancing:ModifyRule", "rule"),
    ("greenlane-take-traffic-back", "elasticloadbalancing:ModifyRule", "rule"),
    ("greenlane-prepare-slot", "ecs:UpdateService", "services"),
    ("greenlane-prepare-slot", "iam:PassRole", "roles"),
    ("greenlane-take-traffic-back", "ecs:UpdateService", "services"),
    ("greenlane-take-traffic-back", "iam:PassRole", "roles"),
    ("greenlane-empty-slot", "ecs:UpdateService", "services"),
)
"""Roles by the name of their function, with what each must be able to do and on what."""

_PASSED_TO = {
    "ContextKeyName": "iam:PassedToService",
    "ContextKeyValues": ["ecs-tasks.amazonaws.com"],
    "ContextKeyType": "string",
}


class Reader:
    """Reads the facts about one service.

    Args:
        connection: the account and Region, with the credentials of whoever asks.
        service: the service's name.
    """

    def __init__(self, connection: Connection, service: str) -> None:
        """See the class."""
        self._connection = connection
        self._unread: dict[Part, str] = {}
        stored = connection.store.get_config(service)
        self.config = stored.config
        workload = stored.config.workload
        if workload is None or not stored.workload_declared:
            workload = read_workload(connection.client("ssm"), service)
        # With those that `apply` keeps for the service's own triggers and critical alerts.
        self.workload: Workload = with_alarms(workload, alarms_asked(self.config, workload))

    def read(self) -> Facts:
        """Everything; what does not answer is in `unread`."""
        rule = self._part("rule", self._rule, None)
        return Facts(
            config=self.config,
            workload=self.workload,
            shortest_bake_seconds=self._shortest_bake(),
            alarms=self._part("alarms", self._alarms, ()),
            groups=self._part("target groups", self._groups, {}),
            services=self._part("services", self._services, {}),
            stickiness=rule.stickiness if rule is not None else None,
            weights=rule.weights if rule is not None else self._as_if_whole(),
            subscriptions=self._part("dead-letter queues", self._subscriptions, ()),
            owners=self._part("stacks", self._owners, {}),
            denied=self._part("permissions", self._denied, ()),
            scan_on_push=self._part("repository", self._scans, None),
            unread=self._unread,
        )

    def _part(self, part: Part, read: Callable[[], Any], nothing: Any) -> Any:
        try:
            return read()
        except (BotoCoreError, ClientError, Refused) as error:
            self._unread[part] = str(error)
            return nothing

    def _as_if_whole(self) -> dict[str, int]:
        """Weights that nobody could read are no finding of their own."""
        arns = [resources.target_group_arn for resources in self.workload.slots.values()]
        return dict(zip(arns, (100, 0), strict=True))

    def _shortest_bake(self) -> int:
        request = DeploymentRequest(service=self.workload.service, version="any")
        steps = plan_steps(self.config.deployment, request)
        return min((step.bake_seconds for step in steps if step.bake_seconds), default=0)

    def _rule(self) -> Any:
        return read_rule(self._connection.client("elbv2"), self.workload.listener_rule_arn)

    def _alarms(self) -> tuple[Alarm, ...]:
        of_slot: dict[str, Slot | None] = {
            name: slot
            for slot, resources in self.workload.slots.items()
            for name in resources.alarms
        }
        of_slot |= dict.fromkeys(self.workload.alarms)
        names = list(of_slot)
        found: dict[str, Alarm] = {}
        for first in range(0, len(names), 100):
            answer = self._connection.client("cloudwatch").describe_alarms(
                AlarmNames=names[first : first + 100],
                AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                MaxRecords=100,
            )
            for kind in ("MetricAlarms", "CompositeAlarms"):
                for alarm in answer.get(kind, []):
                    found[alarm["AlarmName"]] = Alarm(
                        name=alarm["AlarmName"],
                        slot=of_slot[alarm["AlarmName"]],
                        state=alarm["StateValue"],
                        treat_missing=alarm.get("TreatMissingData", "missing"),
                        composite=kind == "CompositeAlarms",
                        actions=tuple(alarm.get("AlarmActions", ())),
                    )
        return tuple(
            found.get(name, Alarm(name=name, slot=slot, state="MISSING"))
            for name, slot in of_slot.items()
        )

    def _groups(self) -> dict[Slot, TargetGroup]:
        elbv2 = self._connection.client("elbv2")
        groups: dict[Slot, TargetGroup] = {}
        for slot, resources in self.workload.slots.items():
            arn = resources.target_group_arn
            attributes = elbv2.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
            (group,) = elbv2.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"]
            check = {
                key: group[key]
                for key in group
                if key.startswith(("HealthCheck", "HealthyThreshold", "UnhealthyThreshold"))
                or key == "Matcher"
            }
            groups[slot] = TargetGroup(
                attributes={pair["Key"]: str(pair["Value"]) for pair in attributes},
                health_check=check,
            )
        return groups

    def _services(self) -> dict[Slot, dict[str, Any]]:
        ecs = self._connection.client("ecs")
        slots: dict[Slot, dict[str, Any]] = {}
        for slot, resources in self.workload.slots.items():
            answer = ecs.describe_services(
                cluster=self.workload.cluster, services=[resources.service]
            )
            if not answer["services"]:
                raise Refused(f"there is no service {resources.service} in the cluster")
            slots[slot] = answer["services"][0]
        return slots

    def _subscriptions(self) -> tuple[Subscription, ...]:
        events = self._connection.client("events")
        service = self.workload.service
        found = []
        for rule in (f"greenlane-alarm-{service}", f"greenlane-ecs-{service}"):
            try:
                targets = _all(events.list_targets_by_rule, "Targets", Rule=rule)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceNotFoundException":
                    raise
                continue
            found += [
                Subscription(
                    rule=rule,
                    target=target["Arn"],
                    dead_letter_queue=bool(target.get("DeadLetterConfig", {}).get("Arn")),
                )
                for target in targets
            ]
        return tuple(found)

    def _owners(self) -> dict[str, Ownership]:
        owned: dict[str, Ownership] = {}
        resources = {"listener rule": self.workload.listener_rule_arn}
        for resource in self.workload.slots.values():
            resources[resource.service] = self._service_arn(resource.service)
        for subject, physical_id in resources.items():
            owner = self._owner(physical_id)
            if owner is not None:
                owned[subject] = owner
        return owned

    def _owner(self, physical_id: str) -> Ownership | None:
        cloudformation = self._connection.client("cloudformation")
        try:
            answer = cloudformation.describe_stack_resources(PhysicalResourceId=physical_id)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationError":  # no stack owns it
                return None
            raise
        for resource in answer["StackResources"]:
            if resource["PhysicalResourceId"] != physical_id:
                continue
            body = cloudformation.get_template(StackName=resource["StackName"])["TemplateBody"]
            template = body if isinstance(body, dict) else _template(body, resource["StackName"])
            declared = template.get("Resources", {}).get(resource["LogicalResourceId"], {})
            return Ownership(
                stack=resource["StackName"],
                logical_id=resource["LogicalResourceId"],
                type=resource["ResourceType"],
                properties=declared.get("Properties", {}),
            )
        return None

    def _denied(self) -> tuple[Denial, ...]:
        resources = {
            "rule": [self.workload.listener_rule_arn],
            "services": [
                self._service_arn(resource.service) for resource in self.workload.slots.values()
            ],
            "roles": self._task_roles(),
        }
        iam, found = self._connection.client("iam"), []
        partition = self.workload.listener_rule_arn.split(":")[1]
        for function, action, what in _NEEDED:
            if not resources[what]:
                continue
            role = f"{function}-{self._connection.region}"
            answer = _all(
                iam.simulate_principal_policy,
                "EvaluationResults",
                token=("Marker", "Marker"),
                PolicySourceArn=f"arn:{partition}:iam::{self._connection.account}:role/{role}",
                ActionNames=[action],
                ResourceArns=resources[what],
                ContextEntries=[_PASSED_TO],
            )
            found += [
                Denial(role=role, action=one["EvalActionName"], resource=one["EvalResourceName"])
                for one in answer
                if one["EvalDecision"] != "allowed"
            ]
        return tuple(found)

    def _task_roles(self) -> list[str]:
        """The roles of the revision that the slots run."""
        roles = set()
        for service in self._services().values():
            revision = read_task_definition(
                self._connection.client("ecs"), service["taskDefinition"]
            )
            roles |= {revision.get("taskRoleArn"), revision.get("executionRoleArn")}
        return sorted(role for role in roles if role)

    def _service_arn(self, name: str) -> str:
        partition, region = self.workload.listener_rule_arn.split(":")[1:4:2]
        account = self.workload.listener_rule_arn.split(":")[4]
        return f"arn:{partition}:ecs:{region}:{account}:service/{self.workload.cluster}/{name}"

    def _scans(self) -> bool:
        ecr = self._connection.client("ecr")
        name = self.config.repository or self.workload.repository
        (repository,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]
        if repository.get("imageScanningConfiguration", {}).get("scanOnPush"):
            return True
        registry = ecr.get_registry_scanning_configuration()["scanningConfiguration"]
        # A rule of the whole registry may scan this repository as well.
        return any(
            rule["scanFrequency"] != "MANUAL" and _matches(rule, name)
            for rule in registry.get("rules", [])
        )


def _matches(rule: dict[str, Any], name: str) -> bool:
    return any(fnmatchcase(name, one["filter"]) for one in rule.get("repositoryFilters", []))


def _all(
    call: Callable[..., Any],
    key: str,
    *,
    token: tuple[str, str] = ("NextToken", "NextToken"),
    **arguments: Any,
) -> list[Any]:
    """Every page of an answer."""
    found: list[Any] = []
    more: dict[str, Any] = {}
    while True:
        answer = call(**arguments, **more)
        found += answer[key]
        if not answer.get(token[1]):
            return found
        more = {token[0]: answer[token[1]]}


class _Template(yaml.SafeLoader):
    """Reads CloudFormation's YAML; a short intrinsic such as `!Ref` becomes its plain content."""


def _plain(loader: Any, suffix: str, node: yaml.Node) -> Any:
    del suffix
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node)
    return loader.construct_mapping(node)


_Template.add_multi_constructor("!", _plain)


def _template(text: str, stack: str) -> dict[str, Any]:
    """A template's body; {} when it is none.

    Raises:
        Refused: it is no YAML.
    """
    try:
        # A safe loader: only data is built.
        found = yaml.load(text, Loader=_Template)  # noqa: S506
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f"line {where.line + 1}: " if where is not None else ""
        why = getattr(error, "problem", None) or "it cannot be read"
        raise Refused(f"the template of {stack} is no YAML: {line}{why}") from error
    return found if isinstance(found, dict) else {}
