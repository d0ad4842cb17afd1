"""The fence of one Region against coordinators that were overtaken. Pure; `remote` stores it.

An item in each Region's own table of deployments, one for each service, holds the highest epoch of
any coordinator that spoke there, and the last order with the rollout it was for.
"""

from typing import Literal

from greenlane.deployments.storing.shapes import StoredModel

OrderName = Literal["claim", "go", "back"]


class Fence(StoredModel):
    """What a Region knows of coordinators.

    Args:
        epoch: the highest that spoke.
        rollout_id: of the last rollout that gave an order.
        order: its last order; a claim leaves the one before.
    """

    epoch: int = 0
    rollout_id: str = ""
    order: OrderName = "claim"

    def bars(self, rollout_id: str, epoch: int) -> bool:
        """Whether nothing of a rollout starts here any more: it went back, or a later one came."""
        if self.rollout_id != rollout_id:
            return self.rollout_id != "" and self.epoch > epoch
        return self.order == "back"


def admits(fence: Fence, order: OrderName, epoch: int, rollout_id: str) -> bool:
    """Whether a Region takes an order.

    A claim and a `go` need an epoch that is not older than the highest. A `go` is refused after
    the same rollout went back. `back` is taken from any epoch, for going back fails open; only a
    later rollout of the service is not closed by that of an earlier one.
    """
    if order == "back":
        return epoch >= fence.epoch or fence.rollout_id in ("", rollout_id)
    if epoch < fence.epoch:
        return False
    return order == "claim" or not fence.bars(rollout_id, epoch)


def after(fence: Fence, order: OrderName, epoch: int, rollout_id: str) -> Fence:
    """The fence once an order was taken; an epoch never goes down."""
    epoch = max(epoch, fence.epoch)
    if order == "claim":
        return fence.model_copy(update={"epoch": epoch})
    return Fence(epoch=epoch, rollout_id=rollout_id, order=order)


def may_run(fence: Fence, epoch: int, rollout_id: str) -> bool:
    """Whether a Region's own planning may go on with what a coordinator started.

    It is asked after the service's lease is taken. So either it sees the later order, or who gave
    that order sees the lease.
    """
    return fence.epoch == epoch and fence.order == "go" and fence.rollout_id == rollout_id


def next_epoch(above: int, *, standby: bool) -> int:
    """The next epoch of a coordinator: even ones are home's, odd ones the standby's."""
    wanted = above + 1
    return wanted if wanted % 2 == int(standby) else wanted + 1


def is_majority(took: int, regions: int) -> bool:
    """Whether so many Regions are more than half of all."""
    return 2 * took > regions
