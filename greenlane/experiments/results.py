"""What a test says now: users, effects, guardrails, and what the decision would be.

Nothing is kept and no alpha is spent: the looks that count are the workflow's. Of a segment there
is no decision; its intervals hold whenever and however often one looks, and are wider for that.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.errors import InvalidInput
from greenlane.experiments.counting.reading import Counted, counted, snapshot_of
from greenlane.experiments.counting.sums import BEFORE_EXPOSURE
from greenlane.experiments.decision import decide
from greenlane.experiments.records import (
    ENDS,
    Guarded,
    HonestEffect,
    Look,
    Reason,
    Verdict,
)
from greenlane.experiments.statistics.effects import Effect
from greenlane.experiments.storing.state import Ending, Status, StoredTest
from greenlane.experiments.storing.store import ExperimentStore
from greenlane.problems import suggest


class Split(StoredModel):
    """Whether users came as planned; see `sequential.SampleRatio`."""

    log_e: float
    p_value: float
    chi_square_p: float


class Results(StoredModel):
    """What is known of a run.

    Args:
        test: its name.
        run: which; 1 is the first.
        status: of the test.
        ending: how it ended, where it did.
        at: when this was counted, aware.
        started: when it began, aware.
        segment: whose numbers these are; None is everybody.
        primary: the metric that decides.
        control: what the others are compared with.
        users: exposed, by variant.
        crossovers: users who were seen with two variants, and count no more.
        before_exposure: events from before their user's exposure, which are in no sum; None of a
            segment.
        sample_ratio: whether users came as planned.
        effects: by metric and treatment.
        guardrails: each of each treatment.
        verdict: what a look would decide now; None of a segment.
        reason: why.
        stop: whether that would end the test.
        honest: the effect without the luck of the moment, at an end.
        look: the number of the kept look that this is; None when it was taken for this answer.
        notes: what a reader should know.
    """

    test: str
    run: int
    status: Status
    ending: Ending | None = None
    at: datetime
    started: datetime
    segment: str | None = None
    primary: str
    control: str
    users: dict[str, int]
    crossovers: int = 0
    before_exposure: int | None = None
    sample_ratio: Split
    effects: dict[str, dict[str, Effect]]
    guardrails: tuple[Guarded, ...] = ()
    verdict: Verdict | None = None
    reason: Reason | None = None
    stop: bool = False
    honest: HonestEffect | None = None
    look: int | None = None
    notes: tuple[str, ...] = Field(())


def results(
    store: ExperimentStore,
    client: Any,
    table: str,
    name: str,
    *,
    at: datetime,
    segment: str | None = None,
) -> Results:
    """What a test says now; of one that ended by a look, what that look said.

    Args:
        store: where tests are kept.
        client: a boto3 `dynamodb` client.
        table: the table of A/B tests.
        name: the test.
        at: when this is.
        segment: of these users alone.

    Raises:
        UnknownTest: there is none of that name.
        InvalidInput: it never ran, or declares no such segment.
    """
    test = store.test(name)
    if test.started_at is None:
        way_out = f"it is a draft and counts nothing; `greenlane experiments start {name}`"
        if test.status == "concluded":
            way_out = "it ended as a draft and never ran, so nothing was counted"
        raise InvalidInput("experiment", name, way_out)
    if segment is not None:
        known = _known(test, segment)
        return _of_segment(test, counted(client, table, test), known, at)
    looks, counts = store.looks(name, test.run), counted(client, table, test)
    early = sum(numbers.get(BEFORE_EXPOSURE, 0) for numbers in counts.values())
    if looks and (looks[-1].verdict in ENDS or looks[-1].final):
        return _told(test, looks[-1], kept=True, early=early)
    look = decide(test.definition, snapshot_of(test, counts, _moment(test, at, looks)), looks)
    return _told(test, look, kept=False, early=early)


def _moment(test: StoredTest, at: datetime, looks: Sequence[Look]) -> datetime:
    """The end of a test that ended; never before its last look, by whose clock ever."""
    end = test.ended_at if test.status == "concluded" and test.ended_at is not None else at
    return max([end, *(look.snapshot.at for look in looks[-1:])])


def _of_segment(test: StoredTest, counts: Counted, segment: str, at: datetime) -> Results:
    # As if it had no end: such intervals are good at any moment.
    endless = {"maximum_duration": None}
    snapshot = snapshot_of(test, counts, _moment(test, at, ()), segment)
    look = decide(test.definition.model_copy(update=endless), snapshot)
    told = _told(test, look, kept=False, early=None)
    nothing = {"verdict": None, "reason": None, "stop": False, "honest": None}
    note = "of one segment among all: it decides nothing, and some segment always looks different"
    return told.model_copy(
        update={**nothing, "segment": segment, "notes": (note, *told.notes)},
    )


def _told(test: StoredTest, look: Look, *, kept: bool, early: int | None) -> Results:
    snapshot = look.snapshot
    return Results(
        test=test.name,
        run=test.run,
        status=test.status,
        ending=test.verdict,
        at=snapshot.at,
        started=snapshot.started,
        primary=test.definition.primary_metric.name,
        control=test.control,
        users={variant: snapshot.users(variant) for variant in test.definition.variants},
        crossovers=snapshot.crossovers,
        before_exposure=early,
        sample_ratio=Split(**look.sample_ratio._asdict()),
        effects=look.effects,
        guardrails=look.guardrails,
        verdict=look.verdict,
        reason=look.reason,
        stop=look.verdict in ENDS,
        honest=look.honest,
        look=look.number if kept else None,
        notes=look.notes,
    )


def _known(test: StoredTest, segment: str) -> str:
    declared = list(test.definition.segments)
    if segment in declared:
        return segment
    if not declared:
        raise InvalidInput("segment", segment, "the test declares no segments; leave it out")
    near = suggest(segment, declared)
    raise InvalidInput("segment", segment, f"the test declares {', '.join(declared)}{near}")
