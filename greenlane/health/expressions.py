"""Conditions as people write them: one small grammar, read by hand, never evaluated as code.

::

    expression  = term { "or" term }
    term        = factor { "and" factor }
    factor      = "not" factor | "(" expression ")" | comparison | predicate
    comparison  = METRIC ( ">" | ">=" | "<" | "<=" ) NUMBER [ "for" M "/" N ]
    predicate   = "system_unavailable"

`for M/N` asks that the comparison held in at least M of the last N minutes; without it, in the
last one. What a tree means, minute by minute, is in `greenlane.health.rules`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NoReturn, TypeAlias

from greenlane.health.catalogue import CATALOGUE, Metric
from greenlane.problems import suggest

Operator = Literal[">", ">=", "<", "<="]

MAX_LENGTH = 500
"""Characters of one expression."""
MAX_DEPTH = 8
"""Levels of `not` and parentheses."""
MAX_CONDITIONS = 12
"""Comparisons and predicates in one expression; a composite alarm has at most 100 children."""
MAX_MINUTES = 60
"""The longest `for`."""

PREDICATES = ("system_unavailable",)
KEYWORDS = ("and", "or", "not", "for")

_TOKEN = re.compile(
    r"\s*(?:(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>-?[0-9]+(?:\.[0-9]+)?)"
    r"|(?P<sign>>=|<=|>|<|\(|\)|/))"
)
_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")


class ExpressionError(ValueError):
    """An expression is not one of the grammar's.

    Args:
        text: the expression.
        position: where the trouble begins, in characters from 1.
        way_out: what would be accepted.
    """

    def __init__(self, text: str, position: int, way_out: str) -> None:
        self.text, self.position, self.way_out = text, position, way_out
        shown = text if len(text) <= 80 else text[:77] + "..."
        super().__init__(f"{shown!r}, at character {position}: {way_out}")


@dataclass(frozen=True)
class Comparison:
    """A metric against a number, in at least `matched` of the last `minutes` minutes."""

    metric: str
    operator: Operator
    limit: Decimal
    matched: int = 1
    minutes: int = 1

    def __str__(self) -> str:
        often = "" if self.minutes == 1 else f" for {self.matched}/{self.minutes}"
        return f"{self.metric} {self.operator} {plain(self.limit)}{often}"


@dataclass(frozen=True)
class Predicate:
    """A word that stands for a condition of its own, see `greenlane.health.rules`."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Not:
    """The opposite; true where there is no data to say otherwise."""

    part: "Expression"

    def __str__(self) -> str:
        return f"not {_inside(self.part, And, Or)}"


@dataclass(frozen=True)
class And:
    """All of at least two parts."""

    parts: "tuple[Expression, ...]"

    def __str__(self) -> str:
        return " and ".join(_inside(part, And, Or) for part in self.parts)


@dataclass(frozen=True)
class Or:
    """At least one of at least two parts."""

    parts: "tuple[Expression, ...]"

    def __str__(self) -> str:
        return " or ".join(_inside(part, Or) for part in self.parts)


Expression: TypeAlias = Comparison | Predicate | Not | And | Or


def parse(text: str, metrics: Mapping[str, Metric] = CATALOGUE) -> Expression:
    """Read an expression; `str()` of the result is its one canonical text.

    Args:
        text: as written.
        metrics: the names that may be compared; those that the user declared too.

    Raises:
        ExpressionError: it is not one, or names an unknown metric.
    """
    return _Parser(text, metrics).run()


def comparisons(tree: Expression) -> Iterator[Comparison | Predicate]:
    """Its comparisons and predicates, from left to right."""
    match tree:
        case Not():
            yield from comparisons(tree.part)
        case And() | Or():
            for part in tree.parts:
                yield from comparisons(part)
        case _:
            yield tree


def plain(number: Decimal) -> str:
    """A number without exponent and without zeros that say nothing."""
    if number == 0:
        return "0"
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _inside(part: Expression, *needing: type) -> str:
    return f"({part})" if isinstance(part, needing) else str(part)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int

    def is_word(self, word: str) -> bool:
        return self.kind == "word" and self.text.lower() == word


