"""A Region's own planning asks its fence whether a rollout may still start here."""

from greenlane.deployments.model import Plan
from greenlane.errors import Refused
from greenlane.regions.coordinating.fences import Fences
from greenlane.regions.coordinating.fencing import may_run
from greenlane.runtime import Runtime


def refuse_overtaken(runtime: Runtime, plan: Plan) -> None:
    """Refuse what a coordinator started that was overtaken, or that went back meanwhile.

    It is called with the service's lease taken: either the later order is seen here, or who gave
    it sees the lease. Deployments of this Region alone have no fence to ask.

    Raises:
        Refused: it may not start here any more, or the version is another image here.
        ClientError: the table did not answer, so nobody knows.
    """
    epoch, rollout = plan.request.rollout_epoch, plan.deployment_id
    if epoch is None:
        return
    digest, image = plan.request.rollout_digest, plan.image or ""
    if digest is not None and image.partition("@")[2] != digest:
        raise Refused(
            f"image: {image} is not what other regions ship, {digest}; replicate the image, so "
            "that the version is the same everywhere"
        )
    fence = Fences(runtime.store.client, runtime.store.table).read(plan.service)
    if not may_run(fence, epoch, rollout):
        raise Refused(
            f"rollout: {rollout} at epoch {epoch} may not start here any more: the "
            f"last order is {fence.order!r} of {fence.rollout_id or 'nobody'} at epoch "
            f"{fence.epoch}; see `greenlane regions get`"
        )
