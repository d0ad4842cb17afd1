"""What each function may do, statement by statement.

Actions that know no resource stand alone in statements over `*`; everything else names what it
touches. tests/infra/test_permissions.py holds the list of the former.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import ArnFormat, Stack

from greenlane.health.alarm_definitions import FLAGS as FLAG_ALARMS
from infra.adopted import AdoptedService
from infra.permissions_releases import MigrationPlaces
from infra.roles import Allow

HOOK_PREFIX = "greenlane-hook-"
KNOWS_NO_RESOURCE = "these actions know no resource."


@dataclass(frozen=True)
class Permissions:
    """Statements about the things of one stack, all services at once."""

    stack: Stack
    services: Sequence[AdoptedService]
    table_arn: str
    topic_arn: str
    undelivered_arn: str
    reports_arn: str
    deployment_machine: str
    rollback_machine: str
    flags_arn: str
    flag_machine: str
    experiments_arn: str
    experiment_machine: str
    migrations: MigrationPlaces | None
    rollout_machine: str | None

    def table(self, *actions: str) -> Allow:
        """Items of the deployments table."""
        return Allow("UseTable", [f"dynamodb:{action}" for action in actions], [self.table_arn])

    def flags(self, *actions: str) -> Allow:
        """Items of the table of flags."""
        return Allow("UseFlags", [f"dynamodb:{action}" for action in actions], [self.flags_arn])

    def experiments(self, *actions: str) -> Allow:
        """Items of the table of A/B tests.

        A transaction needs no action of its own but those of its parts: `PutItem`, `UpdateItem`,
        `DeleteItem`, `ConditionCheckItem`.
        """
        named = [f"dynamodb:{action}" for action in actions]
        return Allow("UseExperiments", named, [self.experiments_arn])

    def end_experiments(self) -> Allow:
        """End the execution of a test that is over."""
        return Allow(
            "EndExperiments",
            ["states:StopExecution"],
            [self._executions_of(self.experiment_machine)],
            because="each execution of our own machine of A/B tests.",
        )

    def run_experiments(self) -> list[Allow]:
        """Start the executions of tests, see whether they live, and end them."""
        return [
            Allow("StartExperiments", ["states:StartExecution"], [self.experiment_machine]),
            Allow(
                "SeeExperiments",
                ["states:DescribeExecution", "states:StopExecution"],
                [self._executions_of(self.experiment_machine)],
                because="each execution of our own machine of A/B tests.",
            ),
        ]

    def write_experiment_reports(self) -> Allow:
        """Write the reports of tests into the bucket of reports."""
        return Allow(
            "WriteReports",
            ["s3:PutObject"],
            [f"{self.reports_arn}/experiments/*"],
            because="the keys name a test and its run.",
        )

    def keep_flag_alarms(self) -> Allow:
        """Keep the alarms of flags' conditions, which are known by their prefix."""
        return Allow(
            "KeepFlagAlarms",
            [
                "cloudwatch:DeleteAlarms",
                "cloudwatch:PutCompositeAlarm",
                "cloudwatch:PutMetricAlarm",
                "cloudwatch:TagResource",
            ],
            [self._arn("cloudwatch", "alarm", f"{FLAG_ALARMS}.*")],
            because="the prefix is reserved for the alarms of flags' conditions.",
        )

    def ramp_flags(self) -> list[Allow]:
        """Start the executions of ramps, and see whether they live."""
        return [
            Allow("StartRamps", ["states:StartExecution"], [self.flag_machine]),
            Allow(
                "SeeRamps",
                ["states:DescribeExecution"],
                [self._executions_of(self.flag_machine)],
                because="each execution of our own machine of ramps.",
            ),
        ]

    def see_traffic(self, *describe: str) -> Allow:
        """Describe rules, target groups and health."""
        actions = [f"elasticloadbalancing:Describe{what}" for what in describe]
        return Allow("SeeTraffic", actions, ["*"], because=KNOWS_NO_RESOURCE)

    def write_rule(self, *actions: str) -> Allow:
        """Write the production rules, and no other rule."""
        return Allow(
            "WriteRule",
            [f"elasticloadbalancing:{action}" for action in actions],
            [service.listener_rule_arn for service in self.services],
        )

    def see_services(self) -> Allow:
        """Describe the slots' services."""
        return Allow("SeeServices", ["ecs:DescribeServices"], self._ecs_services)

    def change_services(self, *actions: str) -> Allow:
        """Update or tag the slots' services."""
        return Allow("ChangeServices", [f"ecs:{action}" for action in actions], self._ecs_services)

    def see_task_definitions(self, *actions: str) -> Allow:
        """Read task definitions."""
        return Allow(
            "SeeTaskDefinitions",
            [f"ecs:{action}" for action in actions],
            ["*"],
            because=KNOWS_NO_RESOURCE,
        )

    def register_task_definitions(self) -> list[Allow]:
        """Register and tag revisions of the services' families."""
        return [
            Allow(
                "RegisterRevisions",
                ["ecs:RegisterTaskDefinition"],
                ["*"],
                because="the action knows no resource; PassTaskRoles limits a revision.",
            ),
            Allow(
                "TagRevisions",
                ["ecs:TagResource"],
                [service.task_definitions for service in self.services],
                because="each revision of the service's own family.",
            ),
        ]

    def forget_task_definitions(self) -> Allow:
        """Deregister revisions."""
        return Allow(
            "ForgetRevisions",
            ["ecs:DeregisterTaskDefinition"],
            ["*"],
            because="the action knows no resource; running tasks keep a deregistered revision.",
        )

    def pass_task_roles(self) -> Allow:
        """Hand the tasks their roles, and only tasks."""
        return Allow(
            "PassTaskRoles",
            ["iam:PassRole"],
            [role for service in self.services for role in service.task_roles],
            conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        )

    def list_tasks(self) -> Allow:
        """List the tasks of the services' clusters."""
        return Allow(
            "ListTasks",
            ["ecs:ListTasks"],
            ["*"],
            because="for a service's tasks ECS knows only the condition on the cluster.",
            conditions=self._in_our_clusters,
        )

    def see_tasks(self) -> Allow:
        """Describe the tasks of the services' clusters."""
        return Allow(
            "SeeTasks",
            ["ecs:DescribeTasks"],
            [item.tasks for item in self.services],
            because="a task's id is not known before it runs.",
        )

    def stop_tasks(self) -> Allow:
        """Stop the task before traffic of a deployment that goes back."""
        return Allow(
            "StopTasks",
            ["ecs:StopTask"],
            [item.tasks for item in self.services],
            because="a task's id is not known before it runs.",
        )

    def run_tasks(self) -> Allow:
        """Run one task of a service's family before traffic."""
        return Allow(
            "RunTasks",
            ["ecs:RunTask"],
            [service.task_definitions for service in self.services],
            because="the revision is registered by the deployment itself.",
            conditions=self._in_our_clusters,
        )

    def see_scaling(self) -> Allow:
        """Describe scalable targets."""
        actions = ["application-autoscaling:DescribeScalableTargets"]
        return Allow("SeeScaling", actions, ["*"], because=KNOWS_NO_RESOURCE)

    def change_scaling(self) -> Allow:
        """Suspend scaling and set its limits, on ECS services only."""
        target = self.stack.format_arn(
            service="application-autoscaling", resource="scalable-target", resource_name="*"
        )
        return Allow(
            "ChangeScaling",
            ["application-autoscaling:RegisterScalableTarget"],
            [target],
            because="a scalable target's ARN ends in an id of AWS's making, not in our names.",
            conditions={"StringEquals": {"application-autoscaling:service-namespace": "ecs"}},
        )

    def see_alarms(self) -> Allow:
        """The state of the services' alarms."""
        return Allow(
            "SeeAlarms",
            ["cloudwatch:DescribeAlarms"],
            ["*"],
            because="CloudWatch tells of composite alarms only to a permission on everything.",
        )

    def see_metrics(self) -> Allow:
        """Read metrics."""
        return Allow("SeeMetrics", ["cloudwatch:GetMetricData"], ["*"], because=KNOWS_NO_RESOURCE)

    def query_logs(self) -> list[Allow]:
        """Search what the services' tasks have logged."""
        return [
            Allow(
                "QueryLogs",
                ["logs:StartQuery"],
                [service.log_group for service in self.services],
                because="how CloudWatch Logs writes the ARN of one log group.",
            ),
            Allow("ReadQueries", ["logs:GetQueryResults"], ["*"], because=KNOWS_NO_RESOURCE),
        ]

    def write_reports(self) -> Allow:
        """Write reports into their bucket."""
        return Allow(
            "WriteReports",
            ["s3:PutObject"],
            [f"{self.reports_arn}/incidents/*"],
            because="the keys name a service and a deployment.",
        )

    def see_images(self) -> Allow:
        """Resolve a version to a digest."""
        return Allow(
            "SeeImages",
            ["ecr:DescribeImages", "ecr:DescribeRepositories"],
            [service.repository for service in self.services],
        )

    def see_scans(self) -> list[Allow]:
        """Read what scans have found in the services' images."""
        return [
            Allow(
                "SeeScans",
                ["ecr:DescribeImageScanFindings"],
                [service.repository for service in self.services],
            ),
            Allow("SeeFindings", ["inspector2:ListFindings"], ["*"], because=KNOWS_NO_RESOURCE),
        ]

    def call_hooks(self) -> Allow:
        """Call the user's hooks, known by their prefix."""
        return Allow(
            "CallHooks",
            ["lambda:InvokeFunction"],
            [self._arn("lambda", "function", f"{HOOK_PREFIX}*")],
            because="the prefix is how a user says that a function is a hook.",
        )

    def read_workloads(self) -> Allow:
        """Read how workloads describe themselves."""
        return Allow(
            "ReadWorkloads",
            ["ssm:GetParameter"],
            [
                self.stack.format_arn(
                    service="ssm",
                    resource="parameter",
                    resource_name=f"greenlane/workloads/{it.service.name}",
                )
                for it in self.services
            ],
        )

    def tell(self) -> Allow:
        """Publish notifications."""
        return Allow("Tell", ["sns:Publish"], [self.topic_arn])

    def tell_again(self) -> Allow:
        """Have a page told again, past a topic that may be what is broken."""
        function = self._arn("lambda", "function", "greenlane-notify-people")
        return Allow("TellAgain", ["lambda:InvokeFunction"], [function])

    def read_paging_routes(self) -> Allow:
        """Read how services page, for when the table does not say."""
        parameter = self.stack.format_arn(
            service="ssm", resource="parameter", resource_name="greenlane/paging"
        )
        return Allow("ReadPagingRoutes", ["ssm:GetParameter"], [parameter])

    def read_secrets(self) -> Allow:
        """Read the secrets of the channels that tell people, and no other secret."""
        return Allow(
            "ReadSecrets",
            ["secretsmanager:GetSecretValue"],
            [self._arn("secretsmanager", "secret", "greenlane/*")],
            because="the prefix is how a user says that a secret is for Greenlane.",
        )

    def open_ops_items(self) -> Allow:
        """Open an OpsItem."""
        return Allow("OpenOpsItems", ["ssm:CreateOpsItem"], ["*"], because=KNOWS_NO_RESOURCE)

    def post_alerts(self) -> Allow:
        """Have alerts posted from inside the VPC."""
        function = self._arn("lambda", "function", "greenlane-post-alerts")
        return Allow("PostAlerts", ["lambda:InvokeFunction"], [function])

    def query_prometheus(self) -> Allow:
        """Have a Prometheus asked from inside the VPC."""
        function = self._arn("lambda", "function", "greenlane-query-prometheus")
        return Allow("QueryPrometheus", ["lambda:InvokeFunction"], [function])

    def keep_undelivered(self) -> Allow:
        """Lambda keeps the events it gave up under the function's own role."""
        return Allow("KeepUndelivered", ["sqs:SendMessage"], [self.undelivered_arn])

    def answer(self, *actions: str) -> Allow:
        """Answer a bake's task token."""
        return Allow(
            "AnswerTokens", [f"states:{action}" for action in actions], [self.deployment_machine]
        )

    def executions(self, *actions: str) -> Allow:
        """See or stop executions of our machines."""
        return Allow(
            "Executions",
            [f"states:{action}" for action in actions],
            [self._executions_of(it) for it in (self.deployment_machine, self.rollback_machine)],
            because="each execution of our own two machines.",
        )

    def start_machines(self) -> Allow:
        """Start the way back, or the rest of a deployment."""
        return Allow(
            "StartMachines",
            ["states:StartExecution"],
            [self.deployment_machine, self.rollback_machine],
        )

    def start_rollbacks(self) -> Allow:
        """Start the way back."""
        return Allow("StartRollback", ["states:StartExecution"], [self.rollback_machine])

    def _arn(self, service: str, resource: str, name: str) -> str:
        arn: str = self.stack.format_arn(
            service=service,
            resource=resource,
            resource_name=name,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        return arn

    def _executions_of(self, machine: str) -> str:
        return self._arn("states", "execution", f"{machine.rsplit(':', 1)[-1]}:*")

    @property
    def _ecs_services(self) -> list[str]:
        return [arn for service in self.services for arn in service.ecs_services]

    @property
    def _in_our_clusters(self) -> dict[str, dict[str, str | list[str]]]:
        return {"ArnEquals": {"ecs:cluster": sorted({it.cluster_arn for it in self.services})}}
