"""One line says what became of each flag that was named: at night nobody reads two."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.experiment_store import Laboratory
from tests.flag_store import NOW, memory_store

FILE = "feature_flags:\n  checkout: {percentage: 25, environments: [production]}\n  banner: {}\n"


@pytest.fixture
def client() -> Any:
    connection = SimpleNamespace(clock=SimpleNamespace(now=lambda: NOW), principal="arn:jo")
    return SimpleNamespace(
        flags=memory_store(), experiments=Laboratory().store, connection=connection
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flags.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def told(run: Any, file: Path) -> Any:
    def tell(*arguments: str) -> str:
        result = run(*arguments)
        assert result.exit_code == 0, result.output
        return str(result.stdout)

    tell("flags", "apply", "-f", str(file))
    return tell


def test_a_flag_that_is_deleted_is_taken_out(told: Any) -> None:
    assert told("flags", "delete", "banner") == "banner: taken out, version 2\n"


def test_a_file_that_prunes_says_what_it_took_out(told: Any, file: Path) -> None:
    file.write_text("feature_flags:\n  checkout: {percentage: 50, environments: [production]}\n")

    assert told("apply", "-f", str(file), "--prune") == (
        "checkout: applied; banner: taken out, version 2\n"
    )


def test_a_segment_that_is_pruned_is_taken_out_and_not_applied(told: Any, file: Path) -> None:
    staff = "{attribute: plan, op: '==', value: staff}"
    file.write_text(f"segments:\n  old: {staff}\n  staff: {staff}\n{FILE}")
    told("apply", "-f", str(file))
    file.write_text(f"segments:\n  staff: {staff}\n{FILE}")

    assert told("apply", "-f", str(file), "--prune") == "segment:old: taken out, version 3\n"


def test_switching_says_where_and_of_which_flag_even_if_nothing_was_to_do(told: Any) -> None:
    off = "checkout: off for everybody in production, version 2\n"
    assert told("flags", "disable", "checkout", "-e", "production") == off
    unchanged = "checkout: unchanged, version 2\n"
    assert told("flags", "disable", "checkout", "-e", "production") == unchanged
    on = "checkout: switched on in production, version 3\n"
    assert told("flags", "enable", "checkout", "-e", "production") == on
    assert told("flags", "enable", "checkout", "-e", "production") == on.replace(
        "switched on in production", "unchanged"
    )
