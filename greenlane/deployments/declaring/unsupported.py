"""What Greenlane does not deploy, recognised in a file's `workload` and refused by its name.

The same list, with reasons, is in `docs/limits.md`; a test compares both. Pure.
"""

from collections.abc import Iterator, Mapping

from greenlane.deployments.workload import Workload
from greenlane.errors import InvalidInput
from greenlane.problems import excerpt
from greenlane.source import Source

GRPC = "gRPC"
NLB = "Network Load Balancer"
SERVICE_CONNECT = "Service Connect"
SERVICE_DISCOVERY = "Service discovery"
CROSS_ACCOUNT = "Cross-account"

REASONS: Mapping[str, str] = {
    GRPC: "a failed call has the HTTP status 200, so neither judge nor alarms would see it",
    NLB: "it has no weighted rules for HTTP; put an Application Load Balancer in front",
    SERVICE_CONNECT: "its clients come past the load balancer, so weights would not move them",
    SERVICE_DISCOVERY: "its clients come past the load balancer, so weights would not move them",
    CROSS_ACCOUNT: "everything of a workload has to be in one account and Region; deploy "
    "Greenlane's stack in each",
}

_KEYS: Mapping[str, str] = {
    "grpc": GRPC,
    "nlb": NLB,
    "network_load_balancer": NLB,
    "service_connect": SERVICE_CONNECT,
    "service_connect_configuration": SERVICE_CONNECT,
    "service_discovery": SERVICE_DISCOVERY,
    "service_registries": SERVICE_DISCOVERY,
    "cloud_map": SERVICE_DISCOVERY,
    "account": CROSS_ACCOUNT,
    "account_id": CROSS_ACCOUNT,
    "role_arn": CROSS_ACCOUNT,
}
_PROTOCOLS: Mapping[str, str] = {"grpc": GRPC, "tcp": NLB, "tls": NLB, "udp": NLB, "tcp_udp": NLB}
_WORKLOAD = ("service", "workload")


def unsupported_keys(source: Source) -> list[InvalidInput]:
    """Keys that would ask for what is not supported; other unknown keys are the model's to refuse.

    Args:
        source: a file of a service, as read.
    """
    service = source.data.get("service")
    workload = service.get("workload") if isinstance(service, dict) else None
    if not isinstance(workload, dict):
        return []
    found = []
    for key, value in workload.items():
        what = _KEYS.get(str(key).lower().replace("-", "_"))
        if str(key) in ("protocol", "protocol_version"):
            what = _PROTOCOLS.get(str(value).lower())
        if what is not None:
            found.append(_refusal(source, (*_WORKLOAD, str(key)), value, what))
    return found


def unsupported(workload: Workload, source: Source) -> list[InvalidInput]:
    """What the names in a workload say that is not supported.

    Args:
        workload: as the file declares it.
        source: the file, for line numbers.
    """
    return [
        _refusal(source, (*_WORKLOAD, *path), value, what)
        for path, value, what in _in_names(workload)
    ]


def _in_names(workload: Workload) -> Iterator[tuple[tuple[str, ...], str, str]]:
    name = workload.load_balancer_full_name
    if name.startswith(("net/", "gwy/")):
        yield ("load_balancer_full_name",), name, NLB
    home = _place(workload.listener_rule_arn)
    arns: list[tuple[tuple[str, ...], str]] = [(("listener_arn",), workload.listener_arn)]
    if workload.test_listener_arn is not None:
        arns.append((("test_listener_arn",), workload.test_listener_arn))
    arns += [
        (("slots", slot, "target_group_arn"), resources.target_group_arn)
        for slot, resources in workload.slots.items()
    ]
    for path, arn in arns:
        if _place(arn) != home:
            yield path, arn, CROSS_ACCOUNT


def _place(arn: str) -> list[str]:
    """Region and account of an ARN."""
    return arn.split(":")[3:5]


def _refusal(source: Source, path: tuple[str, ...], value: object, what: str) -> InvalidInput:
    way_out = f"{what} is not supported: {REASONS[what]} (docs/limits.md)"
    return InvalidInput(".".join(path), excerpt(value), way_out, line=source.line(path))
