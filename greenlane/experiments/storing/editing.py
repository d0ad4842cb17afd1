"""What a change makes of one test. Pure; no I/O, no clock."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from greenlane.errors import InvalidInput, Refused
from greenlane.experiments.assignment import (
    allocation_of,
    buckets_of,
    level_of,
    reallocated,
)
from greenlane.experiments.model import Experiment, Layer, Ramp
from greenlane.experiments.storing.look_sizes import looks_fit
from greenlane.experiments.storing.state import (
    Ending,
    Part,
    SharedParts,
    StoredEpoch,
    StoredTest,
)
from greenlane.flags.definitions.compiling import segments_of
from greenlane.flags.definitions.model import Condition
from greenlane.flags.storing.state import as_written, same
from greenlane.problems import excerpt, suggest

MOST_EPOCHS = 50
"""Of one run: each has counters of its own."""

MOST_SHARDS = 64

Conditions = Mapping[str, Condition]

_MAY_CHANGE = frozenset({"variants", "traffic", "ramp"})


def placed(
    before: StoredTest | None,
    name: str,
    definition: Experiment,
    conditions: Conditions,
    *,
    at: datetime,
    again: bool = False,
) -> StoredTest:
    """A test with what a file says of it.

    Args:
        before: what is stored; None if nothing is.
        name: its own.
        definition: what the file says.
        conditions: the file's segments.
        at: when.
        again: begin a concluded test anew when the file says something else.

    Raises:
        Refused: it runs or is concluded, and may not change so.
    """
    used = _used(definition, conditions)
    if before is None:
        return StoredTest(
            name=name, definition=definition, salt=definition.salt or name, conditions=used
        )
    if before.status == "running":
        return _while_it_runs(before, definition, used, at)
    if before.status == "draft":
        return before.model_copy(
            update={
                "definition": definition,
                "conditions": used,
                "salt": _salt(name, definition, before.run, before.past_salts),
            }
        )
    if is_the_same(before, definition, used):
        return before
    if not again:
        raise Refused(
            f"{name}: it ended ({before.verdict}) and serves {before.served}; to begin it again "
            "with another definition, which deals all users anew, say so (`--again`)"
        )
    return begun_again(before, definition, used)


def is_the_same(test: StoredTest, definition: Experiment, used: Conditions) -> bool:
    """Whether a file says of a test what it is now, or what it was at its start."""
    conditions = _plain(used) == _plain(test.conditions)
    return conditions and definition in (test.as_it_is(), test.definition)


def _used(definition: Experiment, conditions: Conditions) -> dict[str, Condition]:
    """The named segments that a test's conditions need, those of segments included."""
    asked = [*definition.segments.values()]
    if definition.targeting is not None:
        asked.append(definition.targeting)
    found: dict[str, Condition] = {}
    while asked:
        for name in segments_of(asked.pop()):
            if name in conditions and name not in found:
                found[name] = conditions[name]
                asked.append(conditions[name])
    # In the order of the file, so that the same file is the same test.
    return {name: one for name, one in conditions.items() if name in found}


def _plain(conditions: Conditions) -> dict[str, Any]:
    return {name: as_written(one) for name, one in conditions.items()}


def _salt(name: str, definition: Experiment, run: int, past: tuple[str, ...]) -> str:
    wanted = definition.salt or name
    if run == 1 or (definition.salt is not None and wanted not in past):
        return wanted
    return f"{wanted}@{run}"


def begun_again(before: StoredTest, definition: Experiment, used: Conditions) -> StoredTest:
    """The draft of the next run, under a salt that no run of it had."""
    run, past = before.run + 1, (*before.past_salts, before.salt)
    return StoredTest(
        name=before.name,
        definition=definition,
        conditions=dict(used),
        run=run,
        salt=_salt(before.name, definition, run, past),
        past_salts=past,
        version=before.version,
        by=before.by,
        at=before.at,
        change_reason=before.change_reason,
    )


def started(test: StoredTest, shared: SharedParts, *, at: datetime, shards: int) -> StoredTest:
    """A draft that runs from now on, with the layers and holdouts that there are now.

    Raises:
        InvalidInput: a number of shards that cannot be, or looks that would not fit into the table.
    """
    if isinstance(shards, bool) or not 1 <= shards <= MOST_SHARDS:
        raise InvalidInput("shards", shards, f"choose 1 to {MOST_SHARDS}")
    definition = test.definition
    if not looks_fit(definition, 1):
        found = f"{len(definition.measured)} of {len(definition.variants)} variants"
        said = "a look at it would not fit into the table: fewer quantiles, metrics or variants"
        raise InvalidInput(f"ab_tests.{test.name}.metrics", excerpt(found), said)
    layer = None
    if definition.layer is not None:
        place = definition.layer
        salt = layer_salt(place.name, shared)
        start, end = buckets_of(place.start), buckets_of(place.end)
        layer = Part(name=place.name, salt=salt, start=start, end=end)
    holdouts = tuple(
        Part(
            name=name,
            salt=f"holdout:{holdout.salt or name}",
            start=0,
            end=buckets_of(holdout.percentage),
        )
        for name, holdout in shared.holdouts.items()
        if not holdout.tests or test.name in holdout.tests
    )
    epoch = StoredEpoch(
        number=0,
        since=at,
        weights=dict(definition.variants),
        slices=allocation_of(definition.variants),
    )
    return test.model_copy(
        update={
            "status": "running",
            "shards": shards,
            "layer": layer,
            "holdouts": holdouts,
            "traffic": definition.traffic,
            "ramp": definition.ramp,
            "started_at": at,
            "epochs": (epoch,),
        }
    )


