"""From what was found to the steps of an adoption. Pure; `--dry-run` prints what comes out.

Until the last step the service works as before: its rule is changed by one `ModifyRule` that keeps
all of the traffic on the target group which has it, and nothing that serves is ever replaced.
"""

from greenlane.adopting.alarms import alarm_names, alarms_of
from greenlane.adopting.model import (
    OWNER_TAG,
    AddRule,
    AdoptionPlan,
    Before,
    Body,
    ChangeService,
    Describe,
    Found,
    LetIn,
    MakeAlarms,
    MakeSecurityGroup,
    MakeTargetGroup,
    Step,
    WeighRule,
)
from greenlane.adopting.refusing import refusals
from greenlane.adopting.routing import EVERYTHING, Route, route_of, weighted
from greenlane.adopting.twin import GREEN, GREEN_NAME, RULE, VALIDATION, Twin
from greenlane.deployments.workload import (
    Capacity,
    SlotName,
    SlotResources,
    Workload,
    parameter_name,
)
from greenlane.errors import Refused

MOST_IN_A_GROUP_NAME = 32
_SECOND = "-green"

_GROUP_SETTINGS = (
    "Protocol",
    "ProtocolVersion",
    "Port",
    "VpcId",
    "HealthCheckProtocol",
    "HealthCheckPort",
    "HealthCheckEnabled",
    "HealthCheckPath",
    "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "UnhealthyThresholdCount",
    "Matcher",
    "TargetType",
    "IpAddressType",
)
_CONFIGURATION = (
    "deploymentCircuitBreaker",
    "maximumPercent",
    "minimumHealthyPercent",
    "alarms",
)


def plan_adoption(found: Found) -> AdoptionPlan:
    """The steps that make the service a slot, in order.

    Raises:
        Refused: with everything that keeps it from being adopted, by name and with a way out.
    """
    problems = refusals(found)
    route: Route | None = None
    if len(found.target_groups) == 1:
        chosen = route_of(found.listeners, found.target_groups[0]["TargetGroupArn"])
        if isinstance(chosen, Route):
            route = chosen
        elif found.load_balancer is not None:
            problems += chosen
    if problems or route is None:
        said = "\n".join(f"  {problem}" for problem in problems)
        raise Refused(f"{found.request.ecs_service} cannot be adopted; nothing was changed\n{said}")
    return _Planner(found, route).plan()


def group_name(found: Found) -> str:
    """The name of the second target group: that of the first with `-green`, 32 characters."""
    if found.request.target_group is not None:
        return found.request.target_group
    return second_group_name(found.target_groups[0]["TargetGroupName"])


def second_group_name(first: str) -> str:
    """See `group_name`."""
    return first[: MOST_IN_A_GROUP_NAME - len(_SECOND)].rstrip("-") + _SECOND


def validation_group_name(name: str) -> str:
    """The name of the security group from which the service's candidate is validated."""
    return f"greenlane-validation-{name}"


