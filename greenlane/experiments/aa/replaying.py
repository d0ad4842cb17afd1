"""Dealing traffic anew under many salts, and deciding each as the test itself would be decided.

Nobody was shown anything else than he was, so whatever a replay finds between its arms is chance.
How often it finds something is what the test's level promises to keep small.
"""

import os
from bisect import bisect_right
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from greenlane.experiments.aa.traffic import Came, Traffic
from greenlane.experiments.assignment import allocation_of
from greenlane.experiments.dealing import bucket
from greenlane.experiments.decision import decide
from greenlane.experiments.model import Experiment
from greenlane.experiments.records import ENDS, EpochCounts, Look, Snapshot, Verdict
from greenlane.experiments.statistics.comparison import compare
from greenlane.experiments.statistics.moments import Moments
from greenlane.experiments.statistics.sequential import sample_ratio
from greenlane.experiments.statistics.special import normal_isf

MOST_LOOKS = 20
"""Of a replay; a test that is looked at more often is replayed with these."""

WORTH_PROCESSES = 200_000
"""Users dealt, below which one process is faster than several."""

_PARTS = ("seen", "y", "yy", "z", "zz", "yz")


class Replayed(NamedTuple):
    """One replay.

    Args:
        verdict: of the last look that was taken.
        found: whether any look showed an effect of the primary metric.
        split: the chi-square p-value of the split, of all users.
        p_values: of each metric over all users, one look, one value for each treatment.
        broken: guardrails that a treatment was shown to break, and the control not as much.
        beyond: those that one was shown to break, whatever the control does.
    """

    verdict: Verdict
    found: bool
    split: float
    p_values: dict[str, tuple[float, ...]]
    broken: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()


@dataclass
class Prepared:
    """Traffic as the inner loop wants it: one flat row of sums, and where each user adds to it."""

    test: Experiment
    traffic: Traffic
    metrics: list[str] = field(default_factory=list)
    entries: list[tuple[str, int, list[tuple[int, int]]]] = field(default_factory=list)


def prepare(test: Experiment, traffic: Traffic) -> Prepared:
    """Work out once what does not depend on how users are dealt."""
    metrics = [name for name, shape in test.measured.items() if shape.kind != "quantile"]
    found = Prepared(replayed_test(test, traffic), traffic, metrics)
    arms, width = len(test.variants), len(metrics) * len(_PARTS)
    for user in traffic.users:
        places = []
        for look, name, sums in user.sums:
            base = look * arms * width + metrics.index(name) * len(_PARTS)
            places += [
                (base + number, value)
                for number, part in enumerate(_PARTS)
                if (value := getattr(sums, part))
            ]
        found.entries.append((user.unit, user.look, places))
    return found


def replayed_test(test: Experiment, traffic: Traffic) -> Experiment:
    """The test as it is replayed: the same metrics, weights and levels, over the traffic's time."""
    smallest = min(share for share in test.variants.values() if share > 0)
    # As many users as the smallest arm has at the second look, so that looks are taken at all.
    users = int(len(traffic.users) * float(smallest) / 100 * 2 / len(traffic.looks))
    span = traffic.looks[-1] - traffic.start
    update = {
        "minimum_sample_size": max(1, min(test.minimum_sample_size, users)),
        "minimum_duration": timedelta(0),
        "whole_weeks": False,
        "maximum_duration": None if test.maximum_duration is None else span,
    }
    return test.model_copy(update=update)


