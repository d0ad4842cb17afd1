"""Where reports are kept: one bucket, private, encrypted, versioned, emptied by age."""

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_s3 as s3
from constructs import Construct

from greenlane.incidents.report_place import bucket_name
from infra.nag import acknowledge

KEPT_DAYS = 400
"""A little more than a year, so that the same season can be compared."""

OLDER_VERSIONS_DAYS = 30


class Incidents(Construct):
    """The bucket of the reports.

    Its name can be computed from account and Region, so that the command line finds it without a
    look-up; who reads or writes it says that it must be this account's.

    Args:
        scope: the parent construct.
        id: the construct's id.
    """

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        stack = Stack.of(self)
        self.bucket = s3.Bucket(
            self,
            "Reports",
            bucket_name=bucket_name(stack.account, stack.region),
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            # A report that is made again, with more of the metrics, replaces the one before.
            versioned=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="Forget",
                    expiration=Duration.days(KEPT_DAYS),
                    noncurrent_version_expiration=Duration.days(OLDER_VERSIONS_DAYS),
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                )
            ],
            removal_policy=RemovalPolicy.RETAIN,
        )
        acknowledge(
            self.bucket,
            "S1",
            "Access logs would need a second bucket that nobody reads: one function writes here, "
            "some files for each incident, and CloudTrail can log the data events of this bucket.",
        )
