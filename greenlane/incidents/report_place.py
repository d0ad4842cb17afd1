"""Where a report is: a bucket and keys that anybody can compute. Pure; no I/O.

They are `incidents/<service>/<deployment id>/report.json`, `report.md` and `report.html` in
`greenlane-incidents-<account>-<region>`.
"""

from typing import Literal

Format = Literal["json", "md", "html"]

FORMATS: tuple[Format, ...] = ("json", "md", "html")


def bucket_name(account: str, region: str) -> str:
    """The bucket of an account and Region."""
    return f"greenlane-incidents-{account}-{region}"


def report_key(service: str, deployment_id: str, format: Format) -> str:
    """Where a deployment's report is in the bucket."""
    return f"incidents/{service}/{deployment_id}/report.{format}"


def report_keys(service: str, deployment_id: str) -> dict[Format, str]:
    """The keys of all its renderings, by format."""
    return {format: report_key(service, deployment_id, format) for format in FORMATS}


def console_url(bucket: str, region: str, key: str) -> str:
    """The page of an object in the AWS console, for those who may see it."""
    return (
        f"https://{region}.console.aws.amazon.com/s3/object/{bucket}?region={region}&prefix={key}"
    )
