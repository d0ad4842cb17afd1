"""A town of Regions as a person reaches it: through the clients of its home."""

from greenlane.deployments.storing.store import DynamoStore
from tests.fakes import error
from tests.town_region import HOME, TABLE, machine


class TownConnection:
    """The home Region of a town, as the command line reaches it with the credentials of Jo.

    Args:
        town: with its own clock.
    """

    principal = "arn:jo"

    def __init__(self, town):
        self.town, self.clock, self.region = town, town.kernel, HOME
        self.installed = True

    def client(self, name):
        return self.town.regions[HOME].table if name == "dynamodb" else self

    def arn(self, kind, name):
        assert (kind, name) == ("stateMachine", "greenlane-regions")
        return machine(HOME, "regions")

    def describe_state_machine(self, stateMachineArn):  # noqa: N803
        if not self.installed:
            raise error("StateMachineDoesNotExist")
        return {"stateMachineArn": stateMachineArn}

    def start_execution(self, **arguments):
        return self.town.home.start_execution(**arguments)

    def send_task_success(self, **arguments):
        return self.town.home.send_task_success(**arguments)

    @property
    def store(self):
        return DynamoStore(self.town.regions[HOME].table, TABLE)
