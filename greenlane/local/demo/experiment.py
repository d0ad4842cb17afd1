"""The scene of A/B tests: two tests on the demo's own visitors, decided without a hand in it.

The treatment of one is better: it wins at a look, everybody has it, its flag is ramped. That of the
other fails for some: a watch between two looks ends it, and everybody has the control.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from greenlane.apply import apply
from greenlane.experiments.counting.reading import read_snapshot
from greenlane.experiments.decision import replay
from greenlane.experiments.names import TABLE
from greenlane.experiments.records import Look
from greenlane.experiments.report.compose import compose
from greenlane.experiments.report.keeping import read_experiment_report
from greenlane.experiments.report.model import Report
from greenlane.experiments.storing.state import StoredTest, Watch, owed
from greenlane.incidents.report_place import bucket_name
from greenlane.local.context import ACCOUNT_ID
from greenlane.local.loadgen import LoadGenerator
from greenlane.local.stage import Stage

NAME = "experiment"
TITLE = "two A/B tests on the demo's visitors; one treatment is better, one does harm"
BEHAVIOUR = "one_page_setup:0.25,eager_summary:0.3"
"""How the version behaves that is in both tests."""

FILE = Path("examples/claude_manager/ab-tests.yaml")
FLAG = "feature_flags: {new_setup: {environments: [production], percentage: 1}}"
VISITORS = 5000
ENDINGS = {"one_page_setup": ("ship", "treatment"), "eager_summary": ("rollback", "control")}
"""How each ends, and what everybody has then."""

TIMEOUT_SECONDS = 50.0
LOOK_SECONDS = 0.5


@dataclass
class Found:
    """One test after the scene."""

    test: StoredTest
    looks: list[Look]
    watch: Watch | None
    written: Report | None
    users: int
    items: int


@dataclass
class ExperimentResult:
    """What became of the tests. Seconds are real."""

    seconds: float
    tests: dict[str, Found] = field(default_factory=dict)
    ramped: bool = False
    requests: int = 0
    failed: int = 0
    broken: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For `summary.json`."""
        return {
            "scene": NAME,
            "title": TITLE,
            "seconds": round(self.seconds, 2),
            "tests": {
                name: {
                    "verdict": one.test.verdict,
                    "served": one.test.served,
                    "reason": one.test.reason,
                    "looks": [look.verdict for look in one.looks],
                    "users": one.users,
                }
                for name, one in self.tests.items()
            },
            "flag_ramped": self.ramped,
            "client_requests": self.requests,
            "client_failures": self.failed,
            "promises_broken": self.broken,
        }

    def lines(self) -> list[str]:
        """What there is to read at the end."""
        return lines(self)


def play(console: Console, stage: Stage, load: LoadGenerator) -> ExperimentResult:
    """Apply the tests, begin them and watch."""
    console.print(f"\n[bold]{TITLE}[/bold]")
    began = time.monotonic()
    apply(stage.greenlane, FLAG, by="the demo")
    apply(stage.greenlane, FILE, by="the demo", start=True)
    load.phase(NAME)
    console.print(f"  started: {', '.join(ENDINGS)}", highlight=False)
    _watch(console, stage)
    load.phase("between")
    time.sleep(1.0)  # what was on its way while the second one ended
    result = _measure(stage, load, time.monotonic() - began)
    result.broken = broken_promises(result)
    return result


