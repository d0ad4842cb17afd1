"""Taking the steps of an adoption, each of which adds what is missing.

All may be repeated after whatever interrupted them; none writes a weight over one that is there.
"""

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from greenlane.adopting.clients import Clients, code_of
from greenlane.adopting.model import (
    OWNER_TAG,
    AddRule,
    AdoptionPlan,
    Body,
    ChangeService,
    Describe,
    LetIn,
    MakeAlarms,
    MakeSecurityGroup,
    MakeTargetGroup,
    MakeTwin,
    MirrorScaling,
    Rule,
    Step,
    WeighRule,
)
from greenlane.adopting.record import keep_before, parameter_exists, read_before
from greenlane.adopting.routing import groups_of
from greenlane.adopting.twin import GREEN, GREEN_NAME, RULE, VALIDATION
from greenlane.adopting.way_in import permission
from greenlane.deployments.connection import Connection
from greenlane.errors import Refused

_DRAINING_SECONDS = 300
_LOOK_SECONDS = 5.0


def take_steps(
    connection: Connection, plan: AdoptionPlan, tell: Callable[[Step, bool], None]
) -> None:
    """Take all steps of a plan, what was found before on record first.

    Args:
        connection: the account and Region.
        plan: what is to be done.
        tell: called after each step, with whether it changed anything.

    Raises:
        Refused: something changed since the plan was made; the same command goes on.
    """
    clients = Clients(connection)
    on_record = read_before(clients.ssm, plan.before.request.name)
    if on_record is None:
        keep_before(clients.ssm, plan.before)
    elif on_record != plan.before:
        raise Refused(
            f"somebody else adopts, or un-adopts, {plan.before.request.name} at this moment; look "
            "again with --dry-run"
        )
    taker = _Taker(clients, plan)
    for step in plan.steps:
        tell(step, taker.take(step))


