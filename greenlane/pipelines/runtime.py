"""What the functions of pipelines work with, besides what all functions do."""

from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config

from greenlane import aws
from greenlane.deployments.client import Greenlane
from greenlane.deployments.connection import Connection
from greenlane.pipelines.book import Book
from greenlane.pipelines.job import Credentials
from greenlane.runtime import Runtime, Settings

READ_SECONDS, ATTEMPTS = 4.0, 2
"""Of each call: one that hangs must leave time for the answer to the pipeline."""


class FunctionConnection(Connection):
    """A connection whose account and Region are those of the function: nothing is asked for them.

    Args:
        settings: the function's environment.
        runtime: tells the time.
    """

    def __init__(self, settings: Settings, runtime: Runtime) -> None:
        """See the class."""
        super().__init__(boto3.Session(), clock=runtime.clock)
        _, partition, _, _, account, _ = settings.topic_arn.split(":", 5)
        self._whose = (partition, account, f"arn:{partition}:iam::{account}:role/greenlane")

    def client(self, name: str) -> Any:
        """The client of an AWS service, with short limits."""
        if name not in self._clients:
            self._clients[name] = aws.client(
                name, read_timeout_seconds=READ_SECONDS, attempts=ATTEMPTS
            )
        return self._clients[name]

    @property
    def _identity(self) -> tuple[str, str, str]:
        return self._whose


class JobRuntime(Runtime):
    """The AWS edges of a process that does nothing but answer jobs."""

    @cached_property
    def codepipeline(self) -> Any:
        """Takes the results of jobs; a result that gets lost would hang the action."""
        return aws.client("codepipeline", read_timeout_seconds=5.0, attempts=4)


class PipelineRuntime(JobRuntime):
    """The AWS edges of a process that carries out what pipelines ask."""

    @cached_property
    def connection(self) -> Connection:
        """This account and Region, as the Python API takes them."""
        return FunctionConnection(self.settings, self)

    @cached_property
    def greenlane(self) -> Greenlane:
        """The Python API: what a person's process uses, used here."""
        return Greenlane(self.connection)

    @cached_property
    def requests(self) -> Book:
        """What pipelines asked for."""
        return Book(self.connection.client("dynamodb"), self.settings.table)

    def artifacts(self, credentials: Credentials) -> Any:
        """S3 as a job's own credentials may use it: they read its artifacts and nothing else."""
        return boto3.client(
            "s3",
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            aws_session_token=credentials.session_token,
            config=Config(
                connect_timeout=2.0,
                read_timeout=10.0,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            ),
        )
