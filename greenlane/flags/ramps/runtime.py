"""What the functions of feature flags work with, besides what all functions do."""

from functools import cached_property

from greenlane import aws
from greenlane.flags.storing.store import DynamoFlagStore
from greenlane.runtime import Runtime


class FlagRuntime(Runtime):
    """The AWS edges of a process that looks after flags."""

    @cached_property
    def flags(self) -> DynamoFlagStore:
        """Where feature flags are kept."""
        client = aws.client("dynamodb", read_timeout_seconds=3.0)
        return DynamoFlagStore(client, self.settings.flags_table)
