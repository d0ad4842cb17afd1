"""From stored tests to the snapshot that all deal from; see `greenlane.experiments.dealing`."""

from typing import Any

from greenlane.experiments.assignment import buckets_of
from greenlane.experiments.dealing import FORMAT
from greenlane.experiments.storing.state import StoredTest, StoredTests
from greenlane.flags.definitions.compiling import compiled, in_order


def compile_tests(stored: StoredTests) -> dict[str, Any]:
    """The snapshot of all tests, as JSON, in the order of their names."""
    return {
        "format": FORMAT,
        "version": stored.version,
        "tests": {name: compile_test(test) for name, test in sorted(stored.tests.items())},
    }


def compile_test(test: StoredTest) -> dict[str, Any]:
    """One test: what dealing needs of it, and nothing else."""
    definition = test.definition
    told: dict[str, Any] = {
        "status": test.status,
        "run": test.run,
        "control": test.control,
        "serve": test.served if test.status == "concluded" else None,
        "unit": definition.unit,
        "digest": f"unit:{test.salt}",
        "inclusion": f"inclusion:{test.salt}",
        "variant": f"variant:{test.salt}",
        "holdouts": [[part.salt, part.end] for part in test.holdouts],
        "layer": None
        if test.layer is None
        else [test.layer.salt, test.layer.start, test.layer.end],
        "started": None if test.started_at is None else test.started_at.timestamp(),
        "traffic": buckets_of(test.traffic),
        "ramp": None,
        "epochs": [[[one.end, one.variant] for one in epoch.slices] for epoch in test.epochs],
    }
    if test.ramp is not None:
        steps = [buckets_of(step) for step in test.ramp.steps]
        told["ramp"] = [test.ramp.interval.total_seconds(), steps]
    if definition.targeting is not None:
        told["targeting"] = compiled(definition.targeting)
        named = {name: compiled(one) for name, one in in_order(test.conditions)}
        if named:
            told["segments"] = named
    return told
