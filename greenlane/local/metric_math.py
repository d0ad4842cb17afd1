"""CloudWatch metric math: expressions over time series, as alarms and GetMetricData use them.

Covered: + - * / ^ and unary minus, comparisons, AND OR && ||, parentheses, [lists], numbers, ids,
and the functions IF, FILL, MAX, MIN, SUM, AVG, ABS, CEIL, FLOOR, PERIOD, METRICS, TIME_SERIES.
The rules (a missing point is 0 in arithmetic, division by 0 drops the point, one series reduces
to a scalar and a list of series to a series) are those of "Using metric math" in the CloudWatch
user guide. Anything else raises `MathError`, so that an expression which works here works there.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Series = dict[int, float]
"""Values by the virtual Unix second at which their period begins."""
Value = float | Series | list[Series]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<text>\"[^\"]*\"|'[^']*')|(?P<operator>==|!=|<=|>=|&&|\|\||[-+*/^<>(),\[\]]))"
)
_WORDS = {"AND": "&&", "OR": "||"}
_REDUCERS: dict[str, Callable[[Sequence[float]], float]] = {
    "MAX": max,
    "MIN": min,
    "SUM": math.fsum,
    "AVG": lambda values: math.fsum(values) / len(values),
}
_EACH: dict[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("||",),
    ("&&",),
    ("==", "!=", "<", ">", "<=", ">="),
    ("+", "-"),
    ("*", "/"),
)


class MathError(Exception):
    """The expression is not one that CloudWatch would take, or not one known here."""


@dataclass(frozen=True)
class Range:
    """The periods that a request covers: all of `times`, each `period` seconds long."""

    times: Sequence[int]
    period: int


def evaluate(
    expression: str, ids: Mapping[str, Series], span: Range, metrics: Sequence[str] = ()
) -> Series | list[Series]:
    """The value of an expression.

    Args:
        expression: the text.
        ids: the series of the metrics and expressions that it may name.
        span: the periods asked for; FILL and TIME_SERIES cover them all.
        metrics: which of the ids are metrics, for METRICS().

    Raises:
        MathError: the expression is malformed, names an unknown id, or ends in a scalar.
    """
    value = _Evaluation(expression, ids, span, metrics).run()
    if isinstance(value, float):
        raise MathError(f"{expression!r} gives a scalar: the result must be a time series")
    return value


class _Evaluation:
    """Parses by recursive descent and computes as it goes."""

    def __init__(
        self, expression: str, ids: Mapping[str, Series], span: Range, metrics: Sequence[str]
    ) -> None:
        self.expression, self.ids, self.span, self.metrics = expression, ids, span, metrics
        self.tokens = _tokens(expression)
        self.position = 0

    def run(self) -> Value:
        value = self.binary(0)
        if self.peek() != ("end", ""):
            raise self.error(f"unexpected {self.peek()[1]!r}")
        return value

    def error(self, message: str) -> MathError:
        return MathError(f"{self.expression!r}: {message}")

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.position]

    def next(self) -> tuple[str, str]:
        self.position += 1
        return self.tokens[self.position - 1]

    def expect(self, text: str) -> None:
        if self.next()[1] != text:
            raise self.error(f"{text!r} expected")

    def binary(self, level: int) -> Value:
        if level == len(_LEVELS):
            return self.unary()
        left = self.binary(level + 1)
        while self.peek()[0] == "operator" and self.peek()[1] in _LEVELS[level]:
            sign = self.next()[1]
            left = self.combine(sign, left, self.binary(level + 1))
        return left

    def unary(self) -> Value:
        if self.peek() == ("operator", "-"):
            self.next()
            return self.combine("*", -1.0, self.unary())
        base = self.primary()
        if self.peek() == ("operator", "^"):
            self.next()
            return self.combine("^", base, self.unary())
        return base

    def primary(self) -> Value:
        kind, text = self.next()
        if kind == "number":
            return float(text)
        if text == "(":
            value = self.binary(0)
            self.expect(")")
            return value
        if text == "[":
            return self.listed(self.arguments("]"))
        if kind == "name" and self.peek()[1] == "(":
            self.next()
            return self.call(text)
        if kind == "name" and text in self.ids:
            return self.ids[text]
        raise self.error(f"unknown id or word {text!r}" if text else "it ends too early")

    def arguments(self, closing: str) -> list[Value]:
        values: list[Value] = []
        while True:
            values.append(self.binary(0))
            _, text = self.next()
            if text == closing:
                return values
            if text != ",":
                raise self.error(f"',' or {closing!r} expected, not {text!r}")

    def listed(self, values: list[Value]) -> list[Series]:
        series: list[Series] = []
        for value in values:
            if isinstance(value, float):
                raise self.error("a list holds time series only; use IF(x > 0, x, 0) for bounds")
            series += value if isinstance(value, list) else [value]
        return series

    def call(self, name: str) -> Value:
        if name == "METRICS":
            return self.call_metrics()
        if name == "FILL":
            return self.call_fill()
        arguments = self.arguments(")")
        if name == "IF" and len(arguments) in (2, 3):
            return self.choose(arguments)
        if len(arguments) != 1:
            raise self.error(f"{name} does not take {len(arguments)} arguments")
        (argument,) = arguments
        if name in _REDUCERS:
            return self.reduce(name, argument)
        if name in _EACH and not isinstance(argument, float):
            return _map(argument, _EACH[name])
        if name == "PERIOD" and isinstance(argument, dict):
            return float(self.span.period)
        if name == "TIME_SERIES" and isinstance(argument, float):
            return dict.fromkeys(self.span.times, argument)
        raise self.error(f"{name} of such an argument is not known here")

    def call_metrics(self) -> list[Series]:
        kind, text = self.next()
        wanted = text.strip("\"'") if kind == "text" else ""
        if kind == "text":
            self.expect(")")
        elif text != ")":
            raise self.error("METRICS takes nothing or a quoted part of an id")
        return [self.ids[name] for name in self.metrics if wanted in name]

    def call_fill(self) -> Value:
        target = self.binary(0)
        self.expect(",")
        word = self.peek()[1]
        filler: Value | str = self.next()[1] if word in ("REPEAT", "LINEAR") else self.binary(0)
        self.expect(")")
        if isinstance(target, float) or isinstance(filler, list):
            raise self.error("FILL fills time series, with a number, a series, REPEAT or LINEAR")
        if isinstance(target, list):
            return [self.fill(series, filler) for series in target]
        return self.fill(target, filler)

    def fill(self, series: Series, filler: float | Series | str) -> Series:
        if isinstance(filler, float):
            return {at: series.get(at, filler) for at in self.span.times}
        if isinstance(filler, dict):
            return {**{at: filler[at] for at in self.span.times if at in filler}, **series}
        return _fill_from_neighbours(series, self.span.times, linear=filler == "LINEAR")

    def reduce(self, name: str, argument: Value) -> Value:
        reducer = _REDUCERS[name]
        if isinstance(argument, float):
            raise self.error(f"{name} needs a time series or a list of them")
        if isinstance(argument, dict):
            return float(reducer(list(argument.values()))) if argument else 0.0
        times = sorted(set().union(*argument))
        if name == "AVG":
            return {at: reducer([series.get(at, 0.0) for series in argument]) for at in times}
        return {
            at: float(reducer([series[at] for series in argument if at in series])) for at in times
        }

    def choose(self, arguments: list[Value]) -> Value:
        condition, yes = arguments[0], arguments[1]
        no = arguments[2] if len(arguments) == 3 else {}
        if any(isinstance(argument, list) for argument in arguments):
            raise self.error("IF takes time series and numbers, no lists")
        if isinstance(condition, float):
            return yes if condition else no
        chosen: Series = {}
        assert isinstance(condition, dict)
        for at, held in condition.items():
            branch = yes if held else no
            if isinstance(branch, float):
                chosen[at] = branch
            elif isinstance(branch, dict) and (at in branch or held):
                # A true condition over a missing point gives 0, a false one drops the point.
                chosen[at] = branch.get(at, 0.0)
        return chosen

    def combine(self, sign: str, left: Value, right: Value) -> Value:
        if isinstance(left, list) and isinstance(right, list):
            raise self.error(f"{sign} does not join two lists")
        if isinstance(left, list):
            return [_point_wise(sign, series, right) for series in left]  # type: ignore[arg-type]
        if isinstance(right, list):
            return [_point_wise(sign, left, series) for series in right]
        if isinstance(left, float) and isinstance(right, float):
            value = _apply(sign, left, right)
            if value is None:
                raise self.error("division by zero")
            return value
        return _point_wise(sign, left, right)


def _tokens(expression: str) -> list[tuple[str, str]]:
    tokens = []
    position = 0
    text = expression.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise MathError(f"{expression!r}: cannot read {text[position:]!r}")
        kind = str(match.lastgroup)
        word = match[kind]
        tokens.append(("operator", _WORDS[word]) if word in _WORDS else (kind, word))
        position = match.end()
    return [*tokens, ("end", "")]


_OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "^": operator.pow,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "&&": lambda left, right: left != 0 and right != 0,
    "||": lambda left, right: left != 0 or right != 0,
}


def _apply(sign: str, left: float, right: float) -> float | None:
    """Both sides joined; None where a division by zero drops the point."""
    if sign == "/":
        return left / right if right else None
    try:
        value = _OPERATORS[sign](left, right)
    except (OverflowError, ZeroDivisionError):
        return None
    return None if isinstance(value, complex) else float(value)


def _point_wise(sign: str, left: float | Series, right: float | Series) -> Series:
    if isinstance(left, dict) and isinstance(right, dict):
        times = sorted(left.keys() | right.keys())
        pairs = ((at, left.get(at, 0.0), right.get(at, 0.0)) for at in times)
    elif isinstance(left, dict):
        assert isinstance(right, float)
        pairs = ((at, value, right) for at, value in left.items())
    else:
        assert isinstance(right, dict)
        pairs = ((at, left, value) for at, value in right.items())
    values = ((at, _apply(sign, one, other)) for at, one, other in pairs)
    return {at: value for at, value in values if value is not None}


def _map(value: Series | list[Series], function: Callable[[float], float]) -> Value:
    if isinstance(value, list):
        return [{at: float(function(point)) for at, point in series.items()} for series in value]
    return {at: float(function(point)) for at, point in value.items()}


def _fill_from_neighbours(series: Series, times: Sequence[int], linear: bool) -> Series:
    """Missing points take the point before (REPEAT) or lie on the line between (LINEAR)."""
    filled: Series = {}
    known = sorted(series)
    for at in times:
        before = max((time for time in known if time <= at), default=None)
        after = min((time for time in known if time >= at), default=None)
        if before is None:
            continue
        if linear and after is not None and after != before:
            step = (series[after] - series[before]) / (after - before)
            filled[at] = series[before] + step * (at - before)
        elif not linear or at in series:
            filled[at] = series[before]
    return filled
