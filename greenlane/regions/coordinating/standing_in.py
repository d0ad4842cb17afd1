"""How the standby takes a rollout over. Pure.

It never starts a Region: from here on the rollout is held, and goes back when a Region fails or a
person says so. Home goes on only when a person lets it, with an epoch above the standby's.
"""

from collections.abc import Iterable
from datetime import datetime

from greenlane.regions.coordinating.fencing import next_epoch
from greenlane.regions.coordinating.model import OVER, RegionSeen, Rollout


def stood_in(copy: Rollout, seen: Iterable[RegionSeen], why: str, now: datetime) -> Rollout:
    """The standby's own record of a rollout.

    Args:
        copy: the last copy that home sent; what has happened since is learnt from the Regions.
        seen: what was just seen of them, for the epochs they know.
        why: it takes over.
        now: the clock's instant.
    """
    known = [one.fence.epoch for one in seen if one.answered]
    above = max([copy.epoch, *known])
    going_back = copy.phase == "rolling_back"
    return copy.model_copy(
        update={
            "epoch": next_epoch(above, standby=True),
            "version": 0,
            "standing_in": True,
            "owner": "",
            "phase": copy.phase if going_back or copy.phase in OVER else "held",
            "held_for": "" if going_back else why,
            "updated_at": now,
        }
    )


def taken_again(record: Rollout, seen: Iterable[RegionSeen], owner: str, now: datetime) -> Rollout:
    """The record for the execution that goes on: above every epoch that the Regions know."""
    known = [one.fence.epoch for one in seen if one.answered]
    above = max([record.epoch, *known])
    return record.model_copy(
        update={
            "epoch": next_epoch(above, standby=record.standing_in),
            "owner": owner,
            "updated_at": now,
        }
    )