def _watch(console: Console, stage: Stage) -> None:
    """Say each look and each end, until both have ended and all that follows is done."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    store, seen = stage.greenlane.experiments, set[str]()
    while time.monotonic() < deadline:
        tests = [store.test(name) for name in ENDINGS]
        now = f"{stage.cloud.clock.now():%H:%M:%S}"
        for test in tests:
            said = [_look(test, look) for look in store.looks(test.name, test.run)]
            if test.status == "concluded":
                said.append(f"{test.name:15} {test.verdict}: {test.reason}")
            for line in said:
                if line not in seen:
                    seen.add(line)
                    console.print(f"  {now} {line}", highlight=False)
        if all(test.status == "concluded" and not owed(test) for test in tests):
            return
        time.sleep(LOOK_SECONDS)


def _look(test: StoredTest, look: Look) -> str:
    effect = look.effects[test.definition.primary_metric.name]["treatment"]
    lift = "?" if effect.lift is None else f"{effect.lift:+.0%}"
    users = sum(sum(epoch.users.values()) for epoch in look.snapshot.epochs)
    return f"{test.name:15} look {look.number}: {users} users, lift {lift}: {look.verdict}"


def _measure(stage: Stage, load: LoadGenerator, seconds: float) -> ExperimentResult:
    result = ExperimentResult(seconds=seconds)
    store, dynamodb = stage.greenlane.experiments, stage.cloud.client("dynamodb")
    s3, bucket = stage.cloud.client("s3"), bucket_name(ACCOUNT_ID, stage.cloud.region)
    for name in ENDINGS:
        test = store.test(name)
        snapshot = read_snapshot(dynamodb, TABLE, test, stage.cloud.clock.now())
        result.tests[name] = Found(
            test=test,
            looks=store.looks(name, test.run),
            watch=store.watch(name, test.run),
            written=read_experiment_report(s3, bucket, ACCOUNT_ID, name, test.run),
            users=sum(sum(epoch.users.values()) for epoch in snapshot.epochs),
            items=_items(dynamodb, test),
        )
    flag = stage.greenlane.flags.read().flags["new_setup"]
    ramp = flag.state("production").ramp
    result.ramped = ramp is not None and "one_page_setup" in ramp.by
    for count in load.snapshot().counts:
        if count.phase == NAME:
            result.requests += count.count
            result.failed += 0 if count.ok else count.count
    return result


def _items(dynamodb: Any, test: StoredTest) -> int:
    """How many users were recorded as exposed, one item each."""
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=TABLE,
        FilterExpression="begins_with(pk, :user) AND attribute_exists(exposed_at)",
        ExpressionAttributeValues={":user": {"S": f"user#{test.name}#{test.run}#"}},
    )
    return sum(len(page["Items"]) for page in pages)


def broken_promises(result: ExperimentResult) -> list[str]:
    """What the scene promised and did not keep, in words."""
    broken = []
    for name, (verdict, served) in ENDINGS.items():
        one = result.tests[name]
        if (one.test.verdict, one.test.served) != (verdict, served):
            broken.append(
                f"{name} ended {one.test.verdict} and serves {one.test.served}, instead of "
                f"{verdict} and {served}: {one.test.reason}"
            )
        if one.test.status != "concluded":
            continue
        if owed(one.test):
            broken.append(f"{name}: not done after its end: {', '.join(owed(one.test))}")
        if replay(one.test.definition, one.looks) is not None:
            broken.append(f"{name}: a look decided again is another")
        if one.written is None or one.written != compose(one.test, one.looks, one.watch):
            broken.append(f"{name}: its report is not what its looks give")
        if one.users != one.items:
            broken.append(f"{name}: {one.users} users are counted, and {one.items} were recorded")
    harmful = result.tests["eager_summary"]
    if len(harmful.looks) != 1:
        broken.append(f"eager_summary had {len(harmful.looks)} looks before it was stopped")
    if not result.ramped:
        broken.append("the winning flag is not ramped")
    return broken


def lines(result: ExperimentResult) -> list[str]:
    """What there is to read at the end."""
    said = [f"{NAME}: {TITLE}"]
    for name, one in result.tests.items():
        looks = f"{len(one.looks)} look{'' if len(one.looks) == 1 else 's'}"
        said.append(
            f"  {name}: {one.test.verdict}, everybody has {one.test.served}; {looks}, "
            f"{one.users} users"
        )
        said.append(f"    {one.test.reason}")
    said.append(f"  {result.failed} of {result.requests} requests failed")
    said += [f"  PROMISE BROKEN: {words}" for words in result.broken]
    return said
