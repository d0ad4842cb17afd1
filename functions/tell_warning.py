"""Tell people that a warning alert is red."""

from greenlane.entrypoint import entrypoint
from greenlane.people.red_warnings import RedWarning, tell_warning
from greenlane.runtime import Runtime


@entrypoint
def handler(event: RedWarning, runtime: Runtime) -> None:
    """Called by EventBridge, by the rule of each service."""
    tell_warning(event, runtime)
