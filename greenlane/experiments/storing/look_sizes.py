"""Whether the looks of a test fit into the table, told before it is too late. Pure; no I/O.

A look keeps all that it decided from: sums by metric, variant and epoch, and the histograms of
quantiles. The definition of a running test stands still, so one whose looks have become too large
could never be looked at again.
"""

from greenlane.experiments.model import Experiment
from greenlane.experiments.storing.stored_items import LARGEST_BYTES

BYTES_OF_SUMS = 65
"""Of one metric, variant and epoch in a look, compressed; measured with sums of ten digits."""

BYTES_OF_BUCKET = 5
"""Of one bucket of a histogram, likewise."""

BUCKETS = 400
"""Of one histogram: values from 1 to 2,750, in steps of 2 percent; latencies have fewer."""


def largest_look(test: Experiment, epochs: int) -> int:
    """How many bytes a look needs, compressed, where each variant has users in each epoch.

    Args:
        test: its definition.
        epochs: one more than its weights were changed.
    """
    kinds = [shape.kind for shape in test.measured.values()]
    quantiles = kinds.count("quantile")
    each = (len(kinds) - quantiles) * BYTES_OF_SUMS + quantiles * BUCKETS * BYTES_OF_BUCKET
    return len(test.variants) * epochs * each


def looks_fit(test: Experiment, epochs: int) -> bool:
    """Whether a look with so many epochs fits into one item of the table."""
    return largest_look(test, epochs) <= LARGEST_BYTES
