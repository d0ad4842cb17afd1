"""Changes of feature flags and A/B tests, for a pipeline: what is done at once."""

from greenlane.deployments.client import Greenlane
from greenlane.experiments.storing.keeping import start as start_test
from greenlane.experiments.storing.keeping import stop as stop_test
from greenlane.experiments.storing.state import SHARDS
from greenlane.flags.storing.keeping import disable, enable, set_keys, start_ramp
from greenlane.flags.storing.submitting import Kept
from greenlane.pipelines.book import End, Entry
from greenlane.pipelines.model import ExperimentAsked, FlagAsked


def change_flag(greenlane: Greenlane, asked: FlagAsked, entry: Entry) -> End:
    """Change a flag as `greenlane flags` does; the same change again changes nothing.

    Raises:
        InvalidInput, Refused: it cannot be; nothing was changed.
    """
    by, at = _by(entry), greenlane.connection.clock.now()
    store, key, where, reason = greenlane.flags, asked.key, asked.environment, asked.reason
    if asked.ramp is not None and where is not None:
        ramp = asked.ramp
        kept = start_ramp(
            store, key, where, ramp.to, ramp.increment, ramp.interval, by, at=at, reason=reason
        )
    elif asked.set is not None:
        kept = set_keys(store, key, asked.set, environment=where, by=by, reason=reason, at=at)
    elif asked.enabled:
        kept = enable(store, key, where, by=by, reason=reason, at=at)
    else:
        kept = disable(store, key, where, by=by, reason=reason, at=at)
    return _kept(key, kept)


def _kept(key: str, kept: Kept) -> End:
    outputs = {
        "flag": key,
        "version": str(kept.version),
        "changed": "true" if kept.changed else "false",
    }
    if kept.proposal is None:
        return End(name="succeeded", outputs=outputs | {"outcome": "succeeded"})
    proposal = kept.proposal.id
    reason = (
        f"a second person has to approve it: `greenlane flags approve {proposal}`; then retry the "
        "stage"
    )
    return End(name="held", reason=reason, outputs=outputs | {"proposal": proposal})


def change_experiment(greenlane: Greenlane, asked: ExperimentAsked, entry: Entry) -> End:
    """Begin or stop an A/B test as `greenlane experiments` does; again changes nothing.

    Raises:
        InvalidInput, Refused: it cannot be; nothing was changed.
    """
    by, at, store = _by(entry), greenlane.connection.clock.now(), greenlane.experiments
    name, reason = asked.name, asked.reason
    if asked.to == "start":
        test = start_test(store, name, by=by, reason=reason, at=at, shards=SHARDS)
    else:
        test = stop_test(store, name, by=by, reason=reason, at=at, serve=asked.serve)
    outputs = {"ab_test": name, "run": str(test.run), "status": test.status}
    return End(name="succeeded", outputs=outputs | {"outcome": "succeeded"})


def _by(entry: Entry) -> str:
    """Who is in the audit: not whom the request names, for approvals rely on it."""
    return f"pipeline {entry.execution}"
