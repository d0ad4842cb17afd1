"""Start the way back for alarms' own actions, SNS messages, ECS failures and Alertmanager."""

from greenlane.entrypoint import entrypoint
from greenlane.rollback.triggers import TriggerDocument, Triggered, start_rollbacks
from greenlane.runtime import Runtime


@entrypoint
def handler(event: TriggerDocument, runtime: Runtime) -> Triggered:
    """Called by CloudWatch alarms, by SNS and by EventBridge."""
    return start_rollbacks(event, runtime)
