"""Segments: read once, after the end, kept, and compared with a correction for looking at many."""

import gzip
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.experiments.model import Experiment
from greenlane.experiments.records import Snapshot
from greenlane.experiments.report.model import SegmentLine
from greenlane.experiments.statistics.comparison import compare
from greenlane.experiments.statistics.multiplicity import holm
from greenlane.experiments.statistics.special import normal_isf
from greenlane.experiments.storing.stored_items import LARGEST_BYTES


class SegmentsRead(StoredModel):
    """What was counted of each segment, and when it was read."""

    at: datetime
    snapshots: dict[str, Snapshot]


def fitting(read: SegmentsRead, test: Experiment, most: int = LARGEST_BYTES) -> SegmentsRead | None:
    """What of segments fits into one item: all, or the metric that is compared; else None.

    Args:
        read: what was read just now.
        test: its definition.
        most: bytes, compressed.
    """
    primary = test.primary_metric.name

    def only(of: Mapping[str, Any]) -> dict[str, Any]:
        return {name: part for name, part in of.items() if name == primary}

    less = {
        name: one.model_copy(
            update={"moments": only(one.moments), "histograms": only(one.histograms)}
        )
        for name, one in read.snapshots.items()
    }
    for each in (read, read.model_copy(update={"snapshots": less})):
        if len(_packed(each)) <= most:
            return each
    return None


def _packed(read: SegmentsRead) -> bytes:
    return gzip.compress(read.model_dump_json().encode(), mtime=0)


def keep_segments(client: Any, table: str, name: str, run: int, read: SegmentsRead) -> SegmentsRead:
    """Keep what was read, once; what is stored, where another was faster.

    Args:
        client: a boto3 `dynamodb` client.
        table: of A/B tests.
        name: the test.
        run: which of its runs.
        read: what was read just now.

    Raises:
        ClientError: the table did not answer.
    """
    body = _packed(read)
    try:
        client.put_item(
            TableName=table,
            Item={**_key(name, run), "body": {"B": body}},
            ConditionExpression="attribute_not_exists(pk)",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
    return read_segments(client, table, name, run) or read


def read_segments(client: Any, table: str, name: str, run: int) -> SegmentsRead | None:
    """What was kept of a run's segments; None before its end, or where it has none."""
    answer = client.get_item(TableName=table, Key=_key(name, run), ConsistentRead=True)
    if "Item" not in answer:
        return None
    return SegmentsRead.model_validate_json(gzip.decompress(bytes(answer["Item"]["body"]["B"])))


def _key(name: str, run: int) -> dict[str, Any]:
    return {"pk": {"S": f"segments#{name}#{run}"}, "sk": {"S": "kept"}}


def compare_segments(
    test: Experiment, snapshots: Mapping[str, Snapshot]
) -> tuple[SegmentLine, ...]:
    """The primary metric in each segment, for each treatment.

    All of them together keep the test's level (Holm), as if each segment were looked at once. They
    say where to look next, and decide nothing: nobody planned how many users a segment has.
    """
    metric, control = test.primary_metric, test.control_variant
    level = float(test.criterion.significance_level)
    asked = [
        (segment, treatment, snapshot.pairs(metric.name, control, treatment))
        for segment, snapshot in snapshots.items()
        for treatment in test.treatments
    ]
    first = [compare(metric, pairs, normal_isf(level / 2)) for _, _, pairs in asked]
    judged = iter(holm([one.p_value for one in first if one.p_value is not None], level))
    lines = []
    for (segment, treatment, pairs), effect in zip(asked, first, strict=True):
        if effect.p_value is not None:
            effect = compare(metric, pairs, next(judged).critical)
        lines.append(SegmentLine(segment=segment, treatment=treatment, effect=effect))
    return tuple(lines)
