"""What Greenlane does while nothing is deployed: function runs and reads a minute.

`python -m benchmarks.idle` leaves the local cloud alone with one service, no flag and no A/B
test, counts what the functions on a schedule call, and prints it for one virtual minute.
`docs/compute_cost.py` has these counts in `IDLE_READS`.
"""

import json
import logging
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from greenlane.local.cloud import LocalCloud
from greenlane.local.stage import set_stage

DIRECTORY = Path("build/bench")
TIME_SCALE = 20.0
SETTLES_MINUTES = 2
MINUTES = 10
SCHEDULED = "greenlane-"


def main() -> int:
    """Print the calls of each scheduled function, by operation, for one minute."""
    logging.getLogger("moto").setLevel(logging.CRITICAL)
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with LocalCloud(DIRECTORY / "idle-cloud", time_scale=TIME_SCALE) as cloud:
        set_stage(cloud)
        time.sleep(SETTLES_MINUTES * 60 / TIME_SCALE)
        began = time.time()
        time.sleep(MINUTES * 60 / TIME_SCALE)
        counted = calls(cloud.context.calls, began, time.time())
    figures = {
        caller: {name: round(count / MINUTES, 2) for name, count in sorted(found.items())}
        for caller, found in sorted(counted.items())
    }
    print(json.dumps(figures, indent=2))
    return 0


def calls(recorded: list[Any], began: float, ended: float) -> dict[str, Counter[str]]:
    """Calls between two moments by caller and operation; of Greenlane's functions only."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for call in recorded:
        if began <= call.at <= ended and call.caller.startswith(SCHEDULED):
            counted[call.caller][call.operation] += 1
    return counted


if __name__ == "__main__":
    raise SystemExit(main())
