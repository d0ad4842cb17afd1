"""DynamoDB's expressions: read by recursive descent, and judged as DynamoDB judges them.

What DynamoDB refuses, or what nothing here knows of, is an error: a condition that were ignored
would let a broken write pass its test. So there are top-level attributes only, and the functions
and clauses that `DynamoStore` uses.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any, NoReturn, TypeVar

from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

Value = dict[str, Any]
Attributes = dict[str, Value]
T = TypeVar("T")

_RESERVED = frozenset(ReservedKeywords.get_reserved_keywords())
_TOKEN = re.compile(r"[#:]?\w+|<>|<=|>=|[=<>(),+-]", re.ASCII)
_NAME = re.compile(r"#\w+|[A-Za-z_]\w*", re.ASCII)
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_FUNCTIONS = {
    "ConditionExpression": {
        "attribute_exists": 1,
        "attribute_not_exists": 1,
        "contains": 2,
        "begins_with": 2,
    },
    "KeyConditionExpression": {"begins_with": 2},
    "UpdateExpression": {"if_not_exists": 2},
    "ProjectionExpression": {},
}


class Refusal(Exception):
    """An error on its way to where it is known which operation it belongs to."""

    def __init__(self, message: str, code: str = "ValidationException", /, **members: Any) -> None:
        self.message, self.code, self.members = message, code, members
        super().__init__(message)


@dataclass(frozen=True)
class Path:
    """A top-level attribute: its name, or a `#placeholder` of it."""

    token: str


@dataclass(frozen=True)
class Literal:
    """A `:placeholder` of a value."""

    token: str


@dataclass(frozen=True)
class Call:
    """A function's name and arguments."""

    name: str
    arguments: tuple[Path | Literal, ...]


@dataclass(frozen=True)
class Binary:
    """Two operands and what stands between: a comparison, a sum, a difference."""

    operator: str
    left: "Operand"
    right: "Operand"


@dataclass(frozen=True)
class Among:
    """`operand IN (...)`."""

    operand: Path | Literal
    options: tuple[Path | Literal, ...]


@dataclass(frozen=True)
class Negated:
    """`NOT` a condition."""

    part: "Condition"


@dataclass(frozen=True)
class Joined:
    """Conditions joined by one word, AND or OR."""

    word: str
    parts: tuple["Condition", ...]


Operand = Path | Literal | Call | Binary
Condition = Call | Binary | Among | Negated | Joined


