"""Deploying through several Regions in one call that waits for the end.

>>> MultiRegionDeployment("claude-manager", Path("multi-region.yaml")).deploy_globally("1.4.2")
True

The rollout runs in AWS, and goes on there if this process ends.
"""

import json
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

from greenlane.deployments.connection import Connection
from greenlane.deployments.model import DeploymentRequest
from greenlane.errors import InvalidInput
from greenlane.problems import suggest
from greenlane.regions.coordinating.model import FREE
from greenlane.regions.coordinating.requesting import RegionalRollouts
from greenlane.regions.declaring.model import Type

STRATEGIES: tuple[Type, ...] = ("rolling", "blue_green", "canary")

GOOD = ("watching", "succeeded")
"""The phases of a rollout that is baked everywhere."""


class MultiRegionDeployment:
    """Rollouts of one service through several Regions.

    Args:
        service: its name, as it was applied in each Region.
        regions: a file of Regions, or their names in the order that they are deployed to; None for
            the file that was applied for the service.
        connection: to the home Region, where the coordinator is.
        by: who is recorded as having asked.
    """

    def __init__(
        self,
        service: str,
        regions: Path | Sequence[str] | None,
        connection: Connection,
        *,
        by: str = "python",
    ) -> None:
        """See the class."""
        self.service = service
        self.source = _source_of(regions)
        self.rollouts = RegionalRollouts(connection)
        self.by = by

    def deploy_globally(
        self,
        version: str,
        strategy: str = "rolling",
        *,
        poll_seconds: float = 15.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> bool:
        """Deploy a version everywhere and wait until it is baked everywhere, or went back.

        Args:
            version: a tag in the service's repository.
            strategy: `rolling`, `blue_green` or `canary`.
            poll_seconds: between two reads of the record, in real seconds.
            sleep: waits so long.

        Raises:
            InvalidInput: there is no such strategy, or no plan can be made.
            Refused: this version went back before, no coordinator is installed here, or no regions
                were given and none applied.
            DeploymentInFlight: another rollout of the service is under way.
        """
        kind = next((one for one in STRATEGIES if one == strategy), None)
        if kind is None:
            known = f"use {', '.join(STRATEGIES)}{suggest(strategy, STRATEGIES)}"
            raise InvalidInput("strategy", strategy, known)
        request = DeploymentRequest(service=self.service, version=version, requested_by=self.by)
        begun = self.rollouts.deploy(self.source, request, kind=kind)
        while True:
            record = self.rollouts.get(self.service).record
            if record.rollout_id != begun.rollout_id:  # another one began since it ended
                return self.rollouts.ended_as(begun.rollout_id) in GOOD
            if record.phase in FREE:
                return record.phase in GOOD
            sleep(poll_seconds)


def _source_of(regions: Path | Sequence[str] | None) -> str | None:
    if regions is None:
        return None
    return regions.read_text() if isinstance(regions, Path) else listed(regions)


def listed(regions: Sequence[str]) -> str:
    """A file of Regions that go one after the other in the order of their names' list.

    Each is taken to have the same share of the traffic.
    """
    share = (Decimal(100) / max(len(regions), 1)).quantize(Decimal("0.01"))
    return json.dumps(
        {
            "regions": {
                name: {
                    "priority": 10 * (number + 1),
                    "traffic_percentage": float(share),
                    "primary": number == len(regions) - 1,
                }
                for number, name in enumerate(regions)
            }
        }
    )
