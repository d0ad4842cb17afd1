"""What the local cloud says about permissions: nothing, and that in so many words.

It enforces none, so an answer of IAM's simulator, which moto lacks, would be made up.
"""

from typing import Any, NoReturn

from moto.iam.responses import IamResponse

from greenlane.local.operations import AwsError, Operations, Parameters

GLOBAL_REGIONS = ("us-east-1", "global", "aws-global")
"""What moto may take the Region of a call to IAM for, besides the caller's own."""


class Permissions:
    """Answers for IAM's simulator.

    Args:
        region: the cloud's.
    """

    def __init__(self, region: str) -> None:
        """See the class."""
        self._operations = [
            Operations(IamResponse, one) for one in dict.fromkeys((region, *GLOBAL_REGIONS))
        ]

    def start(self) -> None:
        """Begin to answer."""
        for operations in self._operations:
            operations.answer("SimulatePrincipalPolicy", _unknown)

    def stop(self) -> None:
        """Give moto its own back."""
        for operations in self._operations:
            operations.restore()


def _unknown(parameters: Parameters) -> NoReturn:
    asked: Any = parameters.get("PolicySourceArn", "anybody")
    raise AwsError("InvalidInput", f"The local cloud does not know what a role may do: {asked}")
