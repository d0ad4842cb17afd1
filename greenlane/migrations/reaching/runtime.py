"""What the functions that speak to a database work with."""

from functools import cached_property
from typing import Any

from greenlane import aws
from greenlane.runtime import Runtime


class NetworkRuntime(Runtime):
    """The few AWS edges that are reached from the network of the databases."""

    @cached_property
    def plans(self) -> Any:
        """S3, through the network's gateway endpoint; where there is none, nothing answers."""
        return aws.client("s3", read_timeout_seconds=10.0, attempts=3)

    @cached_property
    def signer(self) -> Any:
        """Makes IAM's tokens for databases; it signs by itself and calls nothing."""
        return aws.client("rds")

    @property
    def account(self) -> str:
        """The account that this runs in."""
        return self.settings.topic_arn.split(":")[4]
