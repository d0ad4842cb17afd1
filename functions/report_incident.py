"""Write the report of a rollback that has ended."""

from greenlane.entrypoint import entrypoint
from greenlane.incidents.reporting import Reported, ReportEvent
from greenlane.incidents.reporting import report_incident as report
from greenlane.runtime import Runtime


@entrypoint
def handler(event: ReportEvent, runtime: Runtime) -> Reported | None:
    """One invocation."""
    return report(event, runtime)
