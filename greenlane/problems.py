"""What is wrong with what a person wrote: the field, the value, the line and the way out."""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from greenlane.errors import InvalidInput

if TYPE_CHECKING:
    from greenlane.source import Source

Path = tuple[str | int, ...]
"""Keys and indexes from the top of a document: `("service", "deployment", "steps", 2)`."""


class Excerpt(str):
    """Text that stands for a value in an error, shown without quotes."""

    def __repr__(self) -> str:
        return str(self)


ABSENT = Excerpt("nothing")
"""Stands for the value of a key that is missing."""

HALF_A_CHARACTER = (
    "one half of a character is no text; write the character itself, or both halves, such as "
    r"\ud83d\ude00"
)
"""The way out of what `whole` refuses."""


class InvalidDocument(InvalidInput):
    """Everything that is wrong with one file, in the order of its lines; nothing was changed.

    `field`, `value`, `way_out` and `line` are those of the first problem.

    Args:
        name: the file as its user calls it.
        problems: at least one; each is one finding.
    """

    def __init__(self, name: str, problems: Sequence[InvalidInput]) -> None:
        """See the class."""
        self.name = name
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line or 0))
        first = self.problems[0]
        super().__init__(first.field, first.value, first.way_out, line=first.line)
        self.args = ("\n".join(f"{name}: {problem}" for problem in self.problems),)


def explain(
    error: ValidationError,
    model: type[BaseModel],
    data: object,
    *,
    prefix: Path = (),
    source: "Source | None" = None,
) -> list[InvalidInput]:
    """What pydantic found, as errors that name the field, the value and the way out.

    Args:
        error: what was raised when `data` was read as `model`.
        model: where the names of keys that exist are taken from.
        data: what was read.
        prefix: the path of `data` within its file.
        source: the file, for line numbers.
    """
    problems = []
    suggested: set[Path] = set()
    found = error.errors(include_url=False)
    for item in sorted(found, key=lambda item: item["type"] == "missing"):
        at: Path = tuple(item["loc"])
        way_out = _way_out(item, model, at)
        about_key = at[-1:] == ("[key]",)
        if about_key:  # pydantic's mark: the key itself is wrong, not what stands under it
            at = at[:-1]
        if item["type"] == "extra_forbidden":
            known = _keys_at(model, at[:-1])
            close = _closest(str(at[-1]), known)
            suggested.update((*at[:-1], name) for name in [close] if name)
            way_out = "there is no such key; " + (
                f"did you mean {close}?" if close else f"the keys here are {', '.join(known)}"
            )
        elif item["type"] == "missing":
            if at in suggested:
                continue
        elif item["type"] == "value_error":
            named, _, rest = way_out.partition(": ")
            if rest and named in _keys_at(model, at):
                at, way_out = (*at, named), rest
        where = (*prefix, *at)
        value = at[-1] if about_key else excerpt(_value_at(data, at))
        if item["type"] == "missing":
            value = ABSENT
        line = source.line(where) if source else None
        problems.append(InvalidInput(dotted(where), value, way_out, line=line))
    return problems


def _way_out(item: Any, model: type[BaseModel], at: Path) -> str:
    context = item.get("ctx", {})
    match item["type"]:
        case "missing":
            return "this key is required"
        case "value_error":
            return str(context["error"])
        case "literal_error":
            names = re.findall(r"'([^']*)'", context["expected"])
            close = _closest(str(item["input"]), names)
            return f"use one of {', '.join(names)}" + (f"; did you mean {close}?" if close else "")
        case "model_type" | "dict_type" | "model_attributes_type":
            known = _keys_at(model, at)
            return "write a mapping" + (f" with keys of {', '.join(known)}" if known else "")
        case "tuple_type" | "list_type":
            return "write a list, such as [1, 2]"
        case _:
            said: str = item["msg"]
            return re.sub(r"^(Input|String|Value) should", "it should", said)


def too_large(data: object, *, prefix: Path = (), source: "Source | None" = None) -> InvalidInput:
    """The error for a number or duration too large to count with: the longest one in `data`."""
    at, value = max(_leaves(data, ()), key=lambda leaf: len(re.sub(r"\D", "", str(leaf[1]))))
    where = (*prefix, *at)
    line = source.line(where) if source else None
    return InvalidInput(dotted(where), excerpt(value), "it is too large to count with", line=line)


def _leaves(data: object, path: Path) -> Iterator[tuple[Path, object]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(data, Sequence) and not isinstance(data, str):
        for index, value in enumerate(data):
            yield from _leaves(value, (*path, index))
    else:
        yield path, data


def suggest(word: str, known: Sequence[str], cutoff: float = 0.6) -> str:
    """`; did you mean X?` when one of the known words is close (a ratio, 0 to 1), else nothing."""
    close = _closest(word, known, cutoff)
    return f"; did you mean {close}?" if close else ""


def _closest(word: str, known: Sequence[str], cutoff: float = 0.6) -> str | None:
    close = get_close_matches(word.lower().replace("-", "_"), known, n=1, cutoff=cutoff)
    return close[0] if close else None


def _keys_at(model: type[BaseModel], path: Path) -> list[str]:
    found = _model_at(model, path)
    return list(found.model_fields) if found else []


def _model_at(annotation: Any, path: Path) -> type[BaseModel] | None:
    """The model that describes the value at `path` within an annotation, if one does."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _model_at(args[0], path)
    if origin in (Union, UnionType):
        return next((found for arg in args if (found := _model_at(arg, path))), None)
    if origin in (tuple, list, dict):
        return _model_at(args[1 if origin is dict else 0], path[1:]) if path else None
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return None
    if not path:
        return annotation
    described = annotation.model_fields.get(str(path[0]))
    return _model_at(described.annotation, path[1:]) if described else None


def _value_at(data: object, path: Path) -> object:
    for step in path:
        if isinstance(data, Mapping):
            data = data.get(step, ABSENT)
        elif isinstance(data, Sequence) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return ABSENT
    return data


def dotted(path: Path) -> str:
    """How a path is shown: `service.deployment.steps.2`, and `file` for the top."""
    return ".".join(str(step) for step in path) or "file"


def excerpt(value: object) -> object:
    """The value itself, or the beginning of it when it is too long for an error's line."""
    shown = repr(value)
    return value if len(shown) <= 60 else Excerpt(f"{shown[:57]}...")


def whole(text: str) -> str:
    """Text in which each pair of UTF-16 halves is the character that it is.

    Raises:
        ValueError: a half stands alone; `HALF_A_CHARACTER` says what to do.
    """
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def as_error(problems: Sequence[InvalidInput], name: str) -> InvalidInput:
    """One error for all problems: the problem itself when there is only one."""
    return problems[0] if len(problems) == 1 else InvalidDocument(name, problems)
