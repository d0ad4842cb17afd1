"""A/B tests as they are stored: what people wrote, and what became of it.

A test's `definition` stands still from its start on, so that every look can be decided again to
the bit. What may change while it runs is kept beside it: the weights, in epochs, and how many of
the eligible take part.
"""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, PlainSerializer

from greenlane.deployments.storing.shapes import OnceWhy, StoredModel
from greenlane.deployments.storing.stored import as_stored
from greenlane.experiments.assignment import Slice
from greenlane.experiments.model import Experiment, ExperimentsDocument, Holdout, Layer, Ramp
from greenlane.experiments.records import Guarded, Reason, Snapshot
from greenlane.experiments.statistics.sequential import SampleRatio
from greenlane.flags.definitions.model import Condition, ConditionShape
from greenlane.flags.storing.state import as_written

Status = Literal["draft", "running", "concluded"]

Ending = Literal["ship", "futile", "inconclusive", "invalid", "rollback", "stopped"]
"""How a test ended: by the verdict of a look or a watch, or `stopped` by a person."""

Consequence = Literal["flag", "report", "news"]
"""What follows from an end: the winning flag is ramped, the report written, people told."""

CONSEQUENCES: tuple[Consequence, ...] = ("flag", "report", "news")

SHARDS = 8
"""Of a test's counters, unless another number is chosen at its start."""

StoredCondition = Annotated[Condition, as_stored(ConditionShape), PlainSerializer(as_written)]
StoredRamp = Annotated[Ramp, as_stored(Ramp), PlainSerializer(as_written)]


class StoredEpoch(StoredModel):
    """Between two changes of weights.

    Args:
        number: 0 for the weights of the start.
        since: when they began to hold.
        weights: percent by variant.
        slices: which buckets have which variant; see `greenlane.experiments.assignment`.
    """

    number: int
    since: datetime
    weights: dict[str, Decimal]
    slices: tuple[Slice, ...]

    def planned(self) -> dict[str, int]:
        """Buckets of each variant, those without users included."""
        found = dict.fromkeys(self.weights, 0)
        for start, end, variant in self.slices:
            found[variant] = found.get(variant, 0) + end - start
        return found


class Part(StoredModel):
    """A holdout, or a place in a layer, as a test found it at its start, and keeps it.

    Buckets from `start` up to, not including, `end` are kept out (a holdout) or may take part (a
    layer); `salt` is whole, with its kind: `holdout:quarter`.
    """

    name: str
    salt: str
    start: int
    end: int


class StoredTest(StoredModel):
    """One A/B test.

    Args:
        name: its own.
        definition: what people wrote, as it was at the start.
        status: see the module.
        run: 1; one more each time that it is begun again.
        salt: what its buckets are made with, in this run.
        past_salts: of earlier runs, which no test may use again.
        shards: of its counters.
        conditions: segments of the file that its own conditions use, as they were written with it.
        holdouts: who is kept out, from the start on.
        layer: whose users it has, from the start on.
        traffic: percent of the eligible, now.
        ramp: how they come in, now.
        started_at: aware; None for a draft.
        ended_at: aware; None before the end.
        ended_by: who ended it; what follows from the end is written by Greenlane.
        epochs: oldest first; none before the start.
        verdict: how it ended.
        serve: the variant that everybody who is eligible has after the end; the control otherwise.
        reason: of the end, in words.
        execution: the workflow's ARN that looks after it.
        settled: what follows from an end, and the last run of which it was done.
        version: how often it was changed; the audit has an entry for each.
        by: who changed it last.
        at: when.
        change_reason: in their words.
    """

    name: str
    definition: Annotated[Experiment, as_stored(Experiment), PlainSerializer(as_written)]
    status: Status = "draft"
    run: int = 1
    salt: str
    past_salts: tuple[str, ...] = ()
    shards: int = SHARDS
    conditions: dict[str, StoredCondition] = Field(default_factory=dict)
    holdouts: tuple[Part, ...] = ()
    layer: Part | None = None
    traffic: Decimal = Decimal(100)
    ramp: StoredRamp | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str = ""
    epochs: tuple[StoredEpoch, ...] = ()
    verdict: Ending | None = None
    serve: str | None = None
    reason: str = ""
    execution: str | None = None
    settled: dict[Consequence, int] = Field(default_factory=dict)
    version: int = 0
    by: str = ""
    at: datetime | None = None
    change_reason: str = Field("", validation_alias=AliasChoices("change_reason", "why"))

    @property
    def control(self) -> str:
        """The variant of those who take no part."""
        return self.definition.control_variant

    @property
    def served(self) -> str:
        """What those who are eligible have while nobody is assigned: the winner after a ship."""
        return self.serve if self.status == "concluded" and self.serve else self.control

    def as_it_is(self) -> Experiment:
        """The definition with the weights, the traffic and the ramp of now, as a file has it."""
        if not self.epochs:
            return self.definition
        now = {"variants": self.epochs[-1].weights, "traffic": self.traffic, "ramp": self.ramp}
        # Only what differs, so that keys nobody wrote stay unwritten.
        changed = {key: part for key, part in now.items() if part != getattr(self.definition, key)}
        return self.definition.model_copy(update=changed)


