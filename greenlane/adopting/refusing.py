"""What cannot be adopted, each by its name and with a way out. Pure."""

from collections.abc import Iterator

from greenlane.adopting.model import Found, Refusal

_WEB = ("HTTP", "HTTPS")


def refusals(found: Found) -> list[Refusal]:
    """Everything that keeps the service from being adopted, but for its listener rules."""
    checks = (
        _controller,
        _strategy,
        _kind_of_service,
        _ways_in,
        _balancing,
        _account,
        _tasks,
        _auto_scaling,
        _names,
    )
    return [Refusal(field=f, value=v, way_out=w) for check in checks for f, v, w in check(found)]


_Problems = Iterator[tuple[str, str, str]]


def _controller(found: Found) -> _Problems:
    controller = found.service.get("deploymentController", {}).get("type", "ECS")
    if controller != "ECS":
        yield (
            "deploymentController",
            f"{controller} deploys the service",
            "Greenlane needs the controller ECS, which AWS sets at creation only: create a second "
            "service with it behind the same target group, remove this one, adopt that",
        )


def _strategy(found: Found) -> _Problems:
    configuration = found.service.get("deploymentConfiguration", {})
    strategy = configuration.get("strategy", "ROLLING")
    if strategy != "ROLLING":
        yield (
            "deploymentConfiguration.strategy",
            f"ECS's own {strategy} moves the traffic",
            "two cannot: set it to ROLLING (`aws ecs update-service --deployment-configuration "
            "strategy=ROLLING`) and take the advancedConfiguration off its load balancers",
        )
    deployments = found.service.get("deployments", [])
    if len(deployments) > 1 or any(
        one.get("rolloutState", "COMPLETED") != "COMPLETED" for one in deployments
    ):
        yield (
            "deployments",
            "ECS is deploying to the service, or gave up doing so",
            "wait for a steady state, then adopt again",
        )


def _kind_of_service(found: Found) -> _Problems:
    if found.service.get("schedulingStrategy", "REPLICA") != "REPLICA":
        yield (
            "schedulingStrategy",
            found.service["schedulingStrategy"],
            "a daemon has no second slot; Greenlane deploys services of kind REPLICA",
        )


def _ways_in(found: Found) -> _Problems:
    deployments = found.service.get("deployments", [])
    if any(one.get("serviceConnectConfiguration", {}).get("enabled") for one in deployments):
        yield (
            "serviceConnectConfiguration",
            "Service Connect is on",
            "its clients come past the load balancer, so weights would not move them; switch it "
            "off, or leave this service to ECS's own deployments",
        )
    if found.service.get("serviceRegistries"):
        yield (
            "serviceRegistries",
            "clients find its tasks by service discovery",
            "they come past the load balancer, so weights would not move them; take the registry "
            "off, or leave this service to ECS's own deployments",
        )
    if any(one.get("vpcLatticeConfigurations") for one in deployments):
        yield (
            "vpcLatticeConfigurations",
            "VPC Lattice carries its traffic",
            "Greenlane moves weights of an Application Load Balancer only",
        )


def _balancing(found: Found) -> _Problems:
    entries = found.service.get("loadBalancers", [])
    if len(entries) != 1 or not entries[0].get("targetGroupArn"):
        yield (
            "loadBalancers",
            f"the service is registered in {len(entries)} target groups"
            if all(one.get("targetGroupArn") for one in entries)
            else "a Classic Load Balancer carries its traffic",
            "Greenlane needs exactly one, of an Application Load Balancer",
        )
        return
    kind = found.load_balancer.get("Type", "application") if found.load_balancer else None
    for group in found.target_groups:
        if kind in ("network", "gateway") or group["Protocol"] not in _WEB:
            yield (
                "load balancer",
                f"a {kind or 'network'} load balancer, protocol {group['Protocol']}",
                "a Network or Gateway Load Balancer (NLB) has no weighted rules for HTTP; put an "
                "Application Load Balancer in front",
            )
            return
        if len(group.get("LoadBalancerArns", ())) != 1 or kind is None:
            yield (
                "load balancer",
                f"{len(group.get('LoadBalancerArns', ()))} load balancers use its target group",
                "Greenlane needs exactly one",
            )
        if group.get("ProtocolVersion") == "GRPC":
            yield (
                "target group",
                "its protocol is gRPC",
                "a failed gRPC call has the HTTP status 200, so the judge and the alarms would not "
                "see it; see docs/limits.md",
            )
        if group.get("TargetType", "ip") != "ip":
            yield (
                "target group",
                f"its targets are of type {group['TargetType']}",
                "Greenlane needs type ip, which tasks with the network mode awsvpc have",
            )
    if found.attributes.get("stickiness.enabled") == "true":
        yield (
            "target group",
            "it pins clients to targets (stickiness.enabled)",
            "pinned clients would not move with the weights: set it to false; the rule's own "
            "stickiness may stay",
        )


def _account(found: Found) -> _Problems:
    arns = [group["TargetGroupArn"] for group in found.target_groups]
    arns += [listener.arn for listener in found.listeners]
    for arn in arns:
        region, account = arn.split(":")[3:5]
        if (region, account) != (found.region, found.account):
            yield (
                "account",
                f"{arn} is in account {account}, {region}",
                f"cross-account and cross-Region workloads are not supported: everything has to be "
                f"in account {found.account}, {found.region}",
            )
            return


def _tasks(found: Found) -> _Problems:
    if found.definition.get("networkMode") != "awsvpc":
        yield (
            "networkMode",
            str(found.definition.get("networkMode", "bridge")),
            "Greenlane needs awsvpc: targets are registered by address",
        )
    if found.image and found.repository is None:
        yield (
            "image",
            f"{found.image} is not in this account's ECR",
            "name the ECR repository of its versions with --repository",
        )


def _auto_scaling(found: Found) -> _Problems:
    if found.scaling is None:
        return
    other = [
        policy["PolicyName"]
        for policy in found.scaling.policies
        if policy["PolicyType"] != "TargetTrackingScaling"
    ]
    if other:
        yield (
            "auto scaling",
            f"the policies {', '.join(other)} do not track a target",
            "the second slot cannot have the same without alarms of its own; replace them by "
            "target tracking",
        )
    if found.scaling.scheduled:
        yield (
            "auto scaling",
            f"scheduled actions: {', '.join(found.scaling.scheduled)}",
            "they would fill a slot without traffic; replace them by target tracking",
        )


def _names(found: Found) -> _Problems:
    for taken in found.taken:
        if not taken.ours:
            yield (
                taken.what,
                f"{taken.name} exists already, and no adoption of this service made it",
                f"choose another name ({_option(taken.what)}), or remove it",
            )
    for name in found.missing_alarms:
        yield "alarm", f"there is no alarm {name}", "name one that exists, or leave the option out"
    if found.described and found.before is None:
        yield (
            f"/greenlane/workloads/{found.request.name}",
            "the service is described already, by whoever made its environment",
            "Greenlane can deploy it as it is; or choose another --name",
        )


def _option(what: str) -> str:
    return {
        "service": "--twin",
        "target group": "--target-group",
        "security group": "--validation-group",
    }.get(what, "--name")
