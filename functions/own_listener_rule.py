"""Create the production rule once, for CloudFormation, and never write its actions again."""

from typing import Any

from greenlane.workload_rule import answer_cloudformation


def handler(event: dict[str, Any], context: object) -> None:
    """Serve one request of the custom resource `Custom::ListenerRule`.

    Without the decorator of the other functions: nothing may fail before the answer is sent.
    """
    answer_cloudformation(event)
