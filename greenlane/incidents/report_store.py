"""The edge to S3: a report written in all its renderings, and read again."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from greenlane.incidents.report_html import render_html
from greenlane.incidents.report_markdown import render_markdown
from greenlane.incidents.report_model import Report
from greenlane.incidents.report_place import Format, report_keys

_CONTENT_TYPES: dict[Format, str] = {
    "html": "text/html; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    # Last: a report whose JSON is there is there as a whole.
    "json": "application/json",
}


def render_json(report: Report) -> str:
    """The report as JSON. The same report gives the same bytes."""
    return f"{report.model_dump_json(indent=2)}\n"


RENDERERS: dict[Format, Callable[[Report], str]] = {
    "json": render_json,
    "md": render_markdown,
    "html": render_html,
}


def write_report(s3: Any, bucket: str, account: str, report: Report) -> dict[Format, str]:
    """Write all renderings, over those of before; the bucket keeps the older versions.

    `account` must own the bucket: its name is known to everybody, and could be taken elsewhere.

    Returns:
        The keys by format.

    Raises:
        botocore.exceptions.ClientError: S3 refused.
    """
    keys = report_keys(report.service, report.deployment_id)
    for format, content_type in _CONTENT_TYPES.items():
        s3.put_object(
            Bucket=bucket,
            Key=keys[format],
            Body=RENDERERS[format](report).encode(),
            ContentType=content_type,
            ExpectedBucketOwner=account,
        )
    return keys


def read_report(s3: Any, bucket: str, account: str, key: str) -> str | None:
    """A rendering as it was written; None if there is none.

    Raises:
        botocore.exceptions.ClientError: S3 refused, or there is no such bucket.
    """
    try:
        answer = s3.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=account)
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            return None
        raise
    text: bytes = answer["Body"].read()
    return text.decode()
