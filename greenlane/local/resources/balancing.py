"""Load balancers, target groups, listeners and rules.

CloudFormation writes a listener's or a rule's whole description when one property of it changes,
its actions included: that is what puts live weights back to a template's.
"""

from greenlane.local.resolve import Live
from greenlane.local.resources.kinds import Properties, ResourceType, Site, chosen, given_tags


def _balancer(site: Site, properties: Properties) -> Live:
    elb = site.client("elbv2")
    mapped = [{"SubnetId": subnet} for subnet in properties.get("Subnets", [])]
    balancer = elb.create_load_balancer(
        Name=properties.get("Name") or site.name(32),
        Subnets=[one["SubnetId"] for one in properties.get("SubnetMappings", mapped)],
        **given_tags(properties),
        **chosen(properties, "SecurityGroups", "Scheme", "Type", "IpAddressType"),
    )["LoadBalancers"][0]
    arn = balancer["LoadBalancerArn"]
    _balancer_attributes(site, arn, properties)
    attributes = {
        "LoadBalancerArn": arn,
        "LoadBalancerFullName": arn.split(":loadbalancer/")[1],
        "LoadBalancerName": balancer["LoadBalancerName"],
        "DNSName": balancer["DNSName"],
        "CanonicalHostedZoneID": balancer.get("CanonicalHostedZoneId", "Z32O12XQLNTSW2"),
        "SecurityGroups": balancer.get("SecurityGroups", []),
    }
    return Live(arn, attributes)


def _balancer_attributes(site: Site, arn: str, properties: Properties) -> None:
    if properties.get("LoadBalancerAttributes"):
        site.client("elbv2").modify_load_balancer_attributes(
            LoadBalancerArn=arn, Attributes=properties["LoadBalancerAttributes"]
        )


def _update_balancer(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    _balancer_attributes(site, live.physical_id, new)
    if old.get("SecurityGroups") != new.get("SecurityGroups"):
        site.client("elbv2").set_security_groups(
            LoadBalancerArn=live.physical_id, SecurityGroups=new["SecurityGroups"]
        )
    return live


def _delete_balancer(site: Site, live: Live, properties: Properties) -> None:
    site.client("elbv2").delete_load_balancer(LoadBalancerArn=live.physical_id)


_HEALTH_CHECK = (
    "HealthCheckEnabled",
    "HealthCheckIntervalSeconds",
    "HealthCheckPath",
    "HealthCheckPort",
    "HealthCheckProtocol",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "UnhealthyThresholdCount",
    "Matcher",
)
_GROUP_IDENTITY = ("Name", "Port", "Protocol", "ProtocolVersion", "TargetType", "VpcId")


def _group(site: Site, properties: Properties) -> Live:
    given = chosen(properties, *_GROUP_IDENTITY, *_HEALTH_CHECK)
    group = site.client("elbv2").create_target_group(
        **{"Name": site.name(32), **given}, **given_tags(properties)
    )["TargetGroups"][0]
    arn = group["TargetGroupArn"]
    _group_attributes(site, arn, properties)
    attributes = {
        "TargetGroupArn": arn,
        "TargetGroupFullName": arn.split(":")[-1],
        "TargetGroupName": group["TargetGroupName"],
    }
    return Live(arn, attributes)


def _group_attributes(site: Site, arn: str, properties: Properties) -> None:
    if properties.get("TargetGroupAttributes"):
        site.client("elbv2").modify_target_group_attributes(
            TargetGroupArn=arn, Attributes=properties["TargetGroupAttributes"]
        )


def _update_group(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    site.client("elbv2").modify_target_group(
        TargetGroupArn=live.physical_id, **chosen(new, *_HEALTH_CHECK)
    )
    _group_attributes(site, live.physical_id, new)
    return live


def _delete_group(site: Site, live: Live, properties: Properties) -> None:
    site.client("elbv2").delete_target_group(TargetGroupArn=live.physical_id)


_LISTENER = ("Port", "Protocol", "SslPolicy", "Certificates")


def _listener(site: Site, properties: Properties) -> Live:
    listener = site.client("elbv2").create_listener(
        LoadBalancerArn=properties["LoadBalancerArn"],
        DefaultActions=properties["DefaultActions"],
        **chosen(properties, *_LISTENER),
    )["Listeners"][0]
    return Live(listener["ListenerArn"], {"ListenerArn": listener["ListenerArn"]})


def _update_listener(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    site.client("elbv2").modify_listener(
        ListenerArn=live.physical_id,
        DefaultActions=new["DefaultActions"],
        **chosen(new, *_LISTENER),
    )
    return live


def _delete_listener(site: Site, live: Live, properties: Properties) -> None:
    site.client("elbv2").delete_listener(ListenerArn=live.physical_id)


def _rule(site: Site, properties: Properties) -> Live:
    rule = site.client("elbv2").create_rule(
        ListenerArn=properties["ListenerArn"],
        Priority=int(properties["Priority"]),
        Conditions=properties["Conditions"],
        Actions=properties["Actions"],
    )["Rules"][0]
    return Live(rule["RuleArn"], {"RuleArn": rule["RuleArn"], "IsDefault": False})


def _update_rule(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    elb = site.client("elbv2")
    if old["Priority"] != new["Priority"]:
        elb.set_rule_priorities(
            RulePriorities=[{"RuleArn": live.physical_id, "Priority": int(new["Priority"])}]
        )
    elb.modify_rule(
        RuleArn=live.physical_id,
        Conditions=new["Conditions"],
        Actions=new["Actions"],
    )
    return live


def _delete_rule(site: Site, live: Live, properties: Properties) -> None:
    site.client("elbv2").delete_rule(RuleArn=live.physical_id)


_PREFIX = "AWS::ElasticLoadBalancingV2::"
TYPES = {
    f"{_PREFIX}LoadBalancer": ResourceType(
        _balancer,
        _delete_balancer,
        _update_balancer,
        frozenset({"Name", "Scheme", "Type", "Subnets", "SubnetMappings"}),
        "Name",
    ),
    f"{_PREFIX}TargetGroup": ResourceType(
        _group, _delete_group, _update_group, frozenset(_GROUP_IDENTITY), "Name"
    ),
    f"{_PREFIX}Listener": ResourceType(
        _listener, _delete_listener, _update_listener, frozenset({"LoadBalancerArn"})
    ),
    f"{_PREFIX}ListenerRule": ResourceType(
        _rule, _delete_rule, _update_rule, frozenset({"ListenerArn"})
    ),
}
