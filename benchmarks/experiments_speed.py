"""How long an analysis takes: ours in this process, scipy and statsmodels in one of their own.

Run as a program it is the peers' side, so it imports nothing of ours at its top.
"""

import json
import math
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

PEERS = "scipy==1.17.1 statsmodels==0.15.0"
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


def peers() -> dict[str, Any] | None:
    """What scipy and statsmodels take; None where they cannot be installed."""
    home = (DIRECTORY / "venv").resolve()
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--only-binary=:all:"]
        done = subprocess.run([*pip, *PEERS.split()], check=False, timeout=900)
        if done.returncode:
            return None
    run = subprocess.run(
        [str(python), str(Path(__file__).resolve())],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    found: dict[str, Any] = json.loads(run.stdout)
    found["scipy_import"] = imported(str(python), "import scipy.stats")
    found["statsmodels_import"] = imported(str(python), "import statsmodels.stats.proportion")
    return found


def _as_peer() -> None:
    import importlib

    stats: Any = importlib.import_module("scipy.stats")
    proportion: Any = importlib.import_module("statsmodels.stats.proportion")
    n = 100_000

    def scipy() -> None:
        for _ in range(PROPORTIONS):
            z = 0.003 / math.sqrt(0.1015 * 0.8985 * 2 / n)
            float(2 * stats.norm.sf(z))
        for _ in range(MEANS):
            stats.ttest_ind_from_stats(21, 40, n, 20, 40, n, equal_var=False)

    def statsmodels() -> None:
        for _ in range(PROPORTIONS):
            proportion.proportions_ztest([10_300, 10_000], [n, n])
            proportion.confint_proportions_2indep(10_300, n, 10_000, n, method="newcomb")
            proportion.confint_proportions_2indep(
                10_300, n, 10_000, n, compare="ratio", method="score"
            )
        for _ in range(MEANS):
            stats.ttest_ind_from_stats(21, 40, n, 20, 40, n, equal_var=False)

    print(json.dumps({"scipy": milliseconds(scipy), "statsmodels": milliseconds(statsmodels)}))


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
    _as_peer()
