"""Post alerts to an Alertmanager from inside the VPC of the workload."""

from greenlane.entrypoint import entrypoint
from greenlane.people.inside import Alerts, Posted, post_alerts
from greenlane.runtime import Runtime


@entrypoint
def handler(alerts: Alerts, runtime: Runtime) -> Posted:
    """Called by `notify_people`."""
    return post_alerts(alerts, runtime)
