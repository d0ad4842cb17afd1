"""List prices of eu-west-1 as remembered in 2026, in US dollars; check them before quoting."""

from decimal import Decimal

PER_STATE_TRANSITION = Decimal("0.025") / 1000
PER_LAMBDA_REQUEST = Decimal("0.20") / 1_000_000
PER_LAMBDA_GB_SECOND_ARM = Decimal("0.0000133334")
PER_DYNAMODB_WRITE = Decimal("0.705") / 1_000_000
PER_DYNAMODB_READ = Decimal("0.1415") / 1_000_000
PER_METRIC_READ = Decimal("0.01") / 1000

LAMBDA_GB = Decimal("0.5")

_WRITES = frozenset({"PutItem", "UpdateItem", "TransactWriteItems", "DeleteItem"})
_READS = frozenset({"GetItem", "Query"})


def cost(
    *,
    transitions: int,
    invocations: int,
    lambda_seconds: float,
    operations: dict[str, int],
    metrics_per_read: int,
) -> Decimal:
    """What a deployment's orchestration costs, in US dollars, free tiers left out.

    Args:
        transitions: billable state transitions.
        invocations: Lambda requests.
        lambda_seconds: how long the functions ran, all together.
        operations: AWS calls by operation.
        metrics_per_read: metrics in one `GetMetricData`, which is priced by the metric.
    """
    writes = sum(count for name, count in operations.items() if name in _WRITES)
    reads = sum(count for name, count in operations.items() if name in _READS)
    metrics = operations.get("GetMetricData", 0) * metrics_per_read
    return (
        transitions * PER_STATE_TRANSITION
        + invocations * PER_LAMBDA_REQUEST
        + Decimal(str(lambda_seconds)) * LAMBDA_GB * PER_LAMBDA_GB_SECOND_ARM
        + writes * PER_DYNAMODB_WRITE
        # A strongly consistent read of up to 4 KB is one unit; a plan may take two.
        + 2 * reads * PER_DYNAMODB_READ
        + metrics * PER_METRIC_READ
    )
