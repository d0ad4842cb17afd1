"""What the functions of rollouts may do: the same few things in each of their Regions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aws_cdk import ArnFormat

from infra.permissions import KNOWS_NO_RESOURCE, Permissions
from infra.roles import Allow

_IN_EACH = "the one of this name in each region of rollouts, which the condition names."


@dataclass(frozen=True)
class RegionsPermissions(Permissions):
    """Statements about the Regions that rollouts go through.

    A Region in an ARN is a wildcard, and a condition lists the Regions: forty times each ARN would
    be more than a role holds.
    """

    regions: Sequence[str]
    regions_machine: str

    def tables(self, *actions: str) -> Allow:
        """Items of the tables of deployments in all Regions: records, fences, copies."""
        return Allow(
            "UseTables",
            [f"dynamodb:{action}" for action in actions],
            [self._anywhere("dynamodb", "table", "greenlane-deployments")],
            because=_IN_EACH,
            conditions=self._only_there(),
        )

    def see_executions(self) -> Allow:
        """See what became of the deployments that were started, and whether a rollout's lives."""
        return Allow(
            "SeeExecutions",
            ["states:DescribeExecution"],
            [
                self._anywhere("states", "execution", "greenlane-deployment:*"),
                self._executions_of(self.regions_machine),
            ],
            because=f"each execution of our own machines; {_IN_EACH}",
            conditions=self._only_there(),
        )

    def start_in_regions(self) -> Allow:
        """Start a deployment, or its way back, in each Region."""
        return Allow(
            "StartInRegions",
            ["states:StartExecution"],
            [
                self._anywhere("states", "stateMachine", "greenlane-deployment"),
                self._anywhere("states", "stateMachine", "greenlane-rollback"),
            ],
            because=_IN_EACH,
            conditions=self._only_there(),
        )

    def pause_in_regions(self) -> Allow:
        """Answer the bake of a deployment, to let it stand still or go on."""
        return Allow(
            "PauseInRegions",
            ["states:SendTaskSuccess"],
            [self._anywhere("states", "stateMachine", "greenlane-deployment")],
            because=_IN_EACH,
            conditions=self._only_there(),
        )

    def see_condition(self) -> list[Allow]:
        """See whether what serves in a Region is well, and how much traffic it has."""
        names = [
            self.stack.format_arn(
                service="ssm",
                region="*",
                resource="parameter",
                resource_name=f"greenlane/workloads/{it.service.name}",
            )
            for it in self.services
        ]
        return [
            Allow(
                "SeeCondition",
                ["cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData"],
                ["*"],
                because=KNOWS_NO_RESOURCE,
                conditions=self._only_there(),
            ),
            Allow(
                "ReadWorkloads",
                ["ssm:GetParameter"],
                names,
                because=_IN_EACH,
                conditions=self._only_there(),
            ),
        ]

    def go_on(self) -> Allow:
        """Start the execution that takes a rollout on."""
        return Allow("GoOn", ["states:StartExecution"], [self.regions_machine])

    def wake(self) -> Allow:
        """Answer the token of a rollout that waits."""
        return Allow("Wake", ["states:SendTaskSuccess"], [self.regions_machine])

    def _only_there(self) -> dict[str, dict[str, str | list[str]]]:
        return {"StringEquals": {"aws:RequestedRegion": list(self.regions)}}

    def _anywhere(self, service: str, resource: str, name: str) -> str:
        table = service == "dynamodb"
        arn: str = self.stack.format_arn(
            service=service,
            region="*",
            resource=resource,
            resource_name=name,
            arn_format=(ArnFormat.SLASH_RESOURCE_NAME if table else ArnFormat.COLON_RESOURCE_NAME),
        )
        return arn


@dataclass(frozen=True)
class RegionsSpec:
    """One module of `functions/` that rollouts need."""

    module: str
    may: Callable[[RegionsPermissions], list[Allow]]
    timeout_seconds: int = 60
    memory_mb: int = 512
