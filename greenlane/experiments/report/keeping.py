"""Where a report is, and the edge to S3: written in both renderings, and read again.

The keys are `experiments/<name>/<run>/report.json` and `report.html`, in the bucket of the incident
reports.
"""

from collections.abc import Callable
from typing import Any, Literal

from greenlane.experiments.report.model import Report
from greenlane.experiments.report.page import render_html
from greenlane.incidents.report_store import read_report

Format = Literal["html", "json"]

FORMATS: tuple[Format, ...] = ("html", "json")
"""In the order in which they are written: a report whose JSON is there is there as a whole."""

_CONTENT_TYPES: dict[Format, str] = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
}


def report_key(name: str, run: int, format: Format) -> str:
    """Where the report of a run is in the bucket."""
    return f"experiments/{name}/{run}/report.{format}"


def render_json(report: Report) -> str:
    """The report as JSON. The same report gives the same bytes."""
    return f"{report.model_dump_json(indent=2)}\n"


RENDERERS: dict[Format, Callable[[Report], str]] = {"html": render_html, "json": render_json}


def write_experiment_report(s3: Any, bucket: str, account: str, report: Report) -> None:
    """Write both renderings, over those of before; the bucket keeps the older versions.

    Args:
        s3: a boto3 `s3` client.
        bucket: of reports.
        account: that must own the bucket: its name is known to everybody.
        report: of a test.

    Raises:
        botocore.exceptions.ClientError: S3 refused.
    """
    for format in FORMATS:
        s3.put_object(
            Bucket=bucket,
            Key=report_key(report.name, report.run, format),
            Body=RENDERERS[format](report).encode(),
            ContentType=_CONTENT_TYPES[format],
            ExpectedBucketOwner=account,
        )


def read_experiment_report(
    s3: Any, bucket: str, account: str, name: str, run: int
) -> Report | None:
    """The report of a run as it was written; None if there is none.

    Raises:
        botocore.exceptions.ClientError: S3 refused.
        pydantic.ValidationError: it is of another version.
    """
    text = read_report(s3, bucket, account, report_key(name, run, "json"))
    return None if text is None else Report.model_validate_json(text)
