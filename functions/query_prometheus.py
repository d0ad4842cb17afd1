"""Ask a Prometheus from inside the VPC of the workload."""

from greenlane.entrypoint import entrypoint
from greenlane.health.prometheus import Answers, Queries, query_prometheus
from greenlane.runtime import Runtime


@entrypoint
def handler(queries: Queries, runtime: Runtime) -> Answers:
    """Called by the functions that judge."""
    return query_prometheus(queries, runtime)