@dataclass
class Parser:
    """One expression, read by recursive descent.

    Args:
        kind: the parameter that it is given as, for messages.
        functions: how many arguments each function takes that may stand in it.
    """

    kind: str
    text: str
    functions: Mapping[str, int]
    used: set[str] = field(default_factory=set)
    at: int = 0
    closed: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self.tokens = _TOKEN.findall(self.text)
        if not self.tokens:
            self.refuse("The expression can not be empty;")
        if "".join(self.tokens) != "".join(self.text.split()):
            self.refuse(f"Syntax error in: {self.text}")

    def refuse(self, why: str) -> NoReturn:
        raise Refusal(f"Invalid {self.kind}: {why}")

    @property
    def token(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else "<EOF>"

    def unexpected(self) -> NoReturn:
        near = " ".join(self.tokens[max(self.at - 1, 0) : self.at + 2])
        self.refuse(f'Syntax error; token: "{self.token}", near: "{near}"')

    def take(self, *words: str) -> str:
        """The next token when it is one of these, else nothing."""
        found = self.token.upper()
        if found not in words:
            return ""
        self.at += 1
        return found

    def expect(self, word: str) -> None:
        if not self.take(word):
            self.unexpected()

    def listed(self, part: Callable[[], T]) -> tuple[T, ...]:
        parts = [part()]
        while self.take(","):
            parts.append(part())
        return tuple(parts)

    def path(self) -> Path:
        token = self.token
        if not _NAME.fullmatch(token):
            self.unexpected()
        if token.upper() in _RESERVED:
            self.refuse(f"Attribute name is a reserved keyword; reserved keyword: {token}")
        if token.startswith("#"):
            self.used.add(token)
        self.at += 1
        return Path(token)

    def operand(self) -> Path | Literal:
        token = self.token
        if not token.startswith(":"):
            return self.path()
        self.used.add(token)
        self.at += 1
        return Literal(token)

    def call_or_operand(self) -> Path | Literal | Call:
        if self.tokens[self.at + 1 : self.at + 2] != ["("]:
            return self.operand()
        name = self.token
        if name not in self.functions:
            self.refuse(f"Invalid function name; function: {name}")
        self.at += 2
        arguments = self.listed(self.operand)
        self.expect(")")
        if len(arguments) != self.functions[name]:
            self.refuse(f"Incorrect number of operands for operator or function: {name}")
        if not isinstance(arguments[0], Path):
            self.refuse(f"Operator or function requires a document path: {name}")
        return Call(name, arguments)

    def condition(self) -> Condition:
        return self.joined("OR", lambda: self.joined("AND", self.negation))

    def joined(self, word: str, part: Callable[[], Condition]) -> Condition:
        parts = [part()]
        while self.take(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Joined(word, tuple(parts))

    def negation(self) -> Condition:
        return Negated(self.negation()) if self.take("NOT") else self.primary()

    def primary(self) -> Condition:
        if self.take("("):
            return self.group()
        operand = self.call_or_operand()
        if isinstance(operand, Call):
            return operand
        if self.take("IN"):
            self.expect("(")
            options = self.listed(self.operand)
            self.expect(")")
            return Among(operand, options)
        sign = self.take("=", "<>", *_ORDERS) or self.unexpected()
        return Binary(sign, operand, self.operand())

    def group(self) -> Condition:
        start = self.at
        inner = self.condition()
        self.expect(")")
        if self.closed == (start + 1, self.at - 1):
            self.refuse("The expression has redundant parentheses;")
        self.closed = (start, self.at)
        return inner

    def update(self) -> dict[str, tuple[Any, ...]]:
        sections: dict[str, tuple[Any, ...]] = {}
        while self.at < len(self.tokens):
            word = self.take("SET", "REMOVE", "ADD") or self.unexpected()
            if word in sections:
                self.refuse(f'The "{word}" section can only be used once;')
            part = {"SET": self.assignment, "REMOVE": self.path, "ADD": self.addition}[word]
            sections[word] = self.listed(part)
        return sections

    def addition(self) -> tuple[Path, Literal]:
        target = self.path()
        value = self.operand()
        if not isinstance(value, Literal):
            self.unexpected()
        return target, value

    def assignment(self) -> tuple[Path, Operand]:
        target = self.path()
        self.expect("=")
        value: Operand = self.call_or_operand()
        sign = self.take("+", "-")
        return target, Binary(sign, value, self.call_or_operand()) if sign else value


@dataclass(frozen=True)
class Parsed:
    """What an expression says, and the placeholders that it says it with."""

    tree: Any
    used: frozenset[str]


@cache
def parse(kind: str, text: str) -> Parsed:
    parser = Parser(kind, text, _FUNCTIONS[kind])
    tree: Any
    if kind == "UpdateExpression":
        tree = parser.update()
    elif kind == "ProjectionExpression":
        tree = parser.listed(parser.path)
    else:
        tree = parser.condition()
    if parser.at < len(parser.tokens):
        parser.unexpected()
    return Parsed(tree, frozenset(parser.used))


def plain(value: Value) -> tuple[str, Any]:
    """A value as it compares: 1 and 1.0 are one number, and no number is a string."""
    ((kind, content),) = value.items()
    if kind == "N":
        return kind, Decimal(content)
    if kind == "L":
        return kind, [plain(part) for part in content]
    if kind == "M":
        return kind, {name: plain(part) for name, part in content.items()}
    return kind, content


def same(left: Value | None, right: Value | None) -> bool:
    """Whether both are there and equal."""
    return left is not None and right is not None and (left == right or plain(left) == plain(right))


def contains(whole: Value, part: Value) -> bool:
    """Whether a list has the entry, or a string the other string in it."""
    if "L" in whole:
        return any(same(entry, part) for entry in whole["L"])
    return "S" in whole and "S" in part and part["S"] in whole["S"]


@dataclass(frozen=True)
class Scope:
    """What an expression speaks of: an item, and the placeholders that were given with it."""

    item: Attributes
    names: Mapping[str, str]
    values: Mapping[str, Value]

    def name(self, path: Path) -> str:
        """The attribute that a path means."""
        return self.names.get(path.token, path.token)

    def value(self, operand: Path | Literal) -> Value | None:
        """What an operand stands for; None when the item lacks it."""
        if isinstance(operand, Literal):
            return self.values[operand.token]
        return self.item.get(self.name(operand))

    def shown(self, projection: tuple[Path, ...] | None) -> Attributes:
        """What the projection leaves of the item."""
        if projection is None:
            return self.item
        names = [self.name(path) for path in projection]
        return {name: self.item[name] for name in names if name in self.item}

    def require(self, operand: "Operand", kinds: tuple[str, ...], what: str) -> None:
        """A literal of a kind that an operator cannot take is wrong whatever the item holds."""
        if isinstance(operand, Literal):
            (kind,) = self.values[operand.token]
            if kind not in kinds:
                raise Refusal(
                    "Incorrect operand type for operator or function; "
                    f"operator or function: {what}, operand type: {kind}"
                )

    def holds(self, node: Condition) -> bool:
        """Whether a condition holds; each part is looked at, for each may be a mistake."""
        match node:
            case Joined(word, parts):
                found = [self.holds(part) for part in parts]
                return all(found) if word == "AND" else any(found)
            case Negated(part):
                return not self.holds(part)
            case Among(operand, options):
                mine = self.value(operand)
                return any(same(mine, self.value(option)) for option in options)
            case Binary(sign, left, right):
                return self.compare(sign, left, right)
            case Call(name, arguments):
                return self.test(name, *arguments)

    def compare(self, sign: str, left: Any, right: Any) -> bool:
        """What is absent equals nothing, and is neither more nor less."""
        one, two = self.value(left), self.value(right)
        if sign in ("=", "<>"):
            return same(one, two) == (sign == "=")
        for side in (left, right):
            self.require(side, ("S", "N"), sign)
        if one is None or two is None or one.keys() != two.keys() or not one.keys() < {"S", "N"}:
            return False
        return _ORDERS[sign](plain(one), plain(two))

    def test(self, name: str, path: Path | Literal, *more: Path | Literal) -> bool:
        """One of the functions that are conditions."""
        found = self.value(path)
        if not more:
            return (found is not None) == (name == "attribute_exists")
        if name == "begins_with":
            self.require(more[0], ("S",), name)
        part = self.value(more[0])
        if found is None or part is None:
            return False
        if name == "contains":
            return contains(found, part)
        return "S" in found and "S" in part and found["S"].startswith(part["S"])

    def result(self, node: Operand) -> Value:
        """What an update sets an attribute to."""
        if isinstance(node, Binary):
            one, two = (self.number(side, node.operator) for side in (node.left, node.right))
            return {"N": f"{one + two if node.operator == '+' else one - two:f}"}
        if isinstance(node, Call):
            path, otherwise = node.arguments
            return self.value(path) or self.result(otherwise)
        found = self.value(node)
        if found is None:
            raise Refusal(
                "The provided expression refers to an attribute that does not exist in the item"
            )
        return found

    def number(self, node: Operand, sign: str) -> Decimal:
        """A term of a sum."""
        self.require(node, ("N",), sign)
        kind, content = plain(self.result(node))
        if kind != "N":
            raise Refusal("An operand in the update expression has an incorrect data type")
        return Decimal(content)
