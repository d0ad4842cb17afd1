"""Elastic Load Balancing for real: moto keeps the resources, a balancer process carries requests.

A watcher turns moto's load balancers into a routing table whenever they change, and the balancer
obeys it after the propagation delay. What differs from AWS: listeners are plain HTTP on free
local ports, HTTPS ones too; authentication actions are passed over; weights that are all 0, on
which AWS says nothing, answer 503.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moto.elbv2.models import ELBv2Backend, FakeTargetGroup, elbv2_backends
from moto.elbv2.responses import ELBV2Response

from greenlane.local import cloudwatch
from greenlane.local.balancer import LoadBalancer, TrafficJournal
from greenlane.local.context import ACCOUNT_ID, LocalContext
from greenlane.local.elb_metrics import minute_metrics
from greenlane.local.elb_tables import is_used, percentages, routing_table
from greenlane.local.operations import AwsError, Operations, Parameters

WATCH_SECONDS = 0.025
MAXIMUM_WEIGHT = 999


class ElasticLoadBalancing:
    """The load balancers of one local cloud.

    Args:
        context: the cloud it belongs to.
        propagation_seconds: virtual seconds from a change of rules or targets to its effect.
        idle_timeout_floor_seconds: see `LoadBalancer`.
    """

    def __init__(
        self,
        context: LocalContext,
        propagation_seconds: float = 5.0,
        idle_timeout_floor_seconds: float = 2.0,
    ) -> None:
        """See the class."""
        self.propagation_seconds = propagation_seconds
        self._clock = context.clock
        self._log: Path = context.directory / "balancer.log"
        self._operations = Operations(ELBV2Response, context.region)
        self._backend: ELBv2Backend = elbv2_backends[ACCOUNT_ID][context.region]
        self._region = context.region
        self._seed = context.seed
        self._floor = idle_timeout_floor_seconds
        self._draining: dict[str, dict[tuple[str, int], float]] = {}
        self._stopping = threading.Event()
        self._tables = 0
        self._pushed: dict[str, Any] = {}
        self._pushing = threading.Lock()
        self._balancer: LoadBalancer
        self._watcher: threading.Thread

    @property
    def journal(self) -> TrafficJournal:
        """What was sent where, in real time."""
        return self._balancer.journal

    def start(self) -> None:
        """Start the balancer process and the watcher; answer what moto pretends."""
        with self._log.open("ab") as output:
            self._balancer = LoadBalancer(
                self._clock, self._seed, self._minute_closed, output, self._floor
            )
            self._balancer.start()
        for operation in ("CreateRule", "ModifyRule", "CreateListener", "ModifyListener"):
            self._operations.answer(operation, self._refuse_bad_rules)
        self._operations.answer("DeregisterTargets", self._deregister_targets)
        self._operations.answer("DescribeTargetHealth", self._describe_target_health)
        self._watcher = threading.Thread(target=self._watch, name="elb-watcher", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """End the balancer process; the journal stays readable."""
        self._stopping.set()
        self._operations.restore()
        self._watcher.join()
        self._balancer.stop()

    def url(self, load_balancer: str, port: int = 80) -> str:
        """Where a listener can be reached: `http://127.0.0.1:PORT`.

        Args:
            load_balancer: the load balancer's name.
            port: the listener's port as AWS knows it.

        Raises:
            LookupError: there is no such listener.
            TimeoutError: it did not open within 10 real seconds.
        """
        for balancer in list(self._backend.load_balancers.values()):
            for listener in list(balancer.listeners.values()):
                if balancer.name == load_balancer and int(listener.port) == port:
                    return f"http://127.0.0.1:{self._balancer.port(listener.arn)}"
        raise LookupError(f"no listener on port {port} of a load balancer {load_balancer!r}")

    def settle(self, timeout_seconds: float = 10.0) -> None:
        """Wait until every change made so far is in force at the balancer."""
        self._push_if_changed()
        self._balancer.wait_active(self._tables, timeout_seconds)

    def register(self, group_arn: str, ip: str, port: int) -> None:
        """Register a target, as `RegisterTargets` does."""
        self._backend.register_targets(group_arn, [{"Id": ip, "Port": port}])
        self._draining.get(group_arn, {}).pop((ip, port), None)

    def deregister(self, group_arn: str, ip: str, port: int) -> float:
        """Begin to drain a target; the virtual seconds that this takes. Unknown ones are ignored.

        The balancer sends it nothing new and cuts what is left of its connections afterwards.
        """
        group = self._backend.target_groups.get(group_arn)
        if group is None or ip not in group.targets:
            return 0.0
        self._backend.deregister_targets(group_arn, [{"Id": ip}])
        delay = float(str(group.attributes["deregistration_delay.timeout_seconds"]))
        now = self._clock.now().timestamp()
        draining = self._draining.get(group_arn, {}).items()
        still = {address: until for address, until in draining if until > now}
        self._draining[group_arn] = {**still, (ip, port): now + delay}
        return delay

    def state(self, group_arn: str, ip: str, port: int) -> tuple[str, str, str]:
        """A target's state, reason and description, as `DescribeTargetHealth` gives them."""
        group = self._backend.target_groups.get(group_arn)
        now = self._clock.now().timestamp()
        if group is None or ip not in group.targets:
            if self._draining.get(group_arn, {}).get((ip, port), 0.0) > now:
                why = "Target deregistration is in progress"
                return "draining", "Target.DeregistrationInProgress", why
            why = "Target is not registered to the target group"
            return "unused", "Target.NotRegistered", why
        if not is_used(self._backend, group_arn):
            why = "Target group is not configured to receive traffic from the load balancer"
            return "unused", "Target.NotInUse", why
        report = self._balancer.reports.get(group_arn, {}).get(f"{ip}:{port}")
        if report is None:
            return "initial", "Elb.RegistrationInProgress", "Target registration is in progress"
        return report[0], report[1], report[2]

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_SECONDS):
            # A request thread may change moto's dictionaries under us: look again next time.
            with contextlib.suppress(RuntimeError):
                self._push_if_changed()

    def _push_if_changed(self) -> None:
        with self._pushing:
            table = routing_table(self._backend)
            if table == self._pushed or not table["listeners"]:
                return
            self._pushed = table
            self._tables += 1
            delay = self._clock.real_seconds(self.propagation_seconds)
            active_at = time.time() + (delay if self._tables > 1 else 0.0)
            self._balancer.push(
                {**table, "sequence": self._tables, "active_at": active_at}, percentages(table)
            )

    def _minute_closed(self, minute: dict[str, Any]) -> None:
        data = minute_metrics(minute, self._backend)
        cloudwatch.running(self._region).publish_minute(minute["start"], data)

    def _refuse_bad_rules(self, parameters: Parameters) -> None:
        """Refuse what AWS refuses and moto takes, and what is not emulated; moto does the rest."""
        for condition in parameters.get("Conditions") or []:
            if condition.get("Field") == "source-ip":
                message = "The local load balancer does not know the condition 'source-ip'"
                raise AwsError("InvalidLoadBalancerAction", message)
        actions = parameters.get("Actions") or parameters.get("DefaultActions") or []
        for config in [action["ForwardConfig"] for action in actions if "ForwardConfig" in action]:
            groups = config.get("TargetGroups") or []
            for group in groups:
                weight = int(group.get("Weight", 1))
                if not 0 <= weight <= MAXIMUM_WEIGHT:
                    raise AwsError(
                        "ValidationError",
                        f"The weight of target group '{group['TargetGroupArn']}' is {weight}: "
                        f"it must be between 0 and {MAXIMUM_WEIGHT}",
                    )
            sticky = (config.get("TargetGroupStickinessConfig") or {}).get("Enabled")
            if len(groups) > 1 and not sticky and any(self._sticky(one) for one in groups):
                raise AwsError(
                    "InvalidLoadBalancerAction",
                    "You must enable group stickiness on a rule if you enabled target stickiness "
                    "on one of its target groups",
                )

    def _sticky(self, entry: dict[str, Any]) -> bool:
        group = self._backend.target_groups.get(entry["TargetGroupArn"])
        return group is not None and group.attributes.get("stickiness.enabled") == "true"

    def _deregister_targets(self, parameters: Parameters) -> dict[str, Any]:
        group = self._group(parameters["TargetGroupArn"])
        for target in parameters["Targets"]:
            self.deregister(group.arn, target["Id"], int(target.get("Port") or group.port))
        return {}

    def _describe_target_health(self, parameters: Parameters) -> dict[str, Any]:
        group = self._group(parameters["TargetGroupArn"])
        return {
            "TargetHealthDescriptions": [
                self._description(group, ip, port)
                for ip, port in self._asked_for(group, parameters.get("Targets") or [])
            ]
        }

    def _asked_for(
        self, group: FakeTargetGroup, targets: list[dict[str, Any]]
    ) -> Iterator[tuple[str, int]]:
        if targets:
            for target in targets:
                yield target["Id"], int(target.get("Port") or group.port)
            return
        for target in list(group.targets.values()):
            yield target["Id"], int(target["Port"])
        now = self._clock.now().timestamp()
        for address, until in list(self._draining.get(group.arn, {}).items()):
            if until > now and address[0] not in group.targets:
                yield address

    def _description(self, group: FakeTargetGroup, ip: str, port: int) -> dict[str, Any]:
        state, reason, description = self.state(group.arn, ip, port)
        health: dict[str, Any] = {"State": state}
        if reason:
            health |= {"Reason": reason, "Description": description}
        check_port = group.health_check_port
        return {
            "Target": {"Id": ip, "Port": port},
            "HealthCheckPort": str(port if check_port == "traffic-port" else check_port),
            "TargetHealth": health,
        }

    def _group(self, arn: str) -> FakeTargetGroup:
        group = self._backend.target_groups.get(arn)
        if group is None:
            raise AwsError("TargetGroupNotFound", "One or more target groups not found")
        return group


_running: dict[str, ElasticLoadBalancing] = {}


def install(context: LocalContext) -> ElasticLoadBalancing:
    """The load balancers of a local cloud, to be started."""
    _running[context.region] = ElasticLoadBalancing(context)
    return _running[context.region]


def running(region: str) -> ElasticLoadBalancing:
    """The load balancers installed for a region; `KeyError` if there are none."""
    return _running[region]
