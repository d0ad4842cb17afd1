"""Reading an existing service: cluster, load balancer, auto scaling. It changes nothing."""

from typing import Any

from botocore.exceptions import ClientError

from greenlane.adopting.alarms import alarm_names
from greenlane.adopting.clients import Clients, code_of, is_owned
from greenlane.adopting.model import (
    AdoptionRequest,
    Body,
    Found,
    Listener,
    Rule,
    Scaling,
    Taken,
)
from greenlane.adopting.planning import second_group_name, validation_group_name
from greenlane.adopting.record import parameter_exists, read_before
from greenlane.deployments.connection import Connection
from greenlane.deployments.reaching.fleet import read_task_definition
from greenlane.deployments.workload import SlotName, parameter_name
from greenlane.errors import InvalidInput, Refused

SLOTS: tuple[SlotName, ...] = ("blue", "green")
_STACK = "aws:cloudformation:stack-name"


def find(connection: Connection, request: AdoptionRequest) -> Found:
    """Everything that decides how, and whether, the service can be adopted.

    After an earlier run that was interrupted, what it changed is read as it was before.

    Raises:
        InvalidInput: there is no such service.
        Refused: it is being un-adopted.
    """
    return _Finder(Clients(connection), request).found()


class _Finder:
    def __init__(self, clients: Clients, request: AdoptionRequest) -> None:
        self._clients = clients
        self._request = request
        self._before = read_before(clients.ssm, request.name)
        if self._before is not None and self._before.undoing:
            raise Refused(
                f"{request.name} is being un-adopted; let `greenlane unadopt {request.name}` end"
            )
        if self._before is not None and self._before.request != request:
            raise Refused(
                f"{request.name} was adopted, or begun to be, with other options: "
                f"{_differing(self._before.request, request)}; use the same, or un-adopt it first"
            )

    def found(self) -> Found:
        clients, request = self._clients, self._request
        service = self._service()
        groups = self._groups(service)
        balancer, listeners = self._balancer(groups)
        region, account = str(service["serviceArn"]).split(":")[3:5]
        first = groups[0] if len(groups) == 1 else None
        return Found(
            request=request,
            account=account,
            region=region,
            service=service,
            definition=read_task_definition(clients.ecs, service["taskDefinition"]),
            target_groups=tuple(groups),
            attributes=clients.attributes(first["TargetGroupArn"]) if first else {},
            load_balancer=balancer,
            listeners=tuple(listeners),
            scaling=self._scaling(),
            security_groups=self._security_groups(service, first),
            taken=tuple(self._taken(first)),
            missing_alarms=self._missing_alarms(),
            described=parameter_exists(clients.ssm, parameter_name(request.name)),
            owner_stacks=self._stacks(service, listeners),
            before=self._before,
        )

    def _service(self) -> Body:
        cluster, name = self._request.cluster, self._request.ecs_service
        try:
            service = self._clients.service(cluster, name)
        except ClientError as error:
            if code_of(error) != "ClusterNotFoundException":
                raise
            way_out = "there is no such ECS cluster here; `aws ecs list-clusters` lists them"
            raise InvalidInput("--cluster", cluster, way_out) from None
        if service is None or service["status"] != "ACTIVE":
            way_out = (
                f"the cluster {cluster} has no such active service; "
                f"`aws ecs list-services --cluster {cluster}` lists them"
            )
            raise InvalidInput("service", name, way_out)
        return service

    def _groups(self, service: Body) -> list[Body]:
        entries = service.get("loadBalancers") or []
        arns = [one["targetGroupArn"] for one in entries if one.get("targetGroupArn")]
        if not arns:
            return []
        answer = self._clients.elbv2.describe_target_groups(TargetGroupArns=arns)
        return [
            one | {"LoadBalancerArns": list(dict.fromkeys(one.get("LoadBalancerArns", ())))}
            for one in answer["TargetGroups"]
        ]

    def _balancer(self, groups: list[Body]) -> tuple[Body | None, list[Listener]]:
        arns = groups[0].get("LoadBalancerArns", []) if len(groups) == 1 else []
        if len(arns) != 1:
            return None, []
        elbv2 = self._clients.elbv2
        (balancer,) = elbv2.describe_load_balancers(LoadBalancerArns=arns)["LoadBalancers"]
        pages = elbv2.get_paginator("describe_listeners").paginate(LoadBalancerArn=arns[0])
        listeners = [one for page in pages for one in page["Listeners"]]
        return balancer, [self._listener(one) for one in listeners]

    def _listener(self, listener: Body) -> Listener:
        """A listener without the rule that an earlier run added, and with the one it changed."""
        described = self._clients.rules(listener["ListenerArn"])
        ours = self._clients.owned(
            [one["RuleArn"] for one in described if not one.get("IsDefault")], self._request.name
        )
        rules = [_rule(one, listener["ListenerArn"]) for one in described]
        rules.sort(key=lambda rule: (rule.priority is None, rule.priority))
        return Listener(
            arn=listener["ListenerArn"],
            port=listener["Port"],
            protocol=listener["Protocol"],
            rules=tuple(self._as_found(rule) for rule in rules if rule.arn not in ours),
        )

    def _as_found(self, rule: Rule) -> Rule:
        if self._before is not None and self._before.rule.arn == rule.arn:
            return self._before.rule
        return rule

    def _scaling(self) -> Scaling | None:
        autoscaling = self._clients.autoscaling
        resource = f"service/{self._request.cluster}/{self._request.ecs_service}"
        target = self._clients.scalable_target(self._request.cluster, self._request.ecs_service)
        if target is None:
            return None
        return Scaling(
            target=target,
            policies=tuple(
                _pages(autoscaling, "describe_scaling_policies", "ScalingPolicies", resource)
            ),
            scheduled=tuple(
                one["ScheduledActionName"]
                for one in _pages(
                    autoscaling, "describe_scheduled_actions", "ScheduledActions", resource
                )
            ),
        )

    def _security_groups(self, service: Body, group: Body | None) -> tuple[str, ...]:
        """Those of the tasks; without any, ECS uses the default one of the VPC."""
        network = (service.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
        named = tuple(network.get("securityGroups") or ())
        if named or group is None:
            return named
        default = self._clients.security_group("default", group["VpcId"])
        return (str(default["GroupId"]),) if default else ()

    def _taken(self, group: Body | None) -> list[Taken]:
        clients, name = self._clients, self._request.name
        taken = []
        twin = clients.service(self._request.cluster, self._request.twin_name)
        if twin is not None:
            taken.append(
                _taken("service", twin["serviceName"], twin["serviceArn"], twin.get("tags"), name)
            )
        if group is not None:
            taken += self._taken_around(group)
        names = [one for slot in SLOTS for one in alarm_names(name, slot) if self._makes(slot)]
        for alarm in clients.alarms(names):
            ours = clients.owns_alarm(alarm["AlarmArn"], name)
            taken.append(
                Taken(what="alarm", name=alarm["AlarmName"], arn=alarm["AlarmArn"], ours=ours)
            )
        return taken

    def _taken_around(self, group: Body) -> list[Taken]:
        clients, request, found = self._clients, self._request, []
        wanted = request.target_group or second_group_name(group["TargetGroupName"])
        second = clients.target_group(wanted)
        if second is not None:
            arn = second["TargetGroupArn"]
            ours = bool(clients.owned([arn], request.name))
            found.append(Taken(what="target group", name=wanted, arn=arn, ours=ours))
        if request.validation_group is None:
            called = validation_group_name(request.name)
            security = clients.security_group(called, group["VpcId"])
            if security is not None:
                found.append(
                    _taken(
                        "security group",
                        called,
                        security["GroupId"],
                        security.get("Tags"),
                        request.name,
                    )
                )
        return found

    def _makes(self, slot: SlotName) -> bool:
        return slot not in self._request.alarms

    def _missing_alarms(self) -> tuple[str, ...]:
        named = [one for names in self._request.alarms.values() for one in names]
        if not named:
            return ()
        there = {alarm["AlarmName"] for alarm in self._clients.alarms(named)}
        return tuple(name for name in named if name not in there)

    def _stacks(self, service: Body, listeners: list[Listener]) -> dict[str, str]:
        """What CloudFormation says, by its own tags, that it owns."""
        found = {}
        for tag in service.get("tags", []):
            if tag["key"] == _STACK:
                found[f"the service {service['serviceName']}"] = str(tag["value"])
        arns = [listener.arn for listener in listeners]
        for first in range(0, len(arns), 20):
            answer = self._clients.elbv2.describe_tags(ResourceArns=arns[first : first + 20])
            for one in answer["TagDescriptions"]:
                for tag in one["Tags"]:
                    if tag["Key"] == _STACK:
                        found["the listener"] = str(tag["Value"])
        return found


def _taken(what: str, name: str, arn: str, tags: list[Body] | None, owner: str) -> Taken:
    return Taken(what=what, name=name, arn=arn, ours=is_owned(tags or [], owner))


def _rule(rule: Body, listener_arn: str) -> Rule:
    return Rule(
        arn=rule["RuleArn"],
        listener_arn=listener_arn,
        priority=None if rule.get("IsDefault") else int(rule["Priority"]),
        conditions=tuple(rule.get("Conditions", ())),
        actions=tuple(rule["Actions"]),
        transforms=tuple(rule.get("Transforms", ())),
    )


def _pages(autoscaling: Any, operation: str, key: str, resource: str) -> list[Body]:
    pages = autoscaling.get_paginator(operation).paginate(
        ServiceNamespace="ecs", ResourceId=resource
    )
    return [one for page in pages for one in page[key] if one["ResourceId"] == resource]


def _differing(one: AdoptionRequest, two: AdoptionRequest) -> str:
    before, now = one.model_dump(mode="json"), two.model_dump(mode="json")
    return ", ".join(f"{key} was {before[key]!r}" for key in before if before[key] != now[key])
