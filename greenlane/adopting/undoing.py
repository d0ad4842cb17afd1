"""Taking an adoption back: the first slot gets its own rule again, what was created is deleted.

Every step looks first, so all may be repeated. The record of what was found is deleted last.
"""

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from greenlane.adopting.alarms import alarm_names
from greenlane.adopting.clients import Clients, code_of, is_owned
from greenlane.adopting.finding import SLOTS
from greenlane.adopting.model import Before, Body, record_name
from greenlane.adopting.planning import second_group_name
from greenlane.adopting.record import forget, keep_before, read_before
from greenlane.adopting.routing import as_asked, as_written, forwarding_as
from greenlane.adopting.way_in import WayIn
from greenlane.deployments.connection import Connection
from greenlane.deployments.phases import LEASED, Phase
from greenlane.deployments.reaching.fleet import read_task_definition, tag_of
from greenlane.deployments.reaching.traffic import LiveRule
from greenlane.deployments.stepping.finishing import RECIPE_TAGS
from greenlane.deployments.workload import parameter_name
from greenlane.errors import InvalidInput, Refused, UnknownDeployment
from greenlane.health.alarm_definitions import AlarmPlan
from greenlane.health.alarm_keeping import keep_alarms
from greenlane.health.dashboards import name_of

_DIMENSION = "ecs:service:DesiredCount"
_LOOK_SECONDS = 5.0
_PATIENCE_SECONDS = 600

Undo = Callable[[], bool]


def undo_adoption(connection: Connection, name: str) -> Iterator[tuple[str, bool]]:
    """Put everything back as it was found, step by step.

    Args:
        connection: the account and Region.
        name: what Greenlane calls the service.

    Yields:
        What was put back, in words, and whether there was anything to do.

    Raises:
        InvalidInput: the service was not adopted.
        Refused: a deployment runs or is watched, the second slot has traffic, or AWS does not let
            go of something yet. The same command goes on.
    """
    undoing = _Undoing(connection, name)
    undoing.check()
    for what, undo in undoing.steps():
        yield what, undo()


def look_back(connection: Connection, name: str) -> list[str]:
    """What `undo_adoption` would do, in words; it raises what that would, and changes nothing."""
    undoing = _Undoing(connection, name)
    undoing.check()
    return [what for what, _ in undoing.steps()]


