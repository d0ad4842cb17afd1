"""What the functions of A/B tests work with, besides what all functions do."""

from datetime import datetime
from functools import cached_property
from typing import Any

from greenlane import aws
from greenlane.experiments.counting.reading import read_snapshot
from greenlane.experiments.records import Snapshot
from greenlane.experiments.storing.state import StoredTest
from greenlane.experiments.storing.store import DynamoExperimentStore, ExperimentStore
from greenlane.flags.ramps.runtime import FlagRuntime


class ExperimentRuntime(FlagRuntime):
    """The AWS edges of a process that looks after A/B tests; it ramps flags, too."""

    @cached_property
    def counts(self) -> Any:
        """The client that reads what was counted."""
        return aws.client("dynamodb", read_timeout_seconds=5.0)

    @cached_property
    def experiments(self) -> ExperimentStore:
        """Where A/B tests are kept."""
        client = aws.client("dynamodb", read_timeout_seconds=3.0)
        return DynamoExperimentStore(client, self.settings.experiments_table)

    def snapshot(self, test: StoredTest, at: datetime) -> Snapshot:
        """What is known of a test now."""
        return read_snapshot(self.counts, self.settings.experiments_table, test, at)
