"""What replays come to: rates beside what they may be, and how far chance goes. Pure; no I/O."""

from collections.abc import Sequence

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.experiments.aa.replaying import Prepared, Replayed
from greenlane.experiments.decision import SAMPLE_RATIO_LEVEL
from greenlane.experiments.model import Experiment
from greenlane.experiments.statistics.special import beta_isf, beta_tails

UNLIKELY = 0.001
"""A rate is too high when chance alone gives one as high in fewer than so many of such reports."""

ONE_LOOK = 0.05
"""Of the p-values of a single look, and of the split."""

SHOWS = (
    "It shows whether dealing, sums, tests and bounds find nothing where nothing is, in users such "
    "as these: their skew, their ties, their rare events."
)
SHOWS_NOT = (
    "It does not show that exposures are told rightly, or that variants differ by nothing else: "
    "what is wrong with them is dealt evenly here. The replays have their users in common, so the "
    "rates are of this traffic."
)


class Rate(StoredModel):
    """How often something happened.

    Args:
        name: what.
        count: how often.
        of: in so many replays or comparisons.
        allowed: the share that it may have.
        low: of the share, with 95 percent (Clopper and Pearson).
        high: likewise.
        ok: whether chance may well give so many where no more than `allowed` is true.
    """

    name: str
    count: int
    of: int
    allowed: float
    low: float
    high: float
    ok: bool

    @property
    def rate(self) -> float:
        """The share."""
        return self.count / self.of if self.of else 0.0


class SelfTest(StoredModel):
    """What an A/A replay came to.

    Args:
        test: its name.
        source: where the users are from.
        users: how many were dealt.
        salts: how often.
        looks: of each replay.
        rates: what was found.
        recorded_split: p of the split as it really was, at any number of looks; None where the
            users are from a file.
        notes: what a reader should know.
    """

    test: str
    source: str
    users: int
    salts: int
    looks: int
    rates: tuple[Rate, ...]
    recorded_split: float | None = None
    notes: tuple[str, ...] = ()
    shows: str = SHOWS
    shows_not: str = SHOWS_NOT

    @property
    def ok(self) -> bool:
        """Whether no rate is too high, and users really came as planned."""
        split = self.recorded_split is None or self.recorded_split > SAMPLE_RATIO_LEVEL
        return split and all(rate.ok for rate in self.rates)


def judged(
    name: str,
    source: str,
    prepared: Prepared,
    replays: Sequence[Replayed],
    recorded_split: float | None = None,
) -> SelfTest:
    """Put the replays together."""
    test = prepared.test
    beyond = _beyond_their_limit(test, replays)
    notes = [*prepared.traffic.notes]
    notes += [f"these users break {name} by themselves, whatever they are dealt" for name in beyond]
    return SelfTest(
        test=name,
        source=source,
        users=len(prepared.entries),
        salts=len(replays),
        looks=len(prepared.traffic.looks),
        rates=tuple(_rates(test, replays, beyond)),
        recorded_split=recorded_split,
        notes=tuple(notes),
    )


def _rates(test: Experiment, replays: Sequence[Replayed], beyond: Sequence[str]) -> list[Rate]:
    primary = test.primary_metric.name
    level = float(test.criterion.significance_level)
    harm = float(test.guardrail_significance_level)
    total = len(replays)
    rates = [
        rate_of(
            f"{primary}: an effect at any look",
            sum(one.found for one in replays),
            total,
            level,
        ),
        rate_of(
            "called invalid: a wrong split, at any look",
            sum(one.verdict == "invalid" for one in replays),
            total,
            SAMPLE_RATIO_LEVEL,
        ),
        rate_of(
            "the split, by chi-square at the end",
            sum(one.split <= ONE_LOOK for one in replays),
            total,
            ONE_LOOK,
        ),
    ]
    guarded = [one.name for one in test.guardrail_metrics if one.name not in beyond]
    if guarded:
        stopped = sum(bool(set(one.broken) & set(guarded)) for one in replays)
        rates.append(rate_of("stopped for harm, at any look", stopped, total, harm))
    for metric in test.metrics:
        values = [value for one in replays for value in one.p_values.get(metric.name, ())]
        if values:
            found = sum(value <= ONE_LOOK for value in values)
            rates.append(rate_of(f"{metric.name}: p at one look", found, len(values), ONE_LOOK))
    return rates


def _beyond_their_limit(test: Experiment, replays: Sequence[Replayed]) -> list[str]:
    """Guardrails with a limit that most replays break: then it is the traffic, and not chance."""
    limits = [one.name for one in test.guardrail_metrics if one.margin is None]
    return [
        name for name in limits if sum(name in one.beyond for one in replays) * 2 > len(replays)
    ]


def rate_of(name: str, count: int, of: int, allowed: float) -> Rate:
    """A count beside what it may be."""
    low = 0.0 if count == 0 else beta_isf(0.025, count, of - count + 1, upper=False)
    high = 1.0 if count == of else beta_isf(0.025, count + 1, of - count, upper=True)
    # P(X >= count) of a binomial is P(Beta(count, of - count + 1) < allowed).
    as_many = 1.0
    if count:
        as_many = beta_tails(count, of - count + 1, allowed, 1 - allowed)[0]
    return Rate(
        name=name,
        count=count,
        of=of,
        allowed=allowed,
        low=low,
        high=high,
        ok=as_many >= UNLIKELY,
    )
