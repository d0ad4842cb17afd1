"""Expand the service's database before the first task of the new version."""

from greenlane.deployments.model import Deployment
from greenlane.entrypoint import entrypoint
from greenlane.migrations.guarding.runtime import MigrationRuntime
from greenlane.migrations.shipping.expanding import expand_database


@entrypoint
def handler(deployment: Deployment, runtime: MigrationRuntime) -> Deployment:
    """One step of the deployment's state machine, where its request names migrations."""
    return expand_database(deployment, runtime)
