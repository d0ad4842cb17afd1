"""The edges of each function in an account, as the template and `Runtime` make them."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from greenlane.deployments.storing.store import DynamoStore
from greenlane.runtime import Runtime, Settings
from tests.fakes import STATES
from tests.faults.deliveries import TOPIC
from tests.faults.edge import Edge
from tests.faults.outside import Inspector, Logs, Registry, Secrets

if TYPE_CHECKING:
    from tests.faults.account import Account

TABLE = "greenlane-deployments"


_SERVICES = {
    "autoscaling": "application-autoscaling",
    "functions": "lambda",
    "parameters": "ssm",
    "relay": "lambda",
    "store": "dynamodb",
}
"""What boto3 calls the service of a client of `Runtime`; any other has the client's own name."""


# All of them: one that is left out would reach for the network.
_CLIENTS = tuple(key for key, value in vars(Runtime).items() if isinstance(value, cached_property))

LIMITED = frozenset({"elbv2", "ecs"})
"""The services whose calls an account may make only so many of."""


def runtime_of(account: "Account", actor: str) -> Runtime:
    """What `greenlane.entrypoint` gives to a function's handler."""
    settings = Settings(
        table=TABLE,
        topic_arn=TOPIC,
        deployment_machine_arn=f"{STATES}:stateMachine:greenlane-deployment",
        rollback_machine_arn=f"{STATES}:stateMachine:greenlane-rollback",
        incidents_bucket="greenlane-incidents",
    )
    made = Runtime(settings=settings, actor=actor, clock=account.kernel)
    answers: dict[str, Any] = {
        "store": account.table,
        "elbv2": account.balancer,
        "ecs": account.fleet,
        "cloudwatch": account.watch,
        "autoscaling": account.scaling,
        "stepfunctions": account.stepfunctions,
        "sns": account.topic,
        "s3": account.bucket,
        "logs": Logs(),
        "ecr": Registry(account.kernel),
        "inspector2": Inspector(),
        "ssm": account.systems,
        "parameters": account.systems,
        "secretsmanager": Secrets(),
        "relay": account.relay,
        "functions": account.hooks,
    }
    for name in _CLIENTS:
        kind = name.removeprefix("hasty_").partition("_")[0]
        service = _SERVICES.get(kind, kind)
        answering = answers.get(kind)  # nothing, for what no run calls
        if account.buckets is not None and service in LIMITED:
            answering = account.buckets.over(service, name, answering)
        edge = Edge(
            account.kernel,
            account.faults,
            actor,
            name,
            service,
            answering,
            account.looked,
        )
        made.__dict__[name] = DynamoStore(edge, TABLE) if kind == "store" else edge
    return made