def layer_salt(name: str, shared: SharedParts) -> str:
    """What the buckets of a layer are made with."""
    return f"layer:{shared.layers.get(name, Layer()).salt or name}"


def _while_it_runs(
    test: StoredTest, definition: Experiment, used: Conditions, at: datetime
) -> StoredTest:
    now = test.as_it_is()
    changed = [
        name
        for name in Experiment.model_fields
        if name not in _MAY_CHANGE and getattr(now, name) != getattr(definition, name)
    ]
    if set(definition.variants) != set(now.variants):
        changed.append("the list of variants")
    if definition.control_variant != now.control_variant and "control" not in changed:
        changed.append("control")
    if _plain(used) != _plain(test.conditions):
        changed.append("the segments that it uses")
    if changed:
        raise Refused(
            f"{test.name}: it runs, so {', '.join(changed)} cannot change; only weights, and more "
            f"traffic, can. Stop it (`greenlane experiments stop {test.name}`), and begin it again "
            "(`--again`): under another salt, so that nobody carries over"
        )
    weighed = reweighed(test, definition.variants, at)
    return widened(weighed, definition.traffic, definition.ramp, at)


def reweighed(test: StoredTest, weights: Mapping[str, Decimal], at: datetime) -> StoredTest:
    """A running test with other weights, from now on; the same when they are what they were.

    Raises:
        Refused: they were changed too often, or looks would become too large.
    """
    last = test.epochs[-1]
    if dict(last.weights) == dict(weights):
        return test
    if len(test.epochs) >= MOST_EPOCHS:
        raise Refused(
            f"{test.name}: its weights were changed {MOST_EPOCHS - 1} times, which is all that is "
            "kept apart; stop it, and begin it again"
        )
    if not looks_fit(test.definition, len(test.epochs) + 1):
        raise Refused(
            f"{test.name}: its weights were changed {len(test.epochs) - 1} times, and with one "
            "more a look at so many metrics, quantiles and variants might not fit into the table; "
            "stop it, and begin it again"
        )
    ordered = {name: weights[name] for name in last.weights}
    epoch = StoredEpoch(
        number=last.number + 1,
        since=max(at, last.since),
        weights=ordered,
        slices=reallocated(last.slices, ordered),
    )
    return test.model_copy(update={"epochs": (*test.epochs, epoch)})


def widened(test: StoredTest, traffic: Decimal, ramp: Ramp | None, at: datetime) -> StoredTest:
    """A running test of which more of the eligible take part.

    Raises:
        Refused: at some moment from now on there would be fewer than without this.
    """
    start = test.started_at or at
    now = max(at - start, timedelta(0))
    moments = {now, *_steps_of(test.ramp), *_steps_of(ramp)}
    for elapsed in sorted(moment for moment in moments if moment >= now):
        old, new = level_of(test.ramp, test.traffic, elapsed), level_of(ramp, traffic, elapsed)
        if new < old:
            raise Refused(
                f"{test.name}: {elapsed} after its start {new} percent would take part, and now it "
                f"is {old}: users who were exposed would leave. Traffic and ramp only go up; stop "
                "the test to take everybody out"
            )
    same_ramp = same(*(None if one is None else as_written(one) for one in (ramp, test.ramp)))
    if traffic == test.traffic and same_ramp:
        return test
    return test.model_copy(update={"traffic": traffic, "ramp": ramp})


def _steps_of(ramp: Ramp | None) -> list[timedelta]:
    return [] if ramp is None else [ramp.interval * number for number in range(len(ramp.steps))]


def ended(
    test: StoredTest, verdict: Ending, serve: str | None, reason: str, by: str, at: datetime
) -> StoredTest:
    """A test that has ended; the same when it had ended just so.

    Raises:
        InvalidInput: there is no such variant, or it is not the one to serve after such an end.
        Refused: it had ended otherwise, or was never started.
    """
    known = list(test.definition.variants)
    if serve is not None and serve not in known:
        near = suggest(serve, known)
        raise InvalidInput("serve", serve, f"there are {', '.join(known)}{near}")
    if verdict == "ship" and serve not in test.definition.treatments:
        said = f"say which of {', '.join(test.definition.treatments)} has won"
        raise InvalidInput("serve", serve, said)
    if verdict not in ("ship", "stopped") and serve not in (None, test.control):
        raise InvalidInput("serve", serve, f"after {verdict} the control is served")
    served = serve or test.control
    if test.status == "concluded":
        if test.verdict == verdict and test.served == served:
            return test
        raise Refused(
            f"{test.name}: it ended at {test.ended_at:%Y-%m-%d %H:%M} UTC ({test.verdict}) and "
            f"serves {test.served}"
        )
    if test.status == "draft" and verdict != "stopped":
        raise Refused(f"{test.name}: it was never started, so it cannot end by {verdict}")
    return test.model_copy(
        update={
            "status": "concluded",
            "ended_at": at,
            "ended_by": by,
            "verdict": verdict,
            "serve": served,
            "reason": reason,
        }
    )
