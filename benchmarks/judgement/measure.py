"""The measurements: false aborts, misses, requests until detection, time of one judgement."""

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from statistics import median

from benchmarks.judgement.judges import (
    CRITERIA,
    ERROR_LIMIT,
    MORE_ERRORS,
    Greenlane,
    Judge,
    consecutive_failures,
    fixed_thresholds,
    kayenta,
)
from benchmarks.judgement.services import (
    MINUTES_OF_A_DAY,
    Fault,
    Service,
    ServiceMinute,
    binomial,
    load,
    minute_of,
    minutes_of,
    p95_before,
    poisson,
)
from greenlane.health.power import StepTraffic, Usual, Visible, visible
from greenlane.health.sequential import Count, Pair, against_limit, against_live, mixed

BAKE = 5
MAX_HOLD = 30
"""Minutes of a step, and those that it waits for evidence at most: the defaults."""
WEIGHTS = (1, 5, 10, 25, 50, 100)
LARGER_WEIGHTS = (10, 25, 50, 100)
"""What suits a service whose first step would be blind."""

STEPS = [(weight, BAKE) for weight in WEIGHTS]
SERVICES = (
    Service("quiet", 120),
    Service("medium", 3_000),
    Service("busy", 60_000),
)
ERROR_RATES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.2)
SLOWDOWNS = (0.05, 0.1, 0.2, 0.5, 1.0)
FAULTS = (
    *(Fault(error_rate=rate) for rate in ERROR_RATES),
    *(Fault(slower=1 + more) for more in SLOWDOWNS),
)

RIVALS: dict[str, Judge] = {
    "fixed": fixed_thresholds,
    "consecutive": consecutive_failures,
    "kayenta": kayenta,
}
AT_STEP_ENDS = frozenset({"kayenta"})
"""Judges that are asked at the end of a step only."""

LOOK_EVERY = 5
MOST_REQUESTS = 20_000


@dataclass
class Aborts:
    """Healthy deployments of one service: how many each judge took back, and what held.

    `without_evidence` still held when the hold was over; by the default policy they go back too.
    """

    service: str
    weights: tuple[int, ...]
    deployments: int
    taken_back: Counter[str] = field(default_factory=Counter)
    held_steps: Counter[int] = field(default_factory=Counter)
    without_evidence: int = 0
    minutes: int = 0


Outcomes = dict[str, Counter[str]]


def _no_outcomes() -> Outcomes:
    return {name: Counter() for name in ("greenlane", *RIVALS)}


@dataclass
class Cell:
    """One fault in one step of one service: what each judge made of it.

    In `promised` of the runs the plan says that the step sees the fault; `kept` are these.
    """

    service: str
    weight: int
    fault: Fault
    runs: int
    promised: int = 0
    outcomes: Outcomes = field(default_factory=_no_outcomes)
    kept: Outcomes = field(default_factory=_no_outcomes)


def healthy(
    service: Service, deployments: int, seed: int, weights: tuple[int, ...] = WEIGHTS
) -> Aborts:
    """Deployments of a good version, judged each minute; a step that holds goes on."""
    rng = random.Random(f"healthy {service.name} {len(weights)} {seed}")
    found = Aborts(service.name, weights, deployments)
    for _ in range(deployments):
        minutes = _deployment(service, rng, found)
        found.minutes += len(minutes)
        # The others do not hold: they see the same minutes, but for those that only it waited.
        steps = [[one for one in minutes if one.step == n][:BAKE] for n in range(len(weights))]
        same = [one for step in steps for one in step]
        ends = range(1, len(same) + 1)
        for name, judge in RIVALS.items():
            looks = ends if name not in AT_STEP_ENDS else ends[BAKE - 1 :: BAKE]
            found.taken_back[name] += any(judge(same[:end]) == "fail" for end in looks)
    return found


def _deployment(service: Service, rng: random.Random, found: Aborts) -> list[ServiceMinute]:
    """All minutes, in which each step waits for its evidence; judged by Greenlane on the way.

    They are complete even if it goes back, so that the other judges see them all.
    """
    begun = rng.randrange(MINUTES_OF_A_DAY)
    greenlane = Greenlane(p95_before(service, begun, rng))
    minutes: list[ServiceMinute] = []
    over = False
    for step, weight in enumerate(found.weights):
        verdict = "hold"
        for length in range(1, BAKE + MAX_HOLD + 1):
            at = begun + len(minutes)
            minutes.append(minute_of(service, at, step, weight, greenlane.thresholds, rng))
            if not over:
                verdict = greenlane(minutes)
            if verdict == "fail":
                found.taken_back["greenlane"] += 1
                over, verdict = True, "pass"
            if length == BAKE and verdict == "hold":
                found.held_steps[step] += 1
            if length >= BAKE and (over or verdict == "pass"):
                break
        if verdict == "hold" and not over:
            found.without_evidence += 1
            over = True
    return minutes


