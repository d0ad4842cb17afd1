"""The demo on a terminal: a live view when there is one, else plain lines; tables at the end."""

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from greenlane.cli.views import change_key, change_line, status_view
from greenlane.local.demo.measure import Result
from greenlane.local.demo.scenes import Scene
from greenlane.local.loadgen import Snapshot
from greenlane.local.stage import Stage

_LOOK_SECONDS = 0.5


def watch(
    console: Console,
    stage: Stage,
    scene: Scene,
    *,
    done: Callable[[], bool],
    traffic: Callable[[], Snapshot],
    timeout_seconds: float,
) -> None:
    """Show the deployment until `done`, or the time is up."""
    service = stage.workload.service
    deadline = time.monotonic() + timeout_seconds
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            while not done() and time.monotonic() < deadline:
                live.update(_view(stage, scene, traffic()))
                time.sleep(_LOOK_SECONDS)
        console.print(_view(stage, scene, traffic()))
        return
    before: Any = None
    while True:
        ended = done() or time.monotonic() >= deadline
        status = stage.greenlane.status(service)
        if change_key(status) != before:
            before = change_key(status)
            console.print(f"  {change_line(status)}", highlight=False)
        if ended:
            return
        time.sleep(_LOOK_SECONDS)


def _view(stage: Stage, scene: Scene, traffic: Snapshot) -> Text:
    text = status_view(stage.greenlane.status(stage.workload.service))
    counts = traffic.by_version(scene.name)
    line = "  clients: " + ", ".join(
        f"{version or 'no version'} {count['ok']} ok {count['failed']} failed"
        for version, count in sorted(counts.items())
    )
    return text.append(f"\n{line}", style="dim")


def summary_table(results: list[Result]) -> Table:
    """One line per scene."""
    table = Table(title="What happened", title_justify="left", pad_edge=False)
    for name in ("scene", "outcome", "requests", "failed", "seconds", "AWS calls", "transitions"):
        numeric = name not in ("scene", "outcome")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for result in results:
        sent = sum(sum(counts.values()) for counts in result.requests.values())
        failed = sum(counts["failed"] for counts in result.requests.values())
        kept = not result.broken
        table.add_row(
            result.scene.name,
            Text(result.outcome.replace("_", " "), style="green" if kept else "red"),
            f"{sent}",
            f"{failed}",
            f"{result.seconds:.1f}",
            f"{result.aws_calls}",
            f"{result.transitions}+{result.rollback_transitions}"
            if result.rollback_transitions
            else f"{result.transitions}",
        )
    return table


def details(result: Result) -> list[str]:
    """The steps as the balancer saw them, and the way back in seconds."""
    lines = [f"{result.scene.name}: {result.scene.title}"]
    moved = [share for share in result.shares if share.weight and share.requests]
    if moved:
        steps = ", ".join(f"{share.weight} % → {share.observed:.2f} %" for share in moved)
        lines.append(f"  weight → share seen at the balancer: {steps}")
    else:
        lines.append("  it never had traffic")
    if result.trigger is not None:
        lines.append(f"  back by {result.trigger}")
    if result.alarm_to_modify_rule_seconds is not None:
        calls = len(result.calls_before_modify_rule)
        lines.append(
            f"  {result.alarm_to_modify_rule_seconds:.2f} s from the alarm to ModifyRule "
            f"({calls} AWS calls before it)"
        )
    last = result.alarm_to_no_traffic_seconds
    if last is not None:
        lines.append(
            f"  {last:.2f} s from the alarm to the bad slot's last request"
            if last > 0
            else "  the bad slot got no request after the alarm"
        )
    lines += [f"  PROMISE BROKEN: {words}" for words in result.broken]
    return lines