class _Planner:
    def __init__(self, found: Found, route: Route) -> None:
        self._found = found
        self._route = route
        self._request = found.request
        self._service = found.service
        self._group = found.target_groups[0]
        self._entry = found.service["loadBalancers"][0]
        self._before = found.before or Before(
            request=found.request,
            rule=route.rule,
            joined=route.conditions is not None,
            deployment_configuration=_configuration(found.service),
            scaling=found.scaling.target if found.scaling else None,
            role_tag=_tag(found.service, "Deployment"),
        )

    def plan(self) -> AdoptionPlan:
        steps: list[Step] = [self._target_group(), self._rule()]
        steps += self._configuration_without_rollback()
        steps += self._validation()
        twin = Twin(self._found, self._before, self._configuration_of_twin())
        steps.append(twin.service())
        if self._found.scaling is not None:
            steps.append(twin.scaling(self._found.scaling))
        steps += self._alarms()
        steps.append(self._parameters())
        return AdoptionPlan(
            before=self._before,
            steps=tuple(steps),
            settings=self._settings(),
            warnings=tuple(self._warnings()),
        )

    @property
    def _name(self) -> str:
        return self._request.name

    @property
    def _blue(self) -> str:
        return str(self._group["TargetGroupArn"])

    @property
    def _port(self) -> int:
        return int(self._entry["containerPort"])

    @property
    def _network(self) -> Body:
        configuration: Body = self._service.get("networkConfiguration") or {}
        return configuration.get("awsvpcConfiguration") or {}

    def _target_group(self) -> MakeTargetGroup:
        name = group_name(self._found)
        settings = {key: self._group[key] for key in _GROUP_SETTINGS if key in self._group}
        return MakeTargetGroup(
            because=f"create the target group {name} like {self._group['TargetGroupName']}",
            name=name,
            settings=settings | {"Tags": [{"Key": OWNER_TAG, "Value": self._name}]},
            attributes=self._found.attributes,
        )

    def _rule(self) -> WeighRule | AddRule:
        rule = self._route.rule
        actions = weighted(rule, self._blue, GREEN)
        if self._route.priority is not None:
            return AddRule(
                because=f"put a rule for /* at priority {self._route.priority} before the default "
                "action: 100 percent to what runs, 0 to the second group",
                listener_arn=rule.listener_arn,
                priority=self._route.priority,
                conditions=EVERYTHING,
                actions=actions,
            )
        joined = ""
        if self._route.behind:
            others = ", ".join(str(one.priority or "default") for one in self._route.behind)
            joined = f", catching what {others} catch, which stay behind it"
        return WeighRule(
            because=f"let rule {rule.priority} name both target groups, 100 percent to what runs"
            + joined,
            rule_arn=rule.arn,
            actions=actions,
            conditions=self._route.conditions,
        )

    def _configuration_without_rollback(self) -> list[Step]:
        """ECS's own rollback would put an old image on a slot and call it stable."""
        before = self._before.deployment_configuration
        changed = dict(before)
        for key in ("deploymentCircuitBreaker", "alarms"):
            if before.get(key, {}).get("rollback"):
                changed[key] = before[key] | {"rollback": False}
        if changed == before:
            return []
        return [
            ChangeService(
                because=f"switch ECS's own rollback of {self._request.ecs_service} off",
                service=self._request.ecs_service,
                configuration=changed,
            )
        ]

    def _configuration_of_twin(self) -> Body:
        """That of the first slot, as it will be."""
        for step in self._configuration_without_rollback():
            if isinstance(step, ChangeService):
                return step.configuration
        return self._before.deployment_configuration

    def _validation(self) -> list[Step]:
        steps: list[Step] = []
        source = self._request.validation_group
        if source is None:
            source, name = VALIDATION, validation_group_name(self._name)
            steps.append(
                MakeSecurityGroup(
                    because=f"create the security group {name}, from which Greenlane validates",
                    name=name,
                    vpc_id=self._group["VpcId"],
                )
            )
        steps.append(
            LetIn(
                because=f"let it reach {self._found.security_groups[0]} on port {self._port}",
                group=self._found.security_groups[0],
                source=source,
                port=self._port,
            )
        )
        return steps

    def _alarms(self) -> list[Step]:
        groups: dict[SlotName, str] = {
            "blue": self._blue.rsplit(":", 1)[-1],
            "green": GREEN_NAME,
        }
        return [
            MakeAlarms(
                because=f"create the {len(alarm_names(self._name, slot))} alarms of {slot}",
                slot=slot,
                bodies=alarms_of(self._name, slot, self._balancer, group),
            )
            for slot, group in groups.items()
            if slot not in self._request.alarms
        ]

    @property
    def _balancer(self) -> str:
        (arn,) = self._group["LoadBalancerArns"]
        return str(arn).rpartition(":loadbalancer/")[2]

    def _alarms_of(self, slot: SlotName) -> tuple[str, ...]:
        return self._request.alarms.get(slot) or alarm_names(self._name, slot)

    def _parameters(self) -> Describe:
        rule = self._route.rule
        workload = Workload(
            service=self._name,
            cluster=self._request.cluster,
            container=self._entry["containerName"],
            port=self._port,
            repository=self._found.repository or "",
            load_balancer_full_name=self._balancer,
            listener_arn=rule.listener_arn,
            listener_rule_arn=RULE if self._route.priority is not None else rule.arn,
            test_listener_arn=None,
            slots={
                "blue": SlotResources(
                    service=self._request.ecs_service,
                    target_group_arn=self._blue,
                    alarms=self._alarms_of("blue"),
                ),
                "green": SlotResources(
                    service=self._request.twin_name,
                    target_group_arn=GREEN,
                    alarms=self._alarms_of("green"),
                ),
            },
            capacity=self._capacity(),
        )
        prefix = parameter_name(self._name)
        return Describe(
            because=f"describe the service in {prefix}",
            values={
                f"{prefix}/listener-rule-arn": workload.listener_rule_arn,
                f"{prefix}/target-group-arn-blue": self._blue,
                f"{prefix}/target-group-arn-green": GREEN,
                f"{prefix}/subnet-ids": ",".join(self._network.get("subnets", ())),
                f"{prefix}/validation-security-group-id": self._request.validation_group
                or VALIDATION,
                prefix: workload.model_dump_json(),
            },
        )

    def _capacity(self) -> Capacity | None:
        target = self._before.scaling
        if target is None or target["MinCapacity"] < 1:
            return None
        return Capacity(min_tasks=target["MinCapacity"], max_tasks=target["MaxCapacity"])

    def _settings(self) -> Body:
        definition = self._found.definition
        roles = (definition.get("taskRoleArn"), definition.get("executionRoleArn"))
        settings: Body = {
            "name": self._name,
            "cluster": self._request.cluster,
            "container": self._entry["containerName"],
            "port": self._port,
            "repository": self._found.repository,
            "ecs_services": {
                "blue": self._request.ecs_service,
                "green": self._request.twin_name,
            },
            "task_family": definition["family"],
            "task_roles": sorted({arn.rpartition("/")[2] for arn in roles if arn}),
        }
        group = self._log_group()
        if group is not None:
            settings["log_group"] = group
        if self._request.alarms:
            settings["alarms"] = [*self._alarms_of("blue"), *self._alarms_of("green")]
        return settings

    def _log_group(self) -> str | None:
        for container in self._found.definition["containerDefinitions"]:
            if container["name"] == self._entry["containerName"]:
                options = container.get("logConfiguration", {}).get("options", {})
                return str(options["awslogs-group"]) if "awslogs-group" in options else None
        return None

    def _warnings(self) -> list[str]:
        said = [
            f"{what} belongs to the stack {stack}: whoever updates it there resets what Greenlane "
            "manages; see docs/adopting.md"
            for what, stack in self._found.owner_stacks.items()
        ]
        if self._group["Protocol"] == "HTTPS":
            said.append("its targets speak HTTPS; validation and warm-up send plain HTTP")
        if not self._settings()["task_roles"]:
            said.append("its tasks have no role: cdk.json needs at least one in task_roles")
        return said


def _configuration(service: Body) -> Body:
    configuration: Body = service.get("deploymentConfiguration") or {}
    return {key: configuration[key] for key in _CONFIGURATION if key in configuration}


def _tag(service: Body, key: str) -> str | None:
    return next((one["value"] for one in service.get("tags", []) if one["key"] == key), None)
