"""Several files in one go: read before anything is changed, applied in an order that works."""

from pathlib import Path
from typing import Any

import pytest

from greenlane import apply_files as applying
from greenlane.apply_files import ORDER, apply_files, check_together, expand, read_files
from greenlane.errors import InvalidInput, Refused
from greenlane.problems import InvalidDocument

SPEC = Path("tests/data/spec")
FILES = {
    "service.yaml": "service: {name: shop}",
    "criteria.yaml": "success_criteria: {performance: {error_rate: 0.01}}",
    "canary.yaml": "canary: {name: c, traffic_policy: {stages: [10, 100]}}",
    "flags.yaml": "feature_flags: {new: {environments: [production]}}",
    "tests.yaml": "ab_tests: {t: {variants: {a: 50, b: 50}, metrics: [conversion_rate]}}",
    "regions.yaml": "regions: {eu-west-1: {traffic_percentage: 100}}",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What was applied, in order, with the options that it was given."""
    found: list[tuple[str, dict[str, Any]]] = []

    def apply(greenlane: Any, document: Any, **options: Any) -> str:
        given = {key: value for key, value in options.items() if value and key != "warn"}
        found.append((Path(document).name, given))
        return str(document)

    monkeypatch.setattr(applying, "apply", apply)
    return found


def go(documents: list[Path | str], **options: Any) -> None:
    list(apply_files(None, read_files(documents), by=lambda kind: "jo", **options))  # type: ignore[arg-type]


def test_a_folder_is_its_yaml_files_in_an_order_in_which_each_finds_the_others(
    folder: Path, applied: list[Any]
) -> None:
    (folder / "notes.txt").write_text("not YAML")
    go([folder])
    assert [name for name, _ in applied] == [
        "service.yaml",
        "criteria.yaml",
        "canary.yaml",
        "regions.yaml",
        "flags.yaml",
        "tests.yaml",
    ]


def test_the_order_has_every_kind_that_can_be_applied(folder: Path) -> None:
    kinds = [file.kind for file in read_files([folder])]
    assert kinds == [kind for kind in ORDER if kind != "databases"]


def test_files_that_name_no_service_are_for_the_one_that_is_declared_with_them(
    folder: Path, applied: list[Any]
) -> None:
    go([folder])
    bound = {name: given.get("service") for name, given in applied}
    assert bound == {
        "service.yaml": None,
        "criteria.yaml": "shop",
        "canary.yaml": "shop",
        "regions.yaml": "shop",
        "flags.yaml": None,
        "tests.yaml": None,
    }


def test_an_option_goes_to_the_files_that_take_it(folder: Path, applied: list[Any]) -> None:
    go([folder / "flags.yaml", folder / "tests.yaml"], reason="for autumn", start=True, prune=True)
    assert applied == [
        ("flags.yaml", {"by": "jo", "reason": "for autumn", "prune": True}),
        ("tests.yaml", {"by": "jo", "reason": "for autumn", "start": True}),
    ]


@pytest.mark.parametrize(
    ("names", "options", "field", "words"),
    [
        (["canary.yaml"], {"start": True}, "start", "only a file of A/B tests"),
        (["flags.yaml"], {"service": "shop"}, "service", "leave it out"),
        (["canary.yaml", "criteria.yaml"], {"prune": True}, "prune", "only a file of feature"),
        (["service.yaml"], {"service": "other"}, "service", "a file declares shop"),
        (["canary.yaml", "canary.yaml"], {}, "file", "named twice"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_applied(
    folder: Path,
    applied: list[Any],
    names: list[str],
    options: dict[str, Any],
    field: str,
    words: str,
) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        go([folder / name for name in names], **options)
    assert refused.value.field == field
    assert applied == []


@pytest.mark.parametrize("name", ["canary.yaml", "criteria.yaml", "regions.yaml", "service.yaml"])
def test_a_second_file_that_would_replace_the_first_is_refused(
    folder: Path, applied: list[Any], name: str
) -> None:
    (folder / f"z-{name}").write_text(FILES[name])
    with pytest.raises(InvalidInput, match="a second file of this kind"):
        go([folder])
    assert applied == []


def test_files_of_two_services_go_together_but_not_with_one_that_names_none(
    folder: Path, applied: list[Any]
) -> None:
    other = folder / "other.yaml"
    other.write_text("service: {name: other}")
    go([folder / "service.yaml", other])
    assert len(applied) == 2
    with pytest.raises(InvalidInput, match="these files declare other, shop"):
        go([folder])
    assert len(applied) == 2


def test_pruning_by_several_files_of_flags_is_refused(folder: Path, applied: list[Any]) -> None:
    (folder / "more.yaml").write_text(FILES["flags.yaml"].replace("new", "newer"))
    with pytest.raises(InvalidInput, match="take out those of the others"):
        go([folder / "flags.yaml", folder / "more.yaml"], prune=True)
    assert applied == []


def test_a_mistake_in_the_last_file_changes_nothing(folder: Path, applied: list[Any]) -> None:
    (folder / "z.yaml").write_text("ab_tests: {t: {variants: {a: 50}}}")
    with pytest.raises(InvalidDocument):
        go([folder])
    assert applied == []


def test_what_fails_in_the_middle_says_what_was_applied_and_what_was_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def apply(greenlane: Any, document: Any, **options: Any) -> str:
        if Path(document).name == "regions.yaml":
            raise Refused("somebody else applied them")
        return str(document)

    monkeypatch.setattr(applying, "apply", apply)
    told: list[str] = []
    with pytest.raises(Refused):
        go([folder], warn=told.append)
    assert told == [
        f"3 of 6 files were applied; {folder / 'regions.yaml'} was not, or not all of it, and not "
        f"begun were {folder / 'flags.yaml'}, {folder / 'tests.yaml'}; apply all of them again: "
        "what is applied already stays as it is"
    ]
    told.clear()
    with pytest.raises(Refused):
        go([folder / "regions.yaml"], warn=told.append)
    assert told == []


def test_migrations_are_refused_with_what_runs_them(folder: Path, applied: list[Any]) -> None:
    manifest = Path("examples/claude_manager/migrations/migrations.yaml")
    with pytest.raises(InvalidInput, match="greenlane migrations run"):
        go([folder, manifest])
    assert applied == []


def test_a_folder_without_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no file in it ends in \.yaml or \.yml"):
        expand([tmp_path])


def test_text_is_a_file_too() -> None:
    (file,) = read_files([FILES["service.yaml"]])
    assert (file.kind, file.declares, file.name) == ("service", "shop", "document")
    check_together([file], {"service": "shop"})
