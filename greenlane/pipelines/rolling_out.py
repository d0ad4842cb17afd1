"""A deployment through several Regions, for a pipeline in their home."""

from greenlane.deployments.client import Greenlane
from greenlane.pipelines.book import End, EndName, Entry
from greenlane.pipelines.model import RolloutAsked
from greenlane.pipelines.seen import Seen
from greenlane.regions.coordinating.model import Phase, Rollout
from greenlane.regions.coordinating.requesting import RegionalRollouts

_ENDS: dict[Phase, EndName] = {
    "watching": "succeeded",
    "succeeded": "succeeded",
    "rolled_back": "rolled_back",
    "partial": "held",
}


def begin_rollout(greenlane: Greenlane, asked: RolloutAsked, entry: Entry) -> None:
    """Begin it, as `greenlane regions deploy` does; repeating it begins nothing more.

    Raises:
        InvalidInput, Refused: it cannot be; nothing was changed.
    """
    regional = RegionalRollouts(greenlane.connection)
    named = {"deployment_id": entry.subject_id, "requested_by": entry.requested_by}
    regional.deploy(
        asked.source,
        asked.request.model_copy(update=named),
        kind=asked.kind,
        policy=asked.policy,
        despite_hold=asked.despite_hold,
        name=asked.name,
    )


def look_at_rollout(greenlane: Greenlane, entry: Entry) -> Seen:
    """Where it stands."""
    regional = RegionalRollouts(greenlane.connection)
    record = regional.get(entry.name).record
    if record.rollout_id != entry.subject_id:
        reason = f"{record.rollout_id} began since; `greenlane regions get {entry.name}` shows it"
        return Seen(End(name="failed", reason=reason))
    done = record.named("succeeded")
    percent = 100 * len(done) // max(len(record.regions), 1)
    said = (
        f"{record.phase.replace('_', ' ')}: {len(done)} of {len(record.regions)} Regions are baked"
    )
    if record.blocked:
        said += f"; waits: {record.blocked}"
    name = _ENDS.get(record.phase)
    return Seen(None, percent, said) if name is None else Seen(_end(record, name), 100, said)


def _end(record: Rollout, name: EndName) -> End:
    outputs = {
        "rollout_id": record.rollout_id,
        "service": record.service,
        "outcome": name,
        "region": record.home,
        "regions": ",".join(record.regions),
    }
    if record.request.version is not None:
        outputs["version"] = record.request.version
    return End(name=name, reason=record.cause, outputs=outputs)


def abort_rollout(greenlane: Greenlane, entry: Entry) -> str:
    """Have every touched Region go back while the rollout is under way."""
    regional = RegionalRollouts(greenlane.connection)
    kept = regional.rollouts.kept(entry.name)
    if kept is None or kept.record.rollout_id != entry.subject_id:
        return "it was never begun, or was over"
    if kept.record.phase not in ("advancing", "held"):
        return f"it is {kept.record.phase.replace('_', ' ')}; it stays"
    regional.rollback(entry.name, by=f"pipeline {entry.execution}", reason=entry.stopped)
    return "it is aborted: every touched Region goes back"
