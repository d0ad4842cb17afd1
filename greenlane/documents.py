"""Files that people write: YAML with line numbers, and errors that say where and how to go on.

The YAML is 1.2's core in spirit: `yes`, `no`, `on` and `off` are text, dates are text, `0777` is
a decimal number, and a repeated key is an error. Only data is built, never an object, and a file
is bounded in size, depth and, aliases counted each time, in nodes.

Everything wrong with a file is reported at once, as one `InvalidDocument`.
"""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from greenlane.errors import InvalidInput
from greenlane.problems import (
    HALF_A_CHARACTER,
    Excerpt,
    InvalidDocument,
    Path,
    dotted,
    excerpt,
    explain,
    too_large,
    whole,
)
from greenlane.source import Source as Source

MAX_BYTES = 128 * 1024
MAX_DEPTH = 40
MAX_NODES = 20_000

ModelT = TypeVar("ModelT", bound=BaseModel)

_TAG = "tag:yaml.org,2002:"
_SCALARS: tuple[tuple[str, str, str], ...] = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
)


class _Loader(yaml.SafeLoader):
    """PyYAML's composer with the scalars of YAML 1.2's core and a bounded depth."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(
                problem=f"nested deeper than {MAX_DEPTH} levels",
                problem_mark=self.peek_event().start_mark,  # type: ignore[no-untyped-call]
            )
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


for _name, _pattern, _first in _SCALARS:
    for _character in _first:
        _Loader.yaml_implicit_resolvers.setdefault(_character.strip("\0"), []).append(
            (_TAG + _name, re.compile(rf"(?:{_pattern})\Z"))
        )


class _Builder:
    """Turns composed nodes into data, noting lines and problems on the way."""

    def __init__(self) -> None:
        """See the class."""
        self.lines: dict[Path, int] = {}
        self.problems: list[InvalidInput] = []
        self.nodes = 0
        self._open: set[int] = set()

    def build(self, node: yaml.Node, path: Path) -> Any:
        """The data of a node and of everything in it."""
        self.nodes += 1
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if self.nodes > MAX_NODES:
            raise InvalidInput(
                dotted(path), Excerpt("it"), f"a file holds at most {MAX_NODES} values", line=line
            )
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path, line)
        if id(node) in self._open:
            raise InvalidInput(
                dotted(path), Excerpt("an alias to itself"), "write the value out", line=line
            )
        self._open.add(id(node))
        value = (
            self._mapping(node, path)
            if isinstance(node, yaml.MappingNode)
            else [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        )
        self._open.remove(id(node))
        if node.tag not in (_TAG + "map", _TAG + "seq"):
            self._refuse_tag(node, path, line)
        return value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(
                    InvalidInput(
                        dotted(path), Excerpt("a key that is not text"), "name it", line=line
                    )
                )
                continue
            key = self._text(key_node, path, line)
            if key is None:
                continue
            where = (*path, key)
            if key in built:
                self.problems.append(
                    InvalidInput(
                        dotted(where),
                        Excerpt("a repeated key"),
                        f"it stands on line {self.lines[where]} already; keep one of the two",
                        line=line,
                    )
                )
                continue
            self.lines[where] = line
            built[key] = self.build(value_node, where)
        return built

    def _scalar(self, node: yaml.ScalarNode, path: Path, line: int) -> Any:
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "str":
                return self._text(node, path, line)
            case "bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
            case "null":
                return None
            case "int" | "float" as kind:
                try:
                    return _number(kind, text)
                except ValueError:
                    self.problems.append(
                        InvalidInput(
                            dotted(path), excerpt(text), "write a shorter number", line=line
                        )
                    )
                    return None
            case _:
                self._refuse_tag(node, path, line)
                return None

    def _text(self, node: yaml.ScalarNode, path: Path, line: int) -> str | None:
        """Text; None, with a problem, where an escape is half a character.

        JSON writes characters beyond the first plane as two escapes, which YAML takes one by one.
        """
        try:
            return whole(node.value)
        except ValueError:
            self.problems.append(
                InvalidInput(dotted(path), excerpt(node.value), HALF_A_CHARACTER, line=line)
            )
            return None

    def _refuse_tag(self, node: yaml.Node, path: Path, line: int) -> None:
        self.problems.append(
            InvalidInput(
                dotted(path), excerpt(node.tag), "leave the tag out; plain values only", line=line
            )
        )


def _number(kind: str, text: str) -> int | float:
    """What a plain scalar counts, as YAML 1.2's core schema says; ValueError if it is too long."""
    if kind == "float":
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    if len(text) > 20:
        raise ValueError("too many digits")
    return int(text, 0) if text.startswith(("0o", "0x")) else int(text)


def load(text: str, name: str = "document") -> Source:
    """Read one YAML document whose top is a mapping.

    Raises:
        InvalidDocument: it is not that, with everything that is wrong with it as YAML.
    """
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise _invalid(name, f"{len(text)} characters", f"keep it under {MAX_BYTES // 1024} KiB")
    builder = _Builder()
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise _invalid(name, "an empty file", "begin with a key such as `service:`")
        data = builder.build(node, ())
    except InvalidDocument:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise _invalid(
            name, "this YAML", said or "not YAML", mark.line + 1 if mark else None
        ) from None
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise _invalid(name, "this text", f"write YAML in UTF-8 ({said})") from None
    except InvalidInput as error:
        raise InvalidDocument(name, [*builder.problems, error]) from None
    if builder.problems:
        raise InvalidDocument(name, builder.problems)
    if not isinstance(data, dict):
        raise _invalid(name, data, "begin with a key such as `service:`", 1)
    return Source(name, text, data, builder.lines)


def _invalid(name: str, value: object, way_out: str, line: int | None = None) -> InvalidDocument:
    shown = Excerpt(value) if isinstance(value, str) else excerpt(value)
    return InvalidDocument(name, [InvalidInput("file", shown, way_out, line=line)])


def decode(raw: bytes, name: str = "document") -> str:
    """The text of a file's bytes: UTF-8, with or without a byte order mark.

    Raises:
        InvalidDocument: the bytes are not UTF-8.
    """
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise _invalid(name, "this text", "write it in UTF-8", line) from None


def validate(model: type[ModelT], source: Source, path: Path = ()) -> ModelT:
    """Read the part of a file at `path` as `model`.

    Raises:
        InvalidDocument: with one problem for each value or key that does not fit.
    """
    part: Any = source.data
    for step in path:
        part = part[step]
    try:
        return model.model_validate(part)
    except ValidationError as error:
        problems = explain(error, model, part, prefix=path, source=source)
        raise InvalidDocument(source.name, problems) from None
    except OverflowError:
        problem = too_large(part, prefix=path, source=source)
        raise InvalidDocument(source.name, [problem]) from None


def read(
    model: type[ModelT],
    lints: Callable[[ModelT, Source], list[InvalidInput]],
    text: str,
    name: str = "document",
) -> ModelT:
    """Read a whole file as `model`, and check what takes more than one value to judge.

    Args:
        model: of the whole file.
        lints: everything that is wrong beyond the shapes, with lines.
        text: the file.
        name: what to call it.

    Raises:
        InvalidDocument: with everything that is wrong, by line.
    """
    source = load(text, name)
    document = validate(model, source)
    problems = lints(document, source)
    if problems:
        raise InvalidDocument(source.name, problems)
    return document
