"""Template changes, and their rollback, replayed on live state in the local cloud."""

from collections.abc import Iterator
from typing import Any

import pytest

from greenlane.local.cloud import LocalCloud
from greenlane.local.deploy import Deployer
from greenlane.local.errors import DeploymentFailed
from tests.infra.conftest import SAMPLE, Vary
from tests.infra.test_live_state import CHANGES

SERVICES = ("claude-manager-blue", "claude-manager-green")
# Adding a certificate moves production to another listener, which would take the live rule along:
# the rule's function refuses, so the update fails and is rolled back by itself.
REFUSED = ("certificate",)
WRITES = ("UpdateService", "RegisterScalableTarget", "RegisterTaskDefinition", "DeleteRule")


class Live:
    """The sample in the middle of a deployment, and what must stay as it is."""

    def __init__(self, cloud: LocalCloud, deployer: Deployer) -> None:
        self.cloud = cloud
        self.deployer = deployer
        self.elb = cloud.client("elbv2")
        self.ecs = cloud.client("ecs")
        self.scaling = cloud.client("application-autoscaling")
        self.rule_arn = deployer.stacks[SAMPLE].resources[self._rule_id()].live.physical_id
        self.rule_writes: list[str] = []

    def _rule_id(self) -> str:
        resources = self.deployer.stacks[SAMPLE].resources
        (found,) = [name for name, one in resources.items() if one.type == "Custom::ListenerRule"]
        return found

    def rule(self) -> dict[str, Any]:
        found: dict[str, Any] = self.elb.describe_rules(RuleArns=[self.rule_arn])["Rules"][0]
        return found

    def move(self) -> None:
        """What Greenlane and auto scaling do while a deployment is under way."""
        (action,) = self.rule()["Actions"]
        groups = action["ForwardConfig"]["TargetGroups"]
        for group, weight in zip(groups, (30, 70), strict=True):
            group["Weight"] = weight
        forward = {"TargetGroups": groups}
        self.elb.modify_rule(
            RuleArn=self.rule_arn, Actions=[{"Type": "forward", "ForwardConfig": forward}]
        )
        container = {"name": "claude-manager", "image": "claude-manager:2", "memory": 64}
        for service, count in zip(SERVICES, (4, 6), strict=True):
            revision = self.ecs.register_task_definition(
                family="claude-manager", containerDefinitions=[container]
            )["taskDefinition"]["taskDefinitionArn"]
            self.ecs.update_service(
                cluster="claude-manager",
                service=service,
                taskDefinition=revision,
                desiredCount=count,
            )
            self.scaling.register_scalable_target(
                ServiceNamespace="ecs",
                ResourceId=f"service/claude-manager/{service}",
                ScalableDimension="ecs:service:DesiredCount",
                MinCapacity=count,
                MaxCapacity=30,
            )

    def state(self) -> dict[str, Any]:
        """Everything that a template must not put back."""
        services = self.ecs.describe_services(cluster="claude-manager", services=list(SERVICES))
        targets = self.scaling.describe_scalable_targets(ServiceNamespace="ecs")
        return {
            "actions": self.rule()["Actions"],
            "services": {
                one["serviceName"]: (one["taskDefinition"], one["desiredCount"])
                for one in services["services"]
            },
            "scaling": {
                one["ResourceId"]: (one["MinCapacity"], one["MaxCapacity"])
                for one in targets["ScalableTargets"]
            },
        }

    def written(self) -> list[str]:
        """What the stacks wrote, of what they may not write, since the last look."""
        calls = self.cloud.context.calls
        found = [c.operation for c in calls if c.caller != "person" and c.operation in WRITES]
        found += [body for body in self.rule_writes if "Actions" in body]
        calls.clear()
        self.rule_writes.clear()
        return found


@pytest.fixture(scope="module")
def live(vary: Vary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), parts=()) as cloud:
        deployer = Deployer(cloud)
        deployer.deploy_assembly(vary().folder)
        found = Live(cloud, deployer)
        found.move()

        def look(request: Any) -> None:
            if request.operation == "ModifyRule":
                found.rule_writes.append(request.body.decode())

        cloud.server.before.append(look)
        yield found


@pytest.mark.parametrize("change", [name for name in CHANGES if name not in REFUSED])
def test_a_changed_template_and_the_way_back_leave_live_state_alone(
    live: Live, vary: Vary, change: str
) -> None:
    before = live.state()
    live.written()

    done = live.deployer.deploy_assembly(vary(**CHANGES[change]).folder)
    assert any(done.values()), "a change that changes nothing proves nothing"
    assert live.state() == before
    assert live.written() == []

    live.deployer.deploy_assembly(vary().folder)
    assert live.state() == before
    assert live.written() == []


@pytest.mark.parametrize("change", [name for name in CHANGES if name not in REFUSED])
def test_the_rollback_of_a_failed_update_leaves_live_state_alone(
    live: Live, vary: Vary, change: str
) -> None:
    before = live.state()
    live.written()

    done = live.deployer.deploy_assembly(vary(**CHANGES[change]).folder, roll_back=True)
    assert "undo" in {one.action for changes in done.values() for one in changes}
    assert live.state() == before
    assert live.written() == []


def test_a_change_that_would_move_live_traffic_is_refused_and_rolled_back(
    live: Live, vary: Vary
) -> None:
    acm = live.cloud.client("acm")
    arn = acm.request_certificate(DomainName="example.com")["CertificateArn"]
    before = live.state()
    live.written()

    with pytest.raises(DeploymentFailed, match="Custom::ListenerRule"):
        live.deployer.deploy_assembly(vary(sample={"certificate_arn": arn}).folder)

    assert live.state() == before
    assert live.written() == []


def test_changed_conditions_do_reach_the_rule(live: Live, vary: Vary) -> None:
    """The replay would prove nothing if updates did not arrive at all."""
    before = live.state()

    live.deployer.deploy_assembly(vary(**CHANGES["paths"]).folder)
    values = live.rule()["Conditions"][0]["PathPatternConfig"]["Values"]
    assert values == ["/api/*", "/health"]
    assert live.state() == before

    live.deployer.deploy_assembly(vary().folder)
    assert live.rule()["Conditions"][0]["PathPatternConfig"]["Values"] == ["/*"]