class _Undoing:
    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._clients = Clients(connection)
        before = read_before(self._clients.ssm, name)
        if before is None:
            way_out = f"it was not adopted: there is no parameter {record_name(name)}"
            raise InvalidInput("service", name, way_out)
        self._before: Before = before
        self._name = name
        self._cluster = before.request.cluster
        self._twin = before.request.twin_name
        self._rule_arn = self._adopted_rule()

    def check(self) -> None:
        """Refuse while a deployment counts on what would be taken away.

        Raises:
            Refused: see `undo_adoption`.
        """
        self._no_deployment()
        rule = self._clients.rule(self._rule_arn) if self._rule_arn else None
        if rule is None:
            return
        weights = LiveRule(arn=rule["RuleArn"], actions=rule["Actions"]).weights
        second = self._second_group()
        on_it = weights.get(second["TargetGroupArn"], 0) if second else 0
        if on_it:
            raise Refused(
                f"the second slot, {self._twin}, has traffic (weight {on_it}); bring it back to "
                f"{self._before.request.ecs_service} first: deploy once more, or roll back"
            )

    def steps(self) -> list[tuple[str, Undo]]:
        """What is put back, in order: first that nothing new begins, then the traffic."""
        service, prefix = self._before.request.ecs_service, parameter_name(self._name)
        return [
            ("remember that this is being taken back", self._remember),
            (f"let no deployment of {self._name} begin", self._stop_new_deployments),
            ("put the listener rule back", self._rule),
            (f"delete the service {self._twin}", self._delete_twin),
            ("delete the second target group", self._delete_group),
            ("delete the alarms that were created", self._delete_alarms),
            ("delete the alarms and the dashboard that `greenlane apply` kept", self._delete_kept),
            (f"put the deployment configuration of {service} back", self._configuration),
            (f"put the auto scaling of {service} back", self._scaling),
            (f"put the tags of {service} back", self._tags),
            ("deregister task definitions that Greenlane registered", self._deregister),
            ("take validation's way in away", self._way_in().shut),
            (f"delete the parameters below {prefix}", self._parameters),
            (f"delete the record {record_name(self._name)}", self._forget_record),
        ]

    def _no_deployment(self) -> None:
        try:
            record = self._connection.store.record(self._name)
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":  # Greenlane itself is not deployed
                raise
            return
        if record is None:
            return
        if record.phase in LEASED:
            raise Refused(
                f"{self._name} is being deployed by {record.deployment_id} (phase "
                f"{record.phase.value}); wait for it, or end it with `greenlane abort {self._name}`"
            )
        if record.phase is Phase.WATCHING:
            raise Refused(
                f"{self._name} is being watched after {record.deployment_id}, which may still go "
                "back to the second slot; wait for the end of its extended watch"
            )

    def _adopted_rule(self) -> str | None:
        """The rule that carries the traffic; None if it was added, and is gone again."""
        rule = self._before.rule
        if rule.priority is not None:
            return rule.arn
        described = self._clients.rules(rule.listener_arn)
        arns = [one["RuleArn"] for one in described if not one.get("IsDefault")]
        return next(iter(self._clients.owned(arns, self._name)), None)

    def _second_group(self) -> Body | None:
        """The second target group, if it is there and an adoption created it."""
        name = self._before.request.target_group or self._default_group_name()
        group = self._clients.target_group(name) if name else None
        if group is None or not self._clients.owned([group["TargetGroupArn"]], self._name):
            return None
        return group

    def _default_group_name(self) -> str | None:
        first = self._first_group()
        return second_group_name(first.rpartition(":targetgroup/")[2].split("/")[0])

    def _first_group(self) -> str:
        (arn,) = LiveRule(arn="", actions=list(self._before.rule.actions)).weights or [
            one["TargetGroupArn"] for one in self._before.rule.actions if one.get("TargetGroupArn")
        ]
        return str(arn)

    def _remember(self) -> bool:
        if self._before.undoing:
            return False
        undoing = self._before.model_copy(update={"undoing": True})
        keep_before(self._clients.ssm, undoing, again=True)
        return True

    def _stop_new_deployments(self) -> bool:
        """Neither is known any more; what was planned before that has the lease by now."""
        forgotten = self._forget()
        done = forget(self._clients.ssm, parameter_name(self._name))
        self._no_deployment()
        return forgotten or done

    def _rule(self) -> bool:
        """One write, or the deletion of the added rule: the default action behind it is the same.

        Both send all requests where they went: the second group has no weight.
        """
        if self._rule_arn is None:
            return False
        live = self._clients.rule(self._rule_arn)
        if live is None:
            return False
        elbv2, before = self._clients.elbv2, self._before.rule
        if before.priority is None:
            elbv2.delete_rule(RuleArn=self._rule_arn)
            return True
        self._untag(self._rule_arn)
        actions, more = forwarding_as(live["Actions"], before.actions), dict[str, Any]()
        if self._before.joined:
            more["Conditions"] = list(as_asked(before.conditions))
        conditions = list(as_asked(live.get("Conditions", ())))
        if actions == live["Actions"] and more.get("Conditions", conditions) == conditions:
            return False
        elbv2.modify_rule(RuleArn=self._rule_arn, Actions=as_written(actions), **more)
        return True

    def _untag(self, rule_arn: str) -> None:
        answer = self._clients.elbv2.describe_tags(ResourceArns=[rule_arn])
        keys = {tag["Key"] for one in answer["TagDescriptions"] for tag in one["Tags"]}
        ours = sorted(keys & set(RECIPE_TAGS))
        if ours:
            self._clients.elbv2.remove_tags(ResourceArns=[rule_arn], TagKeys=ours)

    def _delete_twin(self) -> bool:
        """Its auto scaling first, or it would start tasks again; then its tasks, then itself."""
        clients = self._clients
        twin = clients.service(self._cluster, self._twin)
        if twin is None or not is_owned(twin.get("tags", []), self._name):
            return False
        if twin["status"] == "ACTIVE":
            self._delete_scaling()
            clients.ecs.update_service(cluster=self._cluster, service=self._twin, desiredCount=0)
            clients.ecs.delete_service(cluster=self._cluster, service=self._twin, force=True)
        self._await_gone()
        return True

    def _delete_scaling(self) -> None:
        """The policies with it: AWS deletes their alarms along with them."""
        autoscaling, resource = self._clients.autoscaling, self._resource(self._twin)
        pages = autoscaling.get_paginator("describe_scaling_policies").paginate(
            ServiceNamespace="ecs", ResourceId=resource
        )
        policies = [one for page in pages for one in page["ScalingPolicies"]]
        for policy in policies:
            if policy["ResourceId"] == resource:
                autoscaling.delete_scaling_policy(
                    PolicyName=policy["PolicyName"],
                    ServiceNamespace="ecs",
                    ResourceId=resource,
                    ScalableDimension=_DIMENSION,
                )
        if self._clients.scalable_target(self._cluster, self._twin) is not None:
            autoscaling.deregister_scalable_target(
                ServiceNamespace="ecs", ResourceId=resource, ScalableDimension=_DIMENSION
            )

    def _await_gone(self) -> None:
        """Until its last task has ended, its targets are still in the group."""
        waited = 0.0
        while self._clients.service(self._cluster, self._twin) is not None:
            if waited >= _PATIENCE_SECONDS:
                raise Refused(f"{self._twin} is still draining; un-adopt again later")
            self._connection.pause(_LOOK_SECONDS)
            waited += _LOOK_SECONDS

    def _delete_group(self) -> bool:
        group = self._second_group()
        if group is None:
            return False
        self._clients.elbv2.delete_target_group(TargetGroupArn=group["TargetGroupArn"])
        return True

    def _delete_alarms(self) -> bool:
        names = [one for slot in SLOTS for one in alarm_names(self._name, slot)]
        ours = [
            alarm["AlarmName"]
            for alarm in self._clients.alarms(names)
            if self._clients.owns_alarm(alarm["AlarmArn"], self._name)
        ]
        if ours:
            self._clients.cloudwatch.delete_alarms(AlarmNames=ours)
        return bool(ours)

    def _delete_kept(self) -> bool:
        cloudwatch = self._clients.cloudwatch
        kept = keep_alarms(cloudwatch, AlarmPlan(), self._name, 0, pause=self._connection.pause)
        if kept.failed:
            raise Refused("; ".join(kept.warnings))
        dashboard = name_of(self._name)
        pages = cloudwatch.list_dashboards(DashboardNamePrefix=dashboard)["DashboardEntries"]
        there = any(one["DashboardName"] == dashboard for one in pages)
        if there:
            cloudwatch.delete_dashboards(DashboardNames=[dashboard])
        return there or bool(kept.deleted)

    def _configuration(self) -> bool:
        service = self._clients.service(self._cluster, self._before.request.ecs_service)
        there = (service or {}).get("deploymentConfiguration") or {}
        before = self._before.deployment_configuration
        if service is None or all(there.get(key) == value for key, value in before.items()):
            return False
        self._clients.ecs.update_service(
            cluster=self._cluster,
            service=self._before.request.ecs_service,
            deploymentConfiguration=before,
        )
        return True

    def _scaling(self) -> bool:
        before = self._before.scaling
        if before is None:
            return False
        service = self._before.request.ecs_service
        if self._clients.scalable_target(self._cluster, service) == before:
            return False
        self._clients.autoscaling.register_scalable_target(
            ServiceNamespace="ecs",
            ResourceId=self._resource(service),
            ScalableDimension=_DIMENSION,
            **before,
        )
        return True

    def _tags(self) -> bool:
        service = self._clients.service(self._cluster, self._before.request.ecs_service)
        if service is None:
            return False
        tags: dict[str, Any] = {one["key"]: one["value"] for one in service.get("tags", [])}
        before = self._before.role_tag
        if tags.get("Deployment") == before:
            return False
        arn = service["serviceArn"]
        if before is None:
            self._clients.ecs.untag_resource(resourceArn=arn, tagKeys=["Deployment"])
        else:
            tag = {"key": "Deployment", "value": before}
            self._clients.ecs.tag_resource(resourceArn=arn, tags=[tag])
        return True

    def _deregister(self) -> bool:
        """Revisions of Greenlane's that the service does not run: nothing can start them again."""
        ecs, name = self._clients.ecs, self._before.request.ecs_service
        service = self._clients.service(self._cluster, name)
        if service is None:
            return False
        running = {service["taskDefinition"]}
        running |= {one["taskDefinition"] for one in service.get("deployments", [])}
        family = str(service["taskDefinition"]).rpartition("/")[2].rpartition(":")[0]
        pages = ecs.get_paginator("list_task_definitions").paginate(
            familyPrefix=family, status="ACTIVE", sort="DESC"
        )
        arns = [arn for page in pages for arn in page["taskDefinitionArns"]]
        ours = [arn for arn in arns if arn not in running and self._registered(arn)]
        for arn in ours:
            ecs.deregister_task_definition(taskDefinition=arn)
        return bool(ours)

    def _registered(self, definition: str) -> bool:
        """Whether a deployment of this service registered a revision; families may be shared."""
        deployment_id = tag_of(read_task_definition(self._clients.ecs, definition))
        if deployment_id is None:
            return False
        try:
            return self._connection.store.plan(deployment_id).service == self._name
        except UnknownDeployment:
            return False

    def _way_in(self) -> WayIn:
        return WayIn(self._clients, self._before, self._first_group())

    def _parameters(self) -> bool:
        prefix = parameter_name(self._name)
        answer = self._clients.ssm.get_parameters_by_path(Path=prefix)
        for one in answer["Parameters"]:
            forget(self._clients.ssm, one["Name"])
        return bool(answer["Parameters"])

    def _forget(self) -> bool:
        try:
            return self._connection.store.delete("SERVICES", self._name)
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":  # Greenlane itself is not deployed
                raise
            return False

    def _forget_record(self) -> bool:
        return forget(self._clients.ssm, record_name(self._name))

    def _resource(self, service: str) -> str:
        return f"service/{self._cluster}/{service}"
