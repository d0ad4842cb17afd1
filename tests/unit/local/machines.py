"""State machines of the tests, and the functions that they call."""

import json
from typing import Any

from greenlane.local.cloud import LocalCloud

ROLE = "arn:aws:iam::123456789012:role/local"
CALLBACK = "arn:aws:states:::lambda:invoke.waitForTaskToken"
KEEP_TOKEN = """
import boto3
def handler(event, context):
    boto3.client("ssm").put_parameter(
        Name=event["key"], Value=event["token"], Type="String", Overwrite=True)
"""


class Machines:
    """Starts machines and waits for them."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.cloud: LocalCloud = account.cloud
        self.sfn = account.client("stepfunctions")
        self.keep = account.function("keep-token", KEEP_TOKEN)
        self.count = 0

    def create(self, states: dict[str, Any], **more: Any) -> str:
        self.count += 1
        definition = {"StartAt": next(iter(states)), "States": states, **more}
        return str(
            self.sfn.create_state_machine(
                name=f"machine-{self.count}", roleArn=ROLE, definition=json.dumps(definition)
            )["stateMachineArn"]
        )

    def start(self, states: dict[str, Any], given: Any = None, **more: Any) -> str:
        machine = self.create(states, **more)
        return str(
            self.sfn.start_execution(stateMachineArn=machine, input=json.dumps(given or {}))[
                "executionArn"
            ]
        )

    def ended(self, execution: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.sfn.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else found

        found: dict[str, Any] = self.account.wait_until(look)
        return found

    def callback(self, key: str, **more: Any) -> dict[str, Any]:
        """A callback task that leaves its token in the parameter `key`."""
        parameters = {
            "FunctionName": self.keep,
            "Payload": {"key": key, "token.$": "$$.Task.Token"},
        }
        return {
            "Type": "Task",
            "Resource": CALLBACK,
            "Parameters": parameters,
            "End": True,
            **more,
        }

    def parameter(self, name: str) -> str:
        """The value of an SSM parameter, or nothing."""
        found = self.account.client("ssm").get_parameters(Names=[name])["Parameters"]
        return str(found[0]["Value"]) if found else ""

    def token(self, key: str, after: str = "") -> str:
        def look() -> str | None:
            value = self.parameter(key)
            return value if value != after else None

        return str(self.account.wait_until(look))


LONG_WAIT = {"Wait": {"Type": "Wait", "Seconds": 36000, "End": True}}
