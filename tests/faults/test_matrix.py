"""A sample of the fault matrix and of the random schedules; `make faults` runs all of them."""

import random

import pytest

from tests.faults.matrix import PAGE, cells, run, scenes
from tests.faults.scenes import Scene
from tests.faults.schedules import play

SAMPLE = 80
SCHEDULES = 120


@pytest.mark.parametrize("scene", scenes(), ids=lambda scene: scene.name)
def test_without_a_fault_a_good_version_is_promoted_and_a_bad_one_taken_back(scene: Scene) -> None:
    verdict, account = scene.play()
    assert verdict.broken == []
    assert verdict.outcome == ("rolled_back" if scene.bad else "retired")
    assert verdict.lost_without_target == 0
    assert [subject for subject in account.topic.told if subject.startswith("PAGE")] == []


def test_any_fault_at_any_call_ends_whole_or_held_with_a_page() -> None:
    every = [cell for scene in scenes() if scene.strategy == "canary" for cell in cells(scene)]
    broken = [
        found for cell in random.Random(3).sample(every, SAMPLE) if (found := run(cell)).broken
    ]
    assert broken == []


def test_random_schedules_end_whole() -> None:
    broken = {seed: verdict for seed in range(SCHEDULES) if (verdict := play(seed)).broken}
    assert broken == {}


def test_the_published_matrix_has_nothing_broken() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| Cells ")]
    rows += [line for line in PAGE.read_text().splitlines() if line.startswith("| Random ")]
    assert [row.split("|")[-2].strip() for row in rows] == ["0", "0"]
    assert "!" not in "".join(PAGE.read_text().split("| Function |")[1:])


def test_the_same_seed_is_the_same_run() -> None:
    assert play(17) == play(17)
