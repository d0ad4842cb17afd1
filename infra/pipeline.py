"""A complete pipeline, to start from: source, build, approval, Greenlane, further Regions.

It is made only where the settings say `pipeline`. Written with CloudFormation's own resources, for
the CDK's actions would each add a role, and statements to ours.
"""

import json
from typing import Any

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from greenlane.pipelines.model import ACTION_FUNCTION, REQUEST_MACHINE
from infra.nag import acknowledge
from infra.retention import log_retention
from infra.roles import Allow, least_privilege_role
from infra.settings import PipelineSettings, Settings

EXECUTION_ID = "#{codepipeline.PipelineExecutionId}"
KEPT_DAYS = 30
"""A pipeline execution's artifacts; nothing of a deployment depends on them once it has begun."""

BUILD_SPEC: dict[str, Any] = {
    "version": "0.2",
    "env": {"shell": "bash", "exported-variables": ["IMAGE"]},
    "phases": {
        "build": {
            "commands": [
                'export IMAGE="$REPOSITORY:${CODEBUILD_RESOLVED_SOURCE_VERSION:0:12}"',
                "aws ecr get-login-password"
                ' | docker login --username AWS --password-stdin "${REPOSITORY%%/*}"',
                'docker build --tag "$IMAGE" .',
                'docker push "$IMAGE"',
                'printf \'[{"name": "%s", "imageUri": "%s"}]\' "$CONTAINER" "$IMAGE"'
                " > imagedefinitions.json",
            ]
        }
    },
    "artifacts": {"files": ["imagedefinitions.json"]},
}