class _Taker:
    def __init__(self, clients: Clients, plan: AdoptionPlan) -> None:
        self._clients = clients
        self._plan = plan
        self._name = plan.before.request.name
        self._cluster = plan.before.request.cluster
        self._known: dict[str, str] = {}

    def take(self, step: Step) -> bool:
        """Take one step; False if nothing was missing."""
        match step:
            case MakeTargetGroup():
                return self._target_group(step)
            case WeighRule():
                return self._weigh(step)
            case AddRule():
                return self._add_rule(step)
            case ChangeService():
                return self._change(step)
            case MakeSecurityGroup():
                return self._security_group(step)
            case LetIn():
                return self._let_in(step)
            case MakeTwin():
                return self._twin(step)
            case MirrorScaling():
                return self._scaling(step)
            case MakeAlarms():
                return self._alarms(step)
            case Describe():
                return self._describe(step)

    def _real(self, value: Any) -> Any:
        """A body with the real names of what was created, in place of what stands for them."""
        text = json.dumps(value)
        for placeholder, name in self._known.items():
            text = text.replace(placeholder, name)
        return json.loads(text)

    def _target_group(self, step: MakeTargetGroup) -> bool:
        elbv2, group = self._clients.elbv2, self._clients.target_group(step.name)
        missing = group is None
        if group is None:
            answer = elbv2.create_target_group(Name=step.name, **step.settings)
            group = answer["TargetGroups"][0]
        arn = str(group["TargetGroupArn"])
        self._known |= {GREEN: arn, GREEN_NAME: arn.rpartition(":")[2]}
        there = self._clients.attributes(arn)
        other = {key: value for key, value in step.attributes.items() if there.get(key) != value}
        if other:
            elbv2.modify_target_group_attributes(
                TargetGroupArn=arn,
                Attributes=[{"Key": key, "Value": value} for key, value in other.items()],
            )
        return missing or bool(other)

    def _weigh(self, step: WeighRule) -> bool:
        live = self._clients.rule(step.rule_arn)
        if live is None:
            raise Refused(f"the rule {step.rule_arn} is gone; adopt again")
        found = Rule(
            arn=step.rule_arn, listener_arn="", priority=None, actions=tuple(live["Actions"])
        )
        if self._known[GREEN] in groups_of(found):
            return False
        if found.actions != self._plan.before.rule.actions:
            raise Refused(
                f"somebody changed the rule {step.rule_arn} since it was put on record; un-adopt "
                f"with `greenlane unadopt {self._name}`, then adopt again"
            )
        more: Body = {} if step.conditions is None else {"Conditions": list(step.conditions)}
        actions = self._real(list(step.actions))
        self._clients.elbv2.modify_rule(RuleArn=step.rule_arn, Actions=actions, **more)
        return True

    def _add_rule(self, step: AddRule) -> bool:
        rules = self._clients.rules(step.listener_arn)
        owned = self._clients.owned(
            [one["RuleArn"] for one in rules if not one.get("IsDefault")], self._name
        )
        if owned:
            self._known[RULE] = owned.pop()
            return False
        answer = self._clients.elbv2.create_rule(
            ListenerArn=step.listener_arn,
            Priority=step.priority,
            Conditions=list(step.conditions),
            Actions=self._real(list(step.actions)),
            Tags=[{"Key": OWNER_TAG, "Value": self._name}],
        )
        self._known[RULE] = str(answer["Rules"][0]["RuleArn"])
        return True

    def _change(self, step: ChangeService) -> bool:
        service = self._clients.service(self._cluster, step.service) or {}
        there = service.get("deploymentConfiguration") or {}
        if all(there.get(key) == value for key, value in step.configuration.items()):
            return False
        self._clients.ecs.update_service(
            cluster=self._cluster,
            service=step.service,
            deploymentConfiguration=step.configuration,
        )
        return True

    def _security_group(self, step: MakeSecurityGroup) -> bool:
        group = self._clients.security_group(step.name, step.vpc_id)
        missing = group is None
        if group is None:
            group = self._clients.ec2.create_security_group(
                GroupName=step.name,
                VpcId=step.vpc_id,
                Description=f"Greenlane validates {self._name} from here",
                TagSpecifications=[
                    {
                        "ResourceType": "security-group",
                        "Tags": [{"Key": OWNER_TAG, "Value": self._name}],
                    }
                ],
            )
        self._known[VALIDATION] = str(group["GroupId"])
        return missing

    def _let_in(self, step: LetIn) -> bool:
        way_in = permission(step.port, self._real(step.source), self._name)
        try:
            self._clients.ec2.authorize_security_group_ingress(
                GroupId=step.group, IpPermissions=[way_in]
            )
        except ClientError as error:
            if code_of(error) != "InvalidPermission.Duplicate":
                raise
            return False
        return True

    def _twin(self, step: MakeTwin) -> bool:
        body = self._real(step.body)
        twin = self._clients.service(self._cluster, body["serviceName"])
        waited = 0.0
        while twin is not None and twin["status"] == "DRAINING":
            # One that was un-adopted a moment ago: ECS does not take its name again before it ends.
            if waited >= _DRAINING_SECONDS:
                raise Refused(f"{body['serviceName']} is still draining; adopt again later")
            self._clients.connection.pause(_LOOK_SECONDS)
            waited += _LOOK_SECONDS
            twin = self._clients.service(self._cluster, body["serviceName"])
        if twin is not None:
            return False
        self._clients.ecs.create_service(**body)
        return True

    def _scaling(self, step: MirrorScaling) -> bool:
        autoscaling, changed = self._clients.autoscaling, False
        resource = step.target["ResourceId"]
        if (
            self._clients.scalable_target(self._cluster, self._plan.before.request.twin_name)
            is None
        ):
            autoscaling.register_scalable_target(**step.target)
            changed = True
        pages = autoscaling.get_paginator("describe_scaling_policies").paginate(
            ServiceNamespace="ecs", ResourceId=resource
        )
        policies = [one for page in pages for one in page["ScalingPolicies"]]
        there = {one["PolicyName"] for one in policies if one["ResourceId"] == resource}
        for policy in step.policies:
            if policy["PolicyName"] not in there:
                autoscaling.put_scaling_policy(**self._real(policy))
                changed = True
        return changed

    def _alarms(self, step: MakeAlarms) -> bool:
        names = [one["AlarmName"] for one in step.bodies]
        there = {alarm["AlarmName"] for alarm in self._clients.alarms(names)}
        missing = [one for one in step.bodies if one["AlarmName"] not in there]
        for body in missing:
            self._clients.cloudwatch.put_metric_alarm(**self._real(body))
        return bool(missing)

    def _describe(self, step: Describe) -> bool:
        missing = [one for one in step.values if not parameter_exists(self._clients.ssm, one)]
        for name in missing:
            self._clients.ssm.put_parameter(
                Name=name, Value=self._real(step.values[name]), Type="String", Overwrite=True
            )
        return bool(missing)