class _Parser:
    """Recursive descent; the depth is bounded, so Python's own never is the limit."""

    def __init__(self, text: str, metrics: Mapping[str, Metric]) -> None:
        self._text, self._metrics = text, metrics
        if len(text) > MAX_LENGTH:
            self._fail(MAX_LENGTH + 1, f"an expression has at most {MAX_LENGTH} characters")
        self._tokens = list(self._read())
        self._next = 0
        self._conditions = 0

    def run(self) -> Expression:
        tree = self._expression(0)
        token = self._peek()
        if token.kind != "end":
            self._fail(token.position, f"and, or, or the end is expected, not {token.text!r}")
        return tree

    def _fail(self, position: int, way_out: str) -> NoReturn:
        raise ExpressionError(self._text, position, way_out)

    def _read(self) -> Iterator[_Token]:
        position, end = 0, len(self._text.rstrip())
        while position < end:
            found = _TOKEN.match(self._text, position)
            if found is None:
                start = position + len(self._text[position:]) - len(self._text[position:].lstrip())
                self._fail(start + 1, f"{self._text[start]!r} means nothing here; {_EXAMPLE}")
            kind = str(found.lastgroup)
            yield _Token(kind, found[kind], found.start(kind) + 1)
            position = found.end()
        yield _Token("end", "the end", end + 1)

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._peek()
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _expression(self, depth: int) -> Expression:
        parts = [self._term(depth)]
        while self._peek().is_word("or"):
            self._take()
            parts.append(self._term(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _term(self, depth: int) -> Expression:
        parts = [self._factor(depth)]
        while self._peek().is_word("and"):
            self._take()
            parts.append(self._factor(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _factor(self, depth: int) -> Expression:
        token = self._take()
        if depth > MAX_DEPTH:
            self._fail(token.position, f"it is nested deeper than {MAX_DEPTH} levels")
        if token.is_word("not"):
            return Not(self._factor(depth + 1))
        if token.text == "(":
            tree = self._expression(depth + 1)
            closing = self._take()
            if closing.text != ")":
                self._fail(closing.position, f"')' is expected, not {closing.text!r}")
            return tree
        if token.kind != "word" or token.text.lower() in KEYWORDS:
            self._fail(token.position, f"a metric is expected, not {token.text!r}; {_EXAMPLE}")
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            self._fail(token.position, f"an expression has at most {MAX_CONDITIONS} comparisons")
        return Predicate(token.text) if token.text in PREDICATES else self._comparison(token)

    def _comparison(self, name: _Token) -> Comparison:
        metric = self._metrics.get(name.text)
        if metric is None:
            known = (*self._metrics, *PREDICATES)
            hint = suggest(name.text, known) or f"; the metrics are {', '.join(known)}"
            self._fail(name.position, f"there is no metric {name.text!r}{hint}")
        sign = self._take()
        limit = self._take()
        matched = minutes = 1
        if sign.text not in (">", ">=", "<", "<="):
            self._fail(sign.position, f"one of > >= < <= is expected after {name.text}")
        if limit.kind != "number":
            self._fail(limit.position, f"a number is expected, not {limit.text!r}")
        if _NUMBER.fullmatch(limit.text) is None:
            self._fail(limit.position, "a number has at most 12 digits on either side of the point")
        if self._peek().is_word("for"):
            if metric.cumulative:
                way_out = f"{name.text} counts since the first traffic; leave `for` out"
                self._fail(self._peek().position, way_out)
            matched, minutes = self._how_often()
        return Comparison(name.text, sign.text, Decimal(limit.text), matched, minutes)  # type: ignore[arg-type]

    def _how_often(self) -> tuple[int, int]:
        start = self._take().position
        matched, slash, minutes = self._take(), self._take(), self._take()
        whole = all(re.fullmatch("[0-9]{1,3}", token.text) for token in (matched, minutes))
        if slash.text != "/" or not whole:
            self._fail(start, "write how often as `for 2/3`: in 2 of the last 3 minutes")
        if not 1 <= int(matched.text) <= int(minutes.text) <= MAX_MINUTES:
            self._fail(start, f"`for M/N` needs 1 <= M <= N <= {MAX_MINUTES}")
        return int(matched.text), int(minutes.text)


_EXAMPLE = "write METRIC > NUMBER, such as error_rate > 0.05"
