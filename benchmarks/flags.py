"""What one evaluation of a flag costs, beside the libraries that a user would pick instead.

`make bench-flags` asks each the same: a boolean flag for the users of a region, 30 percent of them,
with a context that is made anew and 200,000 users; ours also what 1,000 flags for one user take,
and what the decorator adds. Each runs in a process of its own, out of an
environment of its own under build/, and only ratios within one run mean anything. What cannot be
installed is left out and named. Names as arguments (`ARGS="greenlane growthbook"`) ask only those.
"""

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

DIRECTORY = Path("build/bench/flags")
ROOT = Path(__file__).resolve().parents[1]
RUNNER = Path(__file__).with_name("flag_peers.py")
PEERS = {
    "greenlane": "",
    "greenlane_decorated": "",
    "powertools": "aws-lambda-powertools==3.37.0 boto3",
    "growthbook": "growthbook==4.0.0",
    "flagd": "openfeature-flagd-core==2.0.0",
    "unleash": "UnleashClient==6.9.1",
    "launchdarkly": "launchdarkly-server-sdk==9.18.2",
}
ROUNDS = 3


def main() -> int:
    """Measure all in turns, print one table and write `build/bench/flags/figures.json`."""
    console = Console()
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    pythons = {}
    chosen = {name: PEERS[name] for name in sys.argv[1:]} or PEERS
    for name, wanted in chosen.items():
        python = installed(name, wanted)
        if python is None:
            console.print(f"{name}: could not be installed, left out")
        else:
            pythons[name] = python
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in pythons}
    for _ in range(ROUNDS):
        # In turns, so that a busy minute of the machine meets all of them.
        for name, python in pythons.items():
            found = measured(name, python)
            if found is None:
                console.print(f"{name}: did not run, left out of this round")
            else:
                runs[name].append(found)
    figures = {
        name: min(found, key=lambda one: one["microseconds"])
        for name, found in runs.items()
        if found
    }
    (DIRECTORY / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    console.print(table(figures))
    if "greenlane" in figures:
        console.print(bulk(runs["greenlane"]))
        untold = min(one["untold"] for one in runs["greenlane"])
        console.print(f"telemetry that is off adds {untold:.2f} microseconds")
    if "greenlane_decorated" in figures:
        console.print(decorator(figures["greenlane_decorated"]))
    return 0


def installed(name: str, wanted: str) -> Path | None:
    """The Python of an environment that holds a library; None when it cannot be had."""
    folder = DIRECTORY / name
    python = folder / "bin" / "python"
    done = folder / ".installed"
    if done.exists() and done.read_text() == wanted:
        return python
    venv.create(folder, with_pip=bool(wanted), clear=True)
    if wanted:
        command = [str(python), "-m", "pip", "install", "--quiet", *wanted.split()]
        if subprocess.run(command, check=False, timeout=600).returncode != 0:
            return None
    done.write_text(wanted)
    return python


def measured(name: str, python: Path) -> dict[str, Any] | None:
    """One run of one library, in a fresh process."""
    done = subprocess.run(
        [python, RUNNER, name],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={"PYTHONPATH": str(ROOT) if name.startswith("greenlane") else ""},
    )
    if done.returncode != 0:
        sys.stderr.write(done.stderr[-2000:])
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(figures: dict[str, dict[str, Any]]) -> Table:
    """Microseconds, and each as a multiple of ours."""
    shown = Table(
        title="One evaluation: a region's users, 30 percent of them", title_justify="left"
    )
    for title in ("Library", "microseconds", "times ours", "times one hash", "share that is on"):
        shown.add_column(title, justify="left" if title == "Library" else "right")
    ours = figures.get("greenlane", next(iter(figures.values())))["microseconds"]
    for name, found in sorted(figures.items(), key=lambda item: item[1]["microseconds"]):
        took = found["microseconds"]
        shown.add_row(
            name,
            f"{took:.2f}",
            f"{took / ours:.1f}",
            f"{took / found['hash_microseconds']:.1f}",
            f"{found['on']:.3f}",
        )
    return shown


def bulk(runs: list[dict[str, Any]]) -> str:
    """What all of 1,000 flags for one user take, in the fastest run of each step."""
    took = {name: min(one["bulk"][name] for one in runs) for name in runs[0]["bulk"]}
    return (
        f"1,000 flags for one user: {took['evaluated']:.1f} milliseconds to evaluate, "
        f"{took['answered']:.1f} as the function's whole answer, {took['unchanged']:.2f} for a 304"
    )


def decorator(found: dict[str, Any]) -> str:
    """What `@feature_flag` adds to a function, by itself and with the evaluation."""
    whole = found["microseconds"] - found["undecorated"]
    # Both figures beside it contain making the context and one call.
    evaluating = found["engine"] - found["undecorated"]
    return (
        f"@feature_flag adds {whole:.2f} microseconds to a function: {evaluating:.2f} of the "
        f"evaluation, {whole - evaluating:.2f} of its own"
    )


if __name__ == "__main__":
    sys.exit(main())
