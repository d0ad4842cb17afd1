"""Tell people through the channels that a service's configuration names."""

from greenlane.entrypoint import entrypoint
from greenlane.people.delivery import Delivery
from greenlane.people.notifying import notify_people
from greenlane.runtime import Runtime


@entrypoint
def handler(delivery: Delivery, runtime: Runtime) -> None:
    """Subscribed to the topic."""
    notify_people(delivery, runtime)
