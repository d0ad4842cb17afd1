"""A sample of the fault matrix and of the random schedules; `make faults` runs all of them."""

import random
import re
from functools import cache

import pytest

from tests.effort import examples
from tests.faults.cells import (
    Cell,
    Chooser,
    Invocation,
    Played,
    all_cells,
    disturbed_scenes,
    plain_cells,
    plain_scenes,
    run,
    twice_cells,
)
from tests.faults.cells import play as play_anew
from tests.faults.faults import KINDS, Site
from tests.faults.matrix import PAGE
from tests.faults.matrix_rows import NO_ROW, without_a_row
from tests.faults.scenes import Scene
from tests.faults.schedules import play

PLAIN, DISTURBED, TWICE = examples(40, 60), examples(45, 90), examples(25, 40)
SCHEDULES = examples(60, 120)


@cache
def play_scene(scene: Scene) -> Played:
    """The undisturbed run of a scene, played once for all tests."""
    return play_anew(scene)


@pytest.fixture(scope="module")
def plain() -> list[Played]:
    return [play_scene(scene) for scene in plain_scenes()]


@pytest.fixture(scope="module")
def disturbed() -> list[Played]:
    return [play_scene(scene) for scene in disturbed_scenes()]


@pytest.mark.parametrize("scene", plain_scenes(), ids=lambda scene: scene.name)
def test_without_a_fault_a_good_version_is_promoted_and_a_bad_one_taken_back(scene: Scene) -> None:
    verdict, account = scene.play()
    assert verdict.broken == []
    assert verdict.outcome == ("rolled_back" if scene.bad else "retired")
    assert verdict.lost_without_target == 0
    assert [subject for subject in account.topic.told if subject.startswith("PAGE")] == []


@pytest.mark.parametrize("scene", disturbed_scenes(), ids=lambda scene: scene.name)
def test_whatever_disturbs_a_deployment_it_ends_as_its_scene_says(scene: Scene) -> None:
    played = play_scene(scene)
    assert played.scene == scene


def broken(cells: list[Cell], count: int) -> list[object]:
    found = [run(cell) for cell in random.Random(3).sample(cells, count)]
    return [outcome for outcome in found if outcome.broken]


def test_any_fault_at_any_call_ends_whole_or_as_published(plain: list[Played]) -> None:
    canaries = [played for played in plain if played.scene.strategy == "canary"]
    assert broken([cell for played in canaries for cell in plain_cells(played)], PLAIN) == []


def test_so_does_any_fault_beside_a_disturbance(
    plain: list[Played], disturbed: list[Played]
) -> None:
    chooser = Chooser(plain)
    assert broken([cell for played in disturbed for cell in chooser.cells(played)], DISTURBED) == []


def test_so_does_any_function_that_runs_twice(plain: list[Played], disturbed: list[Played]) -> None:
    cells = [cell for played in (*plain, *disturbed) for cell in twice_cells(played)]
    assert broken(cells, TWICE) == []


def test_two_runs_at_once_that_prepare_the_slot_give_auto_scaling_back_as_it_was() -> None:
    """Each records what it finds, and one may find what the other has just suspended."""
    for later in (False, True):
        assert run(Cell(Scene(), Invocation("prepare_slot", 1, later), "twice")).broken == ()


def test_the_calls_of_a_scene_are_struck_from_where_it_differs(
    plain: list[Played], disturbed: list[Played]
) -> None:
    chooser = Chooser(plain)
    (table_down,) = (one for one in disturbed if one.scene.name.startswith("table down from"))
    cells = chooser.cells(table_down)
    struck = {cell.at.caller for cell in cells if isinstance(cell.at, Site)}
    assert "take_traffic_back" in struck
    assert "plan_deployment" not in struck
    site = next(site for site, _ in table_down.calls if site.operation == "describe_tags")
    assert {cell.kind for cell in cells if cell.at == site} == set(KINDS)


def test_each_call_that_the_code_can_make_is_struck_or_says_why_not(
    plain: list[Played], disturbed: list[Played]
) -> None:
    """A new call needs a scene that makes it, or a line in `matrix_rows.NO_ROW`."""
    assert without_a_row(all_cells(plain, disturbed)) == set(NO_ROW)


def test_random_schedules_end_whole() -> None:
    broken = {seed: verdict for seed in range(SCHEDULES) if (verdict := play(seed)).broken}
    assert broken == {}


def test_the_published_matrix_has_nothing_broken() -> None:
    text = PAGE.read_text()
    rows = re.findall(r"^\| (?:Cells|Random) .*", text, re.MULTILINE)
    assert [row.split("|")[-2].strip() for row in rows] == ["0", "0"]
    assert re.findall(r"\d+!", text) == []


def test_the_same_seed_is_the_same_run() -> None:
    assert play(17) == play(17)