class SharedParts(StoredModel):
    """What several tests share; a test that started keeps what it found.

    `version` is how often it was changed.
    """

    version: int = 0
    layers: dict[str, Annotated[Layer, as_stored(Layer), PlainSerializer(as_written)]] = Field(
        default_factory=dict
    )
    holdouts: dict[str, Annotated[Holdout, as_stored(Holdout), PlainSerializer(as_written)]] = (
        Field(default_factory=dict)
    )


def owed(test: StoredTest) -> tuple[Consequence, ...]:
    """What is still to be done after a test's end; nothing of a test that never ran."""
    if test.status != "concluded" or test.started_at is None:
        return ()
    return tuple(one for one in CONSEQUENCES if test.settled.get(one, 0) < test.run)


class StoredTests(StoredModel):
    """All tests of an account, at one version: each change of any of them raises it by one."""

    version: int = 0
    tests: dict[str, StoredTest] = Field(default_factory=dict)
    shared: SharedParts = SharedParts()

    def with_test(self, test: StoredTest) -> "StoredTests":
        """The same set with one test put."""
        return self.model_copy(update={"tests": {**self.tests, test.name: test}})

    def document(self, last: Collection[str] = ()) -> ExperimentsDocument:
        """The drafts and the running ones, as one file would have them.

        Args:
            last: tests that come after all others: what two of them cannot share is told of the
                later one.
        """
        ordered = sorted(self.tests.values(), key=lambda test: test.name in last)
        going = [test for test in ordered if test.status != "concluded"]
        return ExperimentsDocument(
            ab_tests={test.name: test.as_it_is() for test in going},
            layers=self.shared.layers,
            holdouts=self.shared.holdouts,
            segments={name: one for test in going for name, one in test.conditions.items()},
        )


class Watch(StoredModel):
    """What was seen between two looks: whether users came as planned, and whether there is harm.

    It spends no alpha: both rest on evidence that holds at any moment.

    Args:
        at: when.
        snapshot: what it was seen in.
        sample_ratio: see `greenlane.experiments.records.Look`.
        guardrails: likewise.
        verdict: `invalid` or `rollback`; None while nothing speaks against going on.
        reason: of the verdict.
    """

    at: datetime
    snapshot: Snapshot
    sample_ratio: SampleRatio
    guardrails: tuple[Guarded, ...] = ()
    verdict: Literal["invalid", "rollback"] | None = None
    reason: Reason | None = None


class AuditedChange(StoredModel):
    """Who changed a test, and how: all of it before and after, as JSON; None is "not there".

    `id` is of the request that wrote it, `version` the test's with that change.
    """

    version: int
    id: str
    at: datetime
    by: str
    reason: OnceWhy = ""
    before: Any = None
    after: Any = None
