"""One thing has one name in all commands, and one name means one thing."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import greenlane.cli
from greenlane.cli.exits import MEANINGS, ExitCode
from greenlane.cli.main import app

SHORT = {
    "--watch": "-w",
    "--deployment": "-d",
    "--environment": "-e",
    "--file": "-f",
    "--folder": "-f",
    "--follow": "-f",
    "--context": "-c",
    "--lines": "-n",
    "--output": "-o",
}
"""What is short for what, wherever it is."""

OTHERWISE = {
    "--why": "--reason",
    "--message": "--reason",
    "--follow-up": "--watch",
    "--force": "--despite-... with a reason",
    "--yes": "--despite-... with a reason",
    "--env": "--environment",
    "--format-output": "--output",
    "--max": "--limit",
    "--count": "--limit",
    "--number": "--limit",
}
"""Words for which there is another one."""


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        here = (*path, name)
        if hasattr(command, "commands"):
            yield from commands(command, here)
        else:
            yield " ".join(here), command


COMMANDS = dict(commands(get_command(app)))


def options(name: str) -> Iterator[tuple[str, ...]]:
    for one in COMMANDS[name].params:
        if one.param_type_name == "option":
            yield tuple(one.opts)


@pytest.mark.parametrize("name", COMMANDS)
def test_short_forms_are_the_same_in_every_command(name: str) -> None:
    for long, *shorts in options(name):
        wanted = [SHORT[long]] if long in SHORT else []
        # Of two files that a command takes, the short form is for the one that it is about.
        if long == "--file" and not shorts:
            assert name in ("migrations rollback",), long
            continue
        assert shorts == wanted, f"{name} {long}"


@pytest.mark.parametrize("name", COMMANDS)
def test_there_is_one_word_for_one_thing(name: str) -> None:
    for long, *_ in options(name):
        assert long not in OTHERWISE, f"{name}: say {OTHERWISE[long]} for {long}"


def test_what_only_looks_says_whether_it_needs_a_cloud() -> None:
    """`--check` reads a file, `--dry-run` says what would be done where it would be done."""
    found = defaultdict(set)
    for name in COMMANDS:
        for long, *_ in options(name):
            found[long].add(name)

    assert found["--check"] == {"apply"}
    assert found["--dry-run"] >= {"adopt", "unadopt", "migrations rollback"}


def test_a_limit_is_said_to_be_one_everywhere() -> None:
    helps = {
        one.help
        for command in COMMANDS.values()
        for one in command.params
        if one.param_type_name == "option" and one.opts[0] == "--limit"
    }

    assert helps == {"At most so many."}


def test_every_command_that_ends_with_1_of_itself_is_named_where_exit_codes_are() -> None:
    found = {
        function.name
        for file in Path(greenlane.cli.__file__).parent.glob("*.py")
        for function in ast.walk(ast.parse(file.read_text()))
        if isinstance(function, ast.FunctionDef)
        and any(
            isinstance(node, ast.Raise) and "ExitCode.FAILED" in ast.unparse(node)
            for node in ast.walk(function)
        )
    }

    assert len(found) > 4
    assert {name for name in found if name not in MEANINGS[ExitCode.FAILED]} == set()
