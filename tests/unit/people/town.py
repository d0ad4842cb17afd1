"""A world in which people live: secrets, OpsCenter, and a server in every vendor's place."""

import io
import json
from typing import Any

from greenlane.errors import NotTold
from greenlane.people import delivery
from greenlane.people.delivery import Delivery
from greenlane.people.inside import Alerts, post_alerts
from greenlane.people.notifying import notify_people
from tests.builders import SERVICE
from tests.fakes import Spy, error
from tests.unit.people.server import Server
from tests.world import World

SECRETS = {
    f"greenlane/{SERVICE}/slack": "xoxb-1111-slack-bot-token",
    f"greenlane/{SERVICE}/pagerduty": "0123456789abcdef0123456789abcdef",
    f"greenlane/{SERVICE}/webhook": "signature-key-of-the-webhook",
}
EVERYTHING: dict[str, Any] = {
    "notifications": {
        "slack_channel": "#deployments",
        "pagerduty_integration": True,
        "opscenter": True,
        "webhook": {"url": "https://hooks.example.com/greenlane"},
    },
    "monitoring": {"alert_manager": "http://alertmanager:9093"},
}
HOSTS = {
    "slack": "slack.com",
    "pagerduty": "events.pagerduty.com",
    "webhook": "hooks.example.com",
    "alertmanager": "alertmanager",
}


class Secrets:
    """Secrets Manager."""

    def __init__(self) -> None:
        self.values = dict(SECRETS)
        self.read: list[str] = []

    def get_secret_value(self, SecretId: str) -> dict[str, Any]:  # noqa: N803
        self.read.append(SecretId)
        if SecretId not in self.values:
            raise error("ResourceNotFoundException", "GetSecretValue")
        return {"SecretString": self.values[SecretId]}


class Ops:
    """OpsCenter: one open item for each string of deduplication."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}

    def create_ops_item(self, **arguments: Any) -> dict[str, Any]:
        key = arguments["OperationalData"]["/aws/dedup"]["Value"]
        if key in self.items:
            raise error("OpsItemAlreadyExistsException", "CreateOpsItem")
        self.items[key] = arguments
        return {"OpsItemId": f"oi-{len(self.items)}"}


class Parameters:
    """SSM, with the one parameter that says how to page without the table."""

    def __init__(self) -> None:
        self.value: str | None = None

    def put_parameter(self, *, Name: str, Value: str, **_: Any) -> None:  # noqa: N803
        assert Name == "/greenlane/paging"
        self.value = Value

    def get_parameter(self, Name: str) -> dict[str, Any]:  # noqa: N803
        assert Name == "/greenlane/paging"
        if self.value is None:
            raise error("ParameterNotFound", "GetParameter")
        return {"Parameter": {"Value": self.value}}


class Relay:
    """Lambda, with the two functions that others of ours call by their names."""

    def __init__(self, town: "Town") -> None:
        self._town = town
        self.called: list[str] = []
        self.failed = False

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        self.called.append(FunctionName)
        if FunctionName == delivery.FUNCTION:
            event = Delivery.model_validate_json(Payload)
            try:
                notify_people(event, self._town.world.runtime, post=self._town.post)
            except NotTold:
                return {"FunctionError": "Unhandled", "Payload": io.BytesIO(b"{}")}
            return {"Payload": io.BytesIO(b"null")}
        if self.failed:
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(b'{"errorMessage": "x"}')}
        posted = post_alerts(
            Alerts.model_validate_json(Payload), self._town.world.runtime, post=self._town.post
        )
        return {"Payload": io.BytesIO(posted.model_dump_json().encode())}


class Town:
    """The world's runtime with the edges that tell people."""

    def __init__(self, world: World, server: Server) -> None:
        self.world, self.server, self.post = world, server, server.post
        self.secrets, self.ops, self.relay = Secrets(), Ops(), Relay(self)
        self.parameters = Parameters()
        for name, service, target in (
            ("secretsmanager", "secretsmanager", self.secrets),
            ("ssm", "ssm", self.ops),
            ("ssm_soon", "ssm", self.parameters),
            ("relay", "lambda", self.relay),
        ):
            world.runtime.__dict__[name] = Spy(world, service, target)
        server.answers["slack.com"] = (200, b'{"ok": true, "ts": "1.2"}')
        server.answers["events.pagerduty.com"] = (202, b'{"status": "success"}')

    def wants(self, **parts: Any) -> None:
        """Configure the service; by default every channel."""
        self.world.configure(**(parts or EVERYTHING))

    def notify(self, publication: dict[str, Any]) -> None:
        """Deliver what was published to the function, as SNS does."""
        # Lines of the history are in the order of their instants.
        self.world.clock.advance(milliseconds=1)
        parts = json.loads(publication["Message"])
        self._deliver(publication["Subject"], parts["lambda"])

    def _deliver(self, subject: str, message: str) -> None:
        notification = {
            "Type": "Notification",
            "MessageId": "00000000-0000-0000-0000-000000000000",
            "TopicArn": self.world.runtime.settings.topic_arn,
            "Timestamp": self.world.clock.now().isoformat(),
            "Subject": subject,
            "Message": message,
        }
        event = {"Records": [{"EventSource": "aws:sns", "Sns": notification}]}
        notify_people(Delivery.model_validate(event), self.world.runtime, post=self.post)

    def ring(
        self, name: str, state: str = "ALARM", at: str = "2026-11-23T12:00:00.000+0000"
    ) -> None:
        """Deliver what CloudWatch publishes for an alarm."""
        message = {
            "AlarmName": name,
            "AlarmDescription": "look at the log group",
            "AWSAccountId": "123456789012",
            "NewStateValue": state,
            "NewStateReason": "Threshold Crossed: 3 datapoints were above 1",
            "StateChangeTime": at,
            "Region": "EU (Ireland)",
            "OldStateValue": "OK",
            "Trigger": {"MetricName": "Errors"},
        }
        self._deliver(f'{state}: "{name}" in EU (Ireland)', json.dumps(message))

    def notify_all(self) -> None:
        """Deliver everything that was told so far, and not yet delivered."""
        while self.world.topic.published:
            self.notify(self.world.topic.published.pop(0))

    def outcomes(self) -> dict[str, str]:
        """The latest outcome of each channel, from the history of the deployment."""
        return {
            event.detail["channel"]: event.detail["outcome"]
            for event in self.world.store.history("d-1")
            if event.kind == "told"
        }
