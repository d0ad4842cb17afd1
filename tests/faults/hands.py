"""What people do to the account behind Greenlane's back, and who wrote the rule last."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tests.builders import GROUPS, RULE_ARN

if TYPE_CHECKING:
    from tests.faults.account import Account

PERSON = "person"


class Hands:
    """A person with the console.

    Args:
        account: whose rule and services they change.
    """

    def __init__(self, account: "Account") -> None:
        self._account = account
        self.wrote_at: float | None = None
        self.resized: set[str] = set()

    def write_weights(self, weights: Mapping[str, int]) -> None:
        """Change the rule's weights; its stickiness goes with that."""
        groups = [{"TargetGroupArn": GROUPS[slot], "Weight": weights[slot]} for slot in GROUPS]
        action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
        self._account.balancer.modify_rule(RuleArn=RULE_ARN, Actions=[action])
        self.wrote_at = self._account.kernel.seconds
        self._account.looked(PERSON, "modify_rule", self._account.kernel.seconds)

    def resize(self, slot: str, tasks: int) -> None:
        """Set a slot's desired count, whatever it serves."""
        self.resized.add(slot)
        self._account.fleet.resize_by_hand(slot, tasks)
