"""A watch: whether anything speaks against going on, between two looks. Pure; no I/O.

It spends no alpha. That users come as planned, and that no guardrail is broken, is told by evidence
that holds at any moment, however often one asks; so a test that does harm need not wait for its
next look.
"""

from typing import Literal, cast

from greenlane.experiments.decision import harmed, wrong_split
from greenlane.experiments.looking import guardrails
from greenlane.experiments.model import Experiment
from greenlane.experiments.records import Snapshot
from greenlane.experiments.statistics.sequential import sample_ratio
from greenlane.experiments.storing.state import Watch


def watch(test: Experiment, snapshot: Snapshot) -> Watch:
    """What a moment between two looks says.

    A look at the same moment says the same of both. A guardrail with a margin is not shown to be
    kept here, which a win needs: that is for looks.
    """
    ratio = sample_ratio([epoch.as_epoch() for epoch in snapshot.epochs])
    guarded = guardrails(test, snapshot, {})
    found = wrong_split(ratio) or harmed(guarded)
    return Watch(
        at=snapshot.at,
        snapshot=snapshot,
        sample_ratio=ratio,
        guardrails=guarded,
        verdict=None if found is None else cast(Literal["invalid", "rollback"], found.verdict),
        reason=None if found is None else found.reason,
    )