def regression(service: Service, weight: int, runs: int, seed: int) -> list[Cell]:
    """Each fault, beginning with one step; the steps before it were healthy."""
    rng = random.Random(f"regression {service.name} {weight} {seed}")
    number = WEIGHTS.index(weight)
    cells = []
    for fault in FAULTS:
        cell = Cell(service.name, weight, fault, runs)
        for _ in range(runs):
            begun = rng.randrange(MINUTES_OF_A_DAY)
            greenlane = Greenlane(p95_before(service, begun, rng))
            minutes = minutes_of(
                service,
                STEPS[: number + 1],
                greenlane.thresholds,
                rng,
                begun=begun,
                fault=fault,
                from_step=number,
            )
            promised = sees(planned(service, rounded(load(service, begun)))[number], fault)
            cell.promised += promised
            for name in ("greenlane", *RIVALS):
                judge = RIVALS.get(name, greenlane)
                outcome = _outcome(name, judge, minutes, number)
                cell.outcomes[name][outcome] += 1
                if promised:
                    cell.kept[name][outcome] += 1
        cells.append(cell)
    return cells


def _outcome(name: str, judge: Judge, minutes: Sequence[ServiceMinute], number: int) -> str:
    """What a step with a fault came to: fail at any look, else what its end says."""
    begun = number * BAKE
    if name in AT_STEP_ENDS:
        return judge(minutes[begun:])
    verdict = "pass"
    for end in range(begun + 1, len(minutes) + 1):
        verdict = judge(minutes[:end] if name == "greenlane" else minutes[begun:end])
        if verdict == "fail":
            break
    return verdict


@cache
def planned(service: Service, requests: float) -> tuple[Visible, ...]:
    """What the plan says that each step can see, at so many requests a minute."""
    return visible(
        [StepTraffic(weight, BAKE, requests) for weight in WEIGHTS],
        CRITERIA,
        Usual(service.error_rate, {"response_time_p95": service.p95_ms}, service.spread),
    )


def rounded(requests: float) -> float:
    """Rounded down to a tenth or so, that plans can be used again."""
    return float(1.1 ** math.floor(math.log(requests, 1.1)))


def sees(plan: Visible, fault: Fault) -> bool:
    """Whether the plan promises that a step sees a fault."""
    if fault.error_rate is not None:
        return plan.error_rate is not None and fault.error_rate >= plan.error_rate
    return plan.slowdown is not None and fault.slower - 1 >= plan.slowdown


def requests_to_detect(
    weight: int, levels: dict[str, float], runs: int, seed: int, *, bad: float = 0.05
) -> float:
    """The median of the candidate's requests until 0.1 -> 5 percent of errors is proven."""
    rng = random.Random(f"detect {weight} {sorted(levels)} {seed}")
    return median(_until_proven(rng, weight, levels, bad) for _ in range(runs))


def _until_proven(rng: random.Random, weight: int, levels: dict[str, float], bad: float) -> int:
    usual, live_each = 0.001, LOOK_EVERY * (100 - weight) / weight
    ours = theirs = 0
    for requests in range(LOOK_EVERY, MOST_REQUESTS, LOOK_EVERY):
        ours += binomial(rng, LOOK_EVERY, bad)
        theirs += poisson(rng, live_each * usual)
        live = Count(round(live_each * requests / LOOK_EVERY), theirs)
        pair = Pair(Count(requests, ours), live)
        evidence = {
            "limit": against_limit(pair.candidate, ERROR_LIMIT),
            "live": against_live([pair], float(MORE_ERRORS)),
        }
        if any(mixed([evidence[name]]) >= -math.log(level) for name, level in levels.items()):
            return requests
    return MOST_REQUESTS


def milliseconds(judgement: Callable[[], object], runs: int = 200) -> float:
    """The median CPU time of one call."""
    times = []
    for _ in range(runs):
        begun = time.process_time()
        judgement()
        times.append(time.process_time() - begun)
    return 1000 * median(times)