def looks_of(test: Experiment) -> int:
    """How many looks a replay takes."""
    if test.maximum_duration is None:
        return MOST_LOOKS
    return max(2, min(MOST_LOOKS, -(-test.maximum_duration // test.look_interval)))


def replay_all(prepared: Prepared, salts: int) -> list[Replayed]:
    """So many replays, in several processes where that is worth it. Always the same ones."""
    numbers = list(range(salts))
    workers = os.cpu_count() or 1
    if workers < 2 or salts * len(prepared.entries) < WORTH_PROCESSES:
        return [replay_one(prepared, number) for number in numbers]
    with ProcessPoolExecutor(workers, initializer=_hold, initargs=(prepared,)) as pool:
        return list(pool.map(_replay_held, numbers, chunksize=max(1, salts // (4 * workers))))


_held: Prepared | None = None


def _hold(prepared: Prepared) -> None:
    """Keep the traffic in a worker, so that it is handed over once."""
    global _held
    _held = prepared


def _replay_held(number: int) -> Replayed:
    assert _held is not None, "the worker was given the traffic at its start"
    return replay_one(_held, number)


def replay_one(prepared: Prepared, number: int) -> Replayed:
    """Deal all users anew under the salt of a number, and decide."""
    test = prepared.test
    snapshots = _dealt(prepared, f"aa:{number}")
    looks: list[Look] = []
    name = test.primary_metric.name
    found = False
    for snapshot in snapshots:
        look = decide(test, snapshot, looks, estimate=False)
        looks.append(look)
        found = found or any(
            effect.significant and treatment in look.bounds
            for treatment, effect in look.effects[name].items()
        )
        if look.verdict in ENDS or look.final:
            break
    breached = [one for one in looks[-1].guardrails if one.standing == "breached"]
    return Replayed(
        looks[-1].verdict,
        found,
        sample_ratio([epoch.as_epoch() for epoch in snapshots[-1].epochs]).chi_square_p,
        _at_the_end(test, snapshots[-1]),
        tuple(sorted({one.metric for one in breached if not one.everywhere})),
        tuple(sorted({one.metric for one in breached})),
    )


def _dealt(prepared: Prepared, salt: str) -> list[Snapshot]:
    """The snapshots of all looks under a salt: sums of all users up to each."""
    test, traffic = prepared.test, prepared.traffic
    variants = list(test.variants)
    arms, looks = len(variants), len(traffic.looks)
    width = len(prepared.metrics) * len(_PARTS)
    allocation = allocation_of(test.variants)
    ends = [piece.end for piece in allocation]
    arm_at = [variants.index(piece.variant) for piece in allocation]
    sums = [0] * (looks * arms * width)
    users = [[0] * arms for _ in range(looks)]
    arm_of: dict[str, int] = {}
    for unit, look, places in prepared.entries:
        arm = arm_at[bisect_right(ends, bucket(salt, unit))]
        users[look][arm] += 1
        arm_of[unit] = arm
        shift = arm * width
        for index, value in places:
            sums[index + shift] += value
    planned = dict.fromkeys(variants, 0)
    for piece in allocation:
        planned[piece.variant] += piece.end - piece.start
    histograms = _histograms(prepared, arm_of)
    return [
        Snapshot(
            at=traffic.looks[look],
            started=traffic.start,
            epochs=(
                EpochCounts(
                    planned=planned,
                    users={
                        name: sum(users[before][arm] for before in range(look + 1))
                        for arm, name in enumerate(variants)
                    },
                ),
            ),
            moments=_moments(prepared, sums, look, variants),
            histograms=histograms[look] if histograms else {},
        )
        for look in range(looks)
    ]


def _moments(
    prepared: Prepared, sums: Sequence[int], look: int, variants: Sequence[str]
) -> dict[str, dict[str, tuple[Moments, ...]]]:
    arms, parts = len(variants), len(_PARTS)
    width = len(prepared.metrics) * parts
    found: dict[str, dict[str, tuple[Moments, ...]]] = {}
    for number, metric in enumerate(prepared.metrics):
        by: dict[str, tuple[Moments, ...]] = {}
        for arm, variant in enumerate(variants):
            totals = [
                sum(
                    sums[before * arms * width + arm * width + number * parts + part]
                    for before in range(look + 1)
                )
                for part in range(parts)
            ]
            by[variant] = (Moments(*totals),)
        found[metric] = by
    return found


Histograms = dict[str, dict[str, tuple[dict[int, int], ...]]]


def _histograms(prepared: Prepared, arm_of: dict[str, int]) -> list[Histograms]:
    """Of each look, the quantiles' buckets; empty where the test has none."""
    quantiles = [name for name, one in prepared.test.measured.items() if one.kind == "quantile"]
    if not quantiles:
        return []
    variants, found = list(prepared.test.variants), list[Histograms]()
    now: dict[tuple[str, str], int] = {}
    counts: dict[str, dict[str, dict[int, int]]] = {
        name: {variant: {} for variant in variants} for name in quantiles
    }
    by_look: list[list[tuple[Came, str, int]]] = [[] for _ in prepared.traffic.looks]
    for user in prepared.traffic.users:
        for look, name, bucket_of_user in user.buckets:
            by_look[look].append((user, name, bucket_of_user))
    for moves in by_look:
        for user, name, bucket_of_user in moves:
            of_arm = counts[name][variants[arm_of[user.unit]]]
            before = now.get((user.unit, name))
            if before is not None:
                of_arm[before] -= 1
            of_arm[bucket_of_user] = of_arm.get(bucket_of_user, 0) + 1
            now[user.unit, name] = bucket_of_user
        found.append(
            {
                name: {
                    variant: ({at: count for at, count in sorted(by.items()) if count},)
                    for variant, by in of_variants.items()
                }
                for name, of_variants in counts.items()
            }
        )
    return found


def _at_the_end(test: Experiment, snapshot: Snapshot) -> dict[str, tuple[float, ...]]:
    """Each metric over all users, as if there were one look and nothing else was asked."""
    found = {}
    for metric in test.metrics:
        values = []
        for treatment in test.treatments:
            pairs = snapshot.pairs(metric.name, test.control_variant, treatment)
            p_value = compare(metric, pairs, normal_isf(0.025)).p_value
            if p_value is not None:
                values.append(p_value)
        found[metric.name] = tuple(values)
    return found
