"""Write docs/cli.md from the command line itself: `python docs/generate_cli.py`.

With `--check` nothing is written; the exit code is 1 when the page is stale.
"""

import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "cli.md"

_KINDS: dict[Any, str] = {Path: "PATH", int: "NUMBER", float: "NUMBER"}

INTRODUCTION = """\
# Command line

This page is generated from the command itself by `python docs/generate_cli.py`.

The global options may stand anywhere on the line. Without `--local`, AWS is meant, with your usual
credentials and Region. With `--output json`, results go to stdout as JSON and errors to stderr.
"""


def page() -> str:
    """The whole page as Markdown."""
    from typer.main import get_command

    from greenlane.cli.exits import MEANINGS
    from greenlane.cli.main import app

    command: Any = get_command(app)
    lines = [INTRODUCTION, "## Global options\n", *_options(command)]
    for path, found in _leaves(command, ()):
        lines += _command(path, found)
    lines += ["## Exit codes\n", "| Code | Meaning |", "|---|---|"]
    lines += [f"| {int(code)} | {_cell(meaning)} |" for code, meaning in MEANINGS.items()]
    return "\n".join(lines) + "\n"


def _leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with its words, in the order of the help."""
    for name, found in command.commands.items():
        if hasattr(found, "commands"):
            yield from _leaves(found, (*path, name))
        else:
            yield (*path, name), found


def _command(path: tuple[str, ...], command: Any) -> list[str]:
    arguments = [_argument(item) for item in command.params if item.param_type_name == "argument"]
    usage = " ".join(["greenlane", *path, *arguments, "[OPTIONS]"])
    text = "\n\n".join(
        " ".join(paragraph.split()) for paragraph in (command.help or "").split("\n\n")
    )
    return [f"## greenlane {' '.join(path)}\n", f"```text\n{usage}\n```\n", f"{text}\n"] + (
        _options(command)
    )


def _argument(argument: Any) -> str:
    name = argument.name.upper()
    return name if argument.required else f"[{name}]"


def _options(command: Any) -> list[str]:
    """A table of a command's options; nothing when it has none."""
    rows = [_row(item) for item in command.params if item.param_type_name == "option"]
    rows = [row for row in rows if "`--help`" not in row]
    if not rows:
        return []
    return ["| Option | Value | Default | Meaning |", "|---|---|---|---|", *rows, ""]


def _row(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in sorted(option.opts, key=len))
    kind = "" if option.is_flag else _kind(option)
    shown = getattr(option.default, "value", option.default)
    default = "" if shown in (None, False) else str(shown)
    if option.required:
        default = "required"
    return f"| {names} | {_cell(kind)} | {_cell(default)} | {_cell(option.help or '')} |"


def _kind(option: Any) -> str:
    if option.metavar:
        return str(option.metavar)
    annotation = option.type_descriptor.annotation
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(choice.value for choice in annotation)
    kind = _KINDS.get(annotation, "TEXT")
    if option.min is not None and option.max is not None:
        return f"{kind}, {option.min:g} to {option.max:g}"
    return f"{kind}, at least {option.min:g}" if option.min is not None else kind


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` compare it."""
    sys.path.insert(0, str(ROOT))
    wanted = page()
    if "--check" in arguments:
        return int(not PAGE.exists() or PAGE.read_text() != wanted)
    PAGE.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
