"""Where plans are kept: one JSON document each, named by its checksum, so none ever changes."""

from typing import Any

from botocore.exceptions import ClientError

from greenlane.errors import InvalidInput

KEY_PREFIX = "plans/"


def bucket_name(account: str, region: str) -> str:
    """The bucket of plans of an account and Region."""
    return f"greenlane-migrations-{account}-{region}"


def plan_key(sha256: str) -> str:
    """Where the plan with this checksum is kept."""
    return f"{KEY_PREFIX}{sha256}.json"


def put_plan(s3: Any, bucket: str, account: str, sha256: str, text: str) -> None:
    """Keep a plan; the same again is the same object.

    Args:
        s3: the client.
        bucket: where.
        account: whose bucket it must be.
        sha256: the plan's own checksum, as `Plan.sha256` says it.
        text: `Plan.model_dump_json()`.
    """
    s3.put_object(
        Bucket=bucket,
        Key=plan_key(sha256),
        Body=text.encode(),
        ContentType="application/json",
        ExpectedBucketOwner=account,
    )


def fetch_plan(s3: Any, bucket: str, account: str, sha256: str) -> str:
    """The text of a plan.

    Raises:
        InvalidInput: there is no plan of that checksum.
    """
    try:
        answer = s3.get_object(Bucket=bucket, Key=plan_key(sha256), ExpectedBucketOwner=account)
    except ClientError as error:
        # S3 says so of what is not there to whoever may not list the bucket.
        if error.response["Error"]["Code"] not in ("NoSuchKey", "AccessDenied"):
            raise
        way_out = (
            f"no such plan is in {bucket}, or it may not be read there; start the run from its "
            "folder again, which keeps it"
        )
        raise InvalidInput("request.plan_sha", sha256, way_out) from error
    return str(answer["Body"].read().decode())
