"""What a second person decides about a change that waits."""

from datetime import datetime

from greenlane.errors import ApprovalRefused, FlagConflict
from greenlane.flags.storing.proposals import Proposal
from greenlane.flags.storing.state import StoredFlags
from greenlane.flags.storing.store import FlagStore
from greenlane.flags.storing.submitting import LONGEST_WHY, Kept, check, kept, readable


def approve(store: FlagStore, id: str, *, by: str, reason: str = "", at: datetime) -> Kept:
    """Carry out a change that waits.

    Asking again for what the same person approved before changes nothing more.

    Raises:
        UnknownProposal: there is none of that id.
        ApprovalRefused: its author asks, it was decided before, or what it is based on has moved.
        InvalidDocument: with what else changed meanwhile, the flags would be wrong.
    """
    by, reason = readable(by), readable(reason)
    proposal = store.proposal(id)
    if proposal.status == "approved" and proposal.decided_by == by:
        return Kept(version=store.read().version, proposal=proposal)
    _check_waits(proposal)
    if proposal.by == by:
        raise ApprovalRefused(
            f"{id}: {by} proposed it, so somebody else has to approve it; `greenlane flags reject` "
            "takes it back"
        )
    decided = _decided(proposal, "approved", by, reason, at)

    def edit(flags: StoredFlags) -> StoredFlags:
        after = proposal.edit(flags)
        check(after)
        return after

    try:
        changed = store.change(
            edit,
            by=by,
            reason=proposal.reason
            if not reason
            else f"{proposal.reason} ({reason[:LONGEST_WHY]})".strip(),
            at=at,
            touches=proposal.based,
            approves=decided,
        )
    except FlagConflict as conflict:
        raise ApprovalRefused(
            f"{id}: it is overtaken, so propose it anew: {conflict.what} was changed by "
            f"{conflict.by or 'somebody'} in version {conflict.version}, after it was proposed"
        ) from conflict
    return kept(changed).model_copy(update={"proposal": decided})


def reject(store: FlagStore, id: str, *, by: str, reason: str = "", at: datetime) -> Proposal:
    """Close a change that waits, without it; its author may do that too.

    Raises:
        UnknownProposal: there is none of that id.
        ApprovalRefused: it was decided before.
    """
    by, reason = readable(by), readable(reason)
    proposal = store.proposal(id)
    if proposal.status == "rejected" and proposal.decided_by == by:
        return proposal
    _check_waits(proposal)
    decided = _decided(proposal, "rejected", by, reason, at)
    store.decide(decided)
    return decided


def _check_waits(proposal: Proposal) -> None:
    if proposal.status != "waiting":
        when = f" at {proposal.decided_at:%Y-%m-%d %H:%M} UTC" if proposal.decided_at else ""
        raise ApprovalRefused(
            f"{proposal.id}: {proposal.decided_by} {proposal.status} it{when}; nothing was changed"
        )


def _decided(proposal: Proposal, status: str, by: str, reason: str, at: datetime) -> Proposal:
    return proposal.model_copy(
        update={
            "status": status,
            "decided_by": by,
            "decided_at": at,
            "decided_reason": reason[:LONGEST_WHY],
        }
    )