class PipelineStack(Stack):
    """One pipeline of one service. It needs no other stack to be synthesized."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings, **kwargs: Any) -> None:
        super().__init__(scope, id, **kwargs)
        if settings.pipeline is None:
            raise ValueError("the pipeline's stack is made only with settings for it")
        self._chosen: PipelineSettings = settings.pipeline
        self._settings = settings
        self._service = settings.service(self._chosen.service)
        self._name = f"greenlane-{self._service.name}"
        self.artifacts = self._artifacts()
        self._topic = self._approvals()
        self._project = self._build()
        role = self._role()
        stages = [
            _stage("Source", self._source()),
            _stage("Build", self._building()),
            _stage("Approve", self._approval("Approve", "Deploy the new version?")),
            _stage("Deploy", self._deploy()),
        ]
        if self._chosen.elsewhere:
            question = "It is live and watched here; deploy it to the other Regions?"
            stages.append(_stage("ApproveElsewhere", self._approval("ApproveElsewhere", question)))
            stages.append(
                _stage("Elsewhere", *[self._elsewhere(region) for region in self._chosen.elsewhere])
            )
        codepipeline.CfnPipeline(
            self,
            "Pipeline",
            name=self._name,
            pipeline_type="V2",
            execution_mode="SUPERSEDED",
            role_arn=role.role_arn,
            stages=stages,
            **self._stores(),
        )

    def _artifacts(self) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "Artifacts",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=False,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="Forget",
                    expiration=Duration.days(KEPT_DAYS),
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                )
            ],
            removal_policy=RemovalPolicy.RETAIN,
        )
        acknowledge(
            bucket,
            "S1",
            "Access logs would need a second bucket that nobody reads: artifacts live for some "
            "days, and CloudTrail can log the data events of this bucket.",
        )
        return bucket

    def _approvals(self) -> sns.Topic:
        topic = sns.Topic(self, "Approvals", topic_name=f"{self._name}-approvals", enforce_ssl=True)
        for address in self._chosen.approvers:
            topic.add_subscription(subscriptions.EmailSubscription(address))
        return topic

    def _build(self) -> codebuild.CfnProject:
        log_group = logs.LogGroup(
            self,
            "BuildLogs",
            log_group_name=f"/aws/codebuild/{self._name}",
            retention=log_retention(self._settings),
            removal_policy=RemovalPolicy.DESTROY,
        )
        repository = self._colon("ecr", "repository", self._service.repository, slash=True)
        role = least_privilege_role(
            self,
            "BuildRole",
            name=f"{self._name}-build-{self._settings.region}",
            principal="codebuild.amazonaws.com",
            allows=[
                Allow(
                    "WriteLogs",
                    ["logs:CreateLogStream", "logs:PutLogEvents"],
                    [log_group.log_group_arn],
                ),
                self._use_artifacts(),
                Allow(
                    "LogIn",
                    ["ecr:GetAuthorizationToken"],
                    ["*"],
                    because="the action knows no resource.",
                ),
                Allow(
                    "PushImages",
                    [
                        "ecr:BatchCheckLayerAvailability",
                        "ecr:BatchGetImage",
                        "ecr:CompleteLayerUpload",
                        "ecr:GetDownloadUrlForLayer",
                        "ecr:InitiateLayerUpload",
                        "ecr:PutImage",
                        "ecr:UploadLayerPart",
                    ],
                    [repository],
                ),
            ],
        )
        registry = f"{self.account}.dkr.ecr.{self.region}.{self.url_suffix}"
        variables = {
            "REPOSITORY": f"{registry}/{self._service.repository}",
            "CONTAINER": self._service.container,
        }
        project = codebuild.CfnProject(
            self,
            "Build",
            name=self._name,
            service_role=role.role_arn,
            source=codebuild.CfnProject.SourceProperty(
                type="CODEPIPELINE", build_spec=json.dumps(BUILD_SPEC, indent=2)
            ),
            artifacts=codebuild.CfnProject.ArtifactsProperty(type="CODEPIPELINE"),
            environment=codebuild.CfnProject.EnvironmentProperty(
                type="ARM_CONTAINER",
                compute_type="BUILD_GENERAL1_SMALL",
                image="aws/codebuild/amazonlinux-aarch64-standard:3.0",
                privileged_mode=True,
                environment_variables=[
                    codebuild.CfnProject.EnvironmentVariableProperty(name=name, value=value)
                    for name, value in variables.items()
                ],
            ),
            logs_config=codebuild.CfnProject.LogsConfigProperty(
                cloud_watch_logs=codebuild.CfnProject.CloudWatchLogsConfigProperty(
                    status="ENABLED", group_name=log_group.log_group_name
                )
            ),
            timeout_in_minutes=30,
        )
        acknowledge(project, "CB3", "The build makes a container image, which needs Docker.")
        acknowledge(
            project,
            "CB4",
            "Artifacts are encrypted by S3 in their bucket; they hold the name of an image.",
        )
        return project

    def _role(self) -> iam.Role:
        function = self._colon("lambda", "function", ACTION_FUNCTION)
        allows = [
            self._use_artifacts(),
            Allow(
                "UseConnection",
                ["codestar-connections:UseConnection"],
                [self._chosen.connection_arn],
            ),
            Allow(
                "Build",
                ["codebuild:BatchGetBuilds", "codebuild:StartBuild"],
                [self._project.attr_arn],
            ),
            Allow("AskPeople", ["sns:Publish"], [self._topic.topic_arn]),
            Allow("CallGreenlane", ["lambda:InvokeFunction"], [function]),
        ]
        if self._chosen.elsewhere:
            allows += self._beyond()
        return least_privilege_role(
            self,
            "Role",
            name=f"{self._name}-pipeline-{self._settings.region}",
            principal="codepipeline.amazonaws.com",
            allows=allows,
        )

    def _beyond(self) -> list[Allow]:
        """Start and see requests in the other Regions, and use the buckets there."""
        machines = [
            self._colon("states", "stateMachine", REQUEST_MACHINE, region=region)
            for region in self._chosen.elsewhere
        ]
        executions = [
            self._colon("states", "execution", f"{REQUEST_MACHINE}:*", region=region)
            for region in self._chosen.elsewhere
        ]
        buckets = [f"arn:{self.partition}:s3:::{name}" for name in self._chosen.elsewhere.values()]
        return [
            Allow("Ask", ["states:DescribeStateMachine", "states:StartExecution"], machines),
            Allow(
                "Follow",
                ["states:DescribeExecution"],
                executions,
                because="each execution of our own machine of requests.",
            ),
            Allow(
                "UseBucketsElsewhere",
                ["s3:GetObject", "s3:PutObject"],
                [f"{bucket}/*" for bucket in buckets],
                because="the keys are of CodePipeline's making.",
            ),
            Allow("SeeBucketsElsewhere", ["s3:GetBucketLocation"], buckets),
        ]

    def _use_artifacts(self) -> Allow:
        return Allow(
            "UseArtifacts",
            ["s3:GetObject", "s3:PutObject"],
            [self.artifacts.arn_for_objects("*")],
            because="the keys are of CodePipeline's making.",
        )

    def _stores(self) -> dict[str, Any]:
        """One bucket, or one for each Region."""
        here = codepipeline.CfnPipeline.ArtifactStoreProperty(
            type="S3", location=self.artifacts.bucket_name
        )
        if not self._chosen.elsewhere:
            return {"artifact_store": here}
        stores = [
            codepipeline.CfnPipeline.ArtifactStoreMapProperty(
                region=self._settings.region, artifact_store=here
            )
        ]
        for region, bucket in self._chosen.elsewhere.items():
            there = codepipeline.CfnPipeline.ArtifactStoreProperty(type="S3", location=bucket)
            stores.append(
                codepipeline.CfnPipeline.ArtifactStoreMapProperty(
                    region=region, artifact_store=there
                )
            )
        return {"artifact_stores": stores}

    def _source(self) -> Any:
        return _action(
            "Source",
            ("Source", "AWS", "CodeStarSourceConnection"),
            {
                "ConnectionArn": self._chosen.connection_arn,
                "FullRepositoryId": self._chosen.repository,
                "BranchName": self._chosen.branch,
            },
            outputs=("Source",),
        )

    def _building(self) -> Any:
        return _action(
            "Build",
            ("Build", "AWS", "CodeBuild"),
            {"ProjectName": self._name},
            inputs=("Source",),
            outputs=("Built",),
            namespace="Build",
        )

    def _approval(self, name: str, question: str) -> Any:
        return _action(
            name,
            ("Approval", "AWS", "Manual"),
            {"NotificationArn": self._topic.topic_arn, "CustomData": question},
        )

    def _deploy(self) -> Any:
        """The Lambda action: the image is in the build's artifact."""
        return _action(
            "Greenlane",
            ("Invoke", "AWS", "Lambda"),
            {
                "FunctionName": ACTION_FUNCTION,
                "UserParameters": json.dumps(
                    self._asked() | {"image_definitions": "imagedefinitions.json"}
                ),
            },
            inputs=("Built",),
            namespace="Greenlane",
        )

    def _elsewhere(self, region: str) -> Any:
        """The native action: the image is a variable, since no file comes with its input."""
        return _action(
            f"Greenlane-{region}",
            ("Invoke", "AWS", "StepFunctions"),
            {
                "StateMachineArn": self._colon(
                    "states", "stateMachine", REQUEST_MACHINE, region=region
                ),
                "InputType": "Literal",
                "Input": json.dumps(self._asked() | {"image": "#{Build.IMAGE}"}),
            },
            region=region,
        )

    def _asked(self) -> dict[str, str]:
        asked = {"service": self._service.name, "pipeline_execution_id": EXECUTION_ID}
        if self._chosen.strategy is not None:
            asked["strategy"] = self._chosen.strategy
        return asked

    def _colon(
        self,
        service: str,
        resource: str,
        name: str,
        *,
        region: str | None = None,
        slash: bool = False,
    ) -> str:
        kind = ArnFormat.SLASH_RESOURCE_NAME if slash else ArnFormat.COLON_RESOURCE_NAME
        arn: str = self.format_arn(
            service=service, region=region, resource=resource, resource_name=name, arn_format=kind
        )
        return arn


def _stage(name: str, *actions: Any) -> Any:
    return codepipeline.CfnPipeline.StageDeclarationProperty(name=name, actions=list(actions))


def _action(
    name: str,
    kind: tuple[str, str, str],
    configuration: dict[str, str],
    *,
    inputs: tuple[str, ...] = (),
    outputs: tuple[str, ...] = (),
    namespace: str | None = None,
    region: str | None = None,
) -> Any:
    category, owner, provider = kind
    return codepipeline.CfnPipeline.ActionDeclarationProperty(
        name=name,
        action_type_id=codepipeline.CfnPipeline.ActionTypeIdProperty(
            category=category, owner=owner, provider=provider, version="1"
        ),
        configuration=configuration,
        input_artifacts=[
            codepipeline.CfnPipeline.InputArtifactProperty(name=one) for one in inputs
        ],
        output_artifacts=[
            codepipeline.CfnPipeline.OutputArtifactProperty(name=one) for one in outputs
        ],
        namespace=namespace,
        region=region,
        run_order=1,
    )
