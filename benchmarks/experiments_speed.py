"""How long an analysis takes: ours in this process, each peer in one of its own.

Run as a program it is the peers' side, so it imports nothing of ours at its top.
"""

import importlib
import json
import math
import subprocess
import sys
import time
import venv
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

REQUIREMENTS = {
    "scipy": "scipy==1.17.1",
    "statsmodels": "scipy==1.17.1 statsmodels==0.15.0",
    "gbstats": "gbstats==0.8.0",
    "spotify-confidence": "spotify-confidence==4.1.0",
}
"""Each in an environment of its own: they ask for different versions of numpy and pandas."""
USERS = 100_000
DIRECTORY = Path("build/bench/experiments")
ROOT = Path(__file__).resolve().parents[1]
PROPORTIONS, MEANS = 10, 10
"""3 variants times 10 metrics: 2 treatments of 5 proportions and 5 means."""


def milliseconds(work: Callable[[], object], repeats: int = 30) -> float:
    """The least of some repeats, as CPU time."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found) * 1000


def ours(users: int) -> float:
    """All of a look: p-values, intervals of difference and lift, of 20 comparisons."""
    from greenlane.experiments.model import MetricShape
    from greenlane.experiments.statistics.comparison import Arm, compare
    from greenlane.experiments.statistics.moments import UNIT, Moments

    share = MetricShape.model_validate({"name": "conversion_rate"})
    mean = MetricShape.model_validate({"name": "spend", "kind": "mean", "direction": "higher"})

    def binary(rate: float) -> Arm:
        events = round(users * rate)
        return Arm(users, Moments(events, events * UNIT, events * UNIT**2))

    def spent(middle: int) -> Arm:
        y = users * middle * UNIT
        return Arm(users, Moments(users, y, users * (middle**2 + 40**2) * UNIT**2))

    shares, means = (binary(0.10), binary(0.103)), (spent(20), spent(21))

    def work() -> None:
        for _ in range(PROPORTIONS):
            compare(share, [shares], 2.3)
        for _ in range(MEANS):
            compare(mean, [means], 2.3)

    return milliseconds(work)


def imported(python: str, statement: str) -> float:
    """Milliseconds of CPU that a statement adds to a bare interpreter; the least of five."""
    code = f"import time; t = time.process_time(); {statement}; print(time.process_time() - t)"
    runs = [
        subprocess.run(
            [python, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
        )
        for _ in range(5)
    ]
    return min(float(run.stdout) for run in runs) * 1000


def peers() -> list[dict[str, Any]]:
    """Of each peer that can be installed: its name, what it gives, and its two times."""
    found = []
    for name in REQUIREMENTS:
        home = (DIRECTORY / name).resolve()
        python = str(home / "bin" / "python")
        if not Path(python).exists():
            venv.create(home, with_pip=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--only-binary=:all:"]
        done = subprocess.run([*pip, *REQUIREMENTS[name].split()], check=False, timeout=900)
        if done.returncode:
            found.append({"name": name, "gives": "could not be installed here"})
            continue
        run = subprocess.run(
            [python, str(Path(__file__).resolve()), name],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        times: dict[str, Any] = json.loads(run.stdout)
        times["import"] = imported(python, f"import {times['module']}")
        found.append({"name": name, **times})
    return found


def _scipy() -> tuple[str, str, Callable[[], object]]:
    stats: Any = importlib.import_module("scipy.stats")
    n = USERS

    def work() -> None:
        for _ in range(PROPORTIONS):
            z = 0.003 / math.sqrt(0.1015 * 0.8985 * 2 / n)
            float(2 * stats.norm.sf(z))
        for _ in range(MEANS):
            stats.ttest_ind_from_stats(21, 40, n, 20, 40, n, equal_var=False)

    return "scipy.stats", "p-values only", work


def _statsmodels() -> tuple[str, str, Callable[[], object]]:
    stats: Any = importlib.import_module("scipy.stats")
    proportion: Any = importlib.import_module("statsmodels.stats.proportion")
    n = USERS

    def work() -> None:
        for _ in range(PROPORTIONS):
            proportion.proportions_ztest([10_300, 10_000], [n, n])
            proportion.confint_proportions_2indep(10_300, n, 10_000, n, method="newcomb")
            proportion.confint_proportions_2indep(
                10_300, n, 10_000, n, compare="ratio", method="score"
            )
        for _ in range(MEANS):
            stats.ttest_ind_from_stats(21, 40, n, 20, 40, n, equal_var=False)

    return "statsmodels.stats.proportion", "p-values, intervals of the proportions", work


def _gbstats() -> tuple[str, str, Callable[[], object]]:
    tests: Any = importlib.import_module("gbstats.frequentist.tests")
    statistics: Any = importlib.import_module("gbstats.models.statistics")
    n = USERS
    relative = tests.SequentialConfig(difference_type="relative")

    def work() -> None:
        for _ in range(PROPORTIONS):
            a = statistics.ProportionStatistic(n=n, sum=10_000)
            b = statistics.ProportionStatistic(n=n, sum=10_300)
            tests.SequentialTwoSidedTTest(a, b, relative).compute_result()
        for _ in range(MEANS):
            a = statistics.SampleMeanStatistic(n=n, sum=20 * n, sum_squares=(20**2 + 40**2) * n)
            b = statistics.SampleMeanStatistic(n=n, sum=21 * n, sum_squares=(21**2 + 40**2) * n)
            tests.SequentialTwoSidedTTest(a, b, relative).compute_result()

    return "gbstats.frequentist.tests", "p-values and intervals of the lift, sequential", work


def _spotify() -> tuple[str, str, Callable[[], object]]:
    pandas: Any = importlib.import_module("pandas")
    confidence: Any = importlib.import_module("spotify_confidence")
    n = USERS
    shares = pandas.DataFrame(
        {"arm": ["a", "b"], "sum": [10_000, 10_300], "squares": [10_000, 10_300], "n": [n, n]}
    )
    means = pandas.DataFrame(
        {
            "arm": ["a", "b"],
            "sum": [20 * n, 21 * n],
            "squares": [(20**2 + 40**2) * n, (21**2 + 40**2) * n],
            "n": [n, n],
        }
    )

    def work() -> None:
        for frame in [shares] * PROPORTIONS + [means] * MEANS:
            confidence.ZTest(frame, "sum", "squares", "n", "arm").difference("a", "b", False)

    return "spotify_confidence", "p-values and intervals of the lift, one look", work


PEERS: dict[str, Callable[[], tuple[str, str, Callable[[], object]]]] = {
    "scipy": _scipy,
    "statsmodels": _statsmodels,
    "gbstats": _gbstats,
    "spotify-confidence": _spotify,
}


def _as_peer(name: str) -> None:
    # pandas of different years warns of different things.
    warnings.simplefilter("ignore")
    module, gives, work = PEERS[name]()
    repeats = 30 if name != "spotify-confidence" else 5
    print(json.dumps({"module": module, "gives": gives, "ms": milliseconds(work, repeats)}))


def figures() -> dict[str, Any]:
    """All times, in milliseconds."""
    return {
        "ours": {str(10**power): ours(10**power) for power in (3, 5, 7, 9)},
        "analysis": imported(sys.executable, "import greenlane.experiments.statistics.comparison"),
        "decision": imported(sys.executable, "import greenlane.experiments.decision"),
        "pydantic": imported(sys.executable, "from pydantic import BaseModel, Field"),
        "peers": peers(),
    }


if __name__ == "__main__":
    _as_peer(sys.argv[1])
