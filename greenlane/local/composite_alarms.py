"""What state a composite alarm is in: its rule, read and judged as CloudWatch does.

Source: "Creating a composite alarm" of the CloudWatch user guide, and `PutCompositeAlarm`.
"""

import re
from collections.abc import Callable, Iterator

from greenlane.local.operations import AwsError

MOST_CHARACTERS = 10_240
MOST_CHILDREN = 100
_TOKEN = re.compile(
    r"\s*(?:(?P<state>ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:\"(?P<quoted>[^\"]+)\"|'(?P<single>[^']+)'"
    r"|(?P<bare>[^\s\"'()]+))\s*\)|(?P<word>AND|OR|NOT|TRUE|FALSE)\b|(?P<sign>[()]))"
)

State = Callable[[str], str]
"""The state of an alarm by its name, or by its ARN."""
Token = tuple[str, str]


def children_of(rule: str) -> list[str]:
    """The names, or ARNs, that a rule mentions, each once.

    Raises:
        AwsError: `ValidationError`, it is no rule.
    """
    tokens = list(_tokens(rule))
    _Rule([*tokens], lambda _: "OK").run()
    names = [name for state, name in tokens if state in ("ALARM", "OK", "INSUFFICIENT_DATA")]
    found = list(dict.fromkeys(names))
    if len(rule) > MOST_CHARACTERS or len(found) > MOST_CHILDREN:
        raise AwsError("ValidationError", "AlarmRule is too long or names too many alarms")
    return found


def is_true(rule: str, state: State) -> bool:
    """Whether a rule is true in the states that its alarms are in."""
    return _Rule(list(_tokens(rule)), state).run()


def _tokens(rule: str) -> Iterator[Token]:
    position, text = 0, rule.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise AwsError("ValidationError", f"AlarmRule cannot be read at {text[position:]!r}")
        if found["state"]:
            yield found["state"], found["quoted"] or found["single"] or found["bare"]
        else:
            yield "", found["word"] or found["sign"]
        position = found.end()
    yield "", "the end"


class _Rule:
    """Recursive descent; NOT binds closest, then AND, then OR."""

    def __init__(self, tokens: list[Token], state: State) -> None:
        self._tokens, self._state = tokens, state

    def run(self) -> bool:
        value = self._any()
        if self._tokens[0] != ("", "the end"):
            raise AwsError("ValidationError", f"AlarmRule: unexpected {self._tokens[0][1]}")
        return value

    def _any(self) -> bool:
        value = self._all()
        while self._tokens[0] == ("", "OR"):
            self._tokens.pop(0)
            value |= self._all()
        return value

    def _all(self) -> bool:
        value = self._one()
        while self._tokens[0] == ("", "AND"):
            self._tokens.pop(0)
            value &= self._one()
        return value

    def _one(self) -> bool:
        state, text = self._tokens[0]
        if text == "the end" and not state:
            raise AwsError("ValidationError", "AlarmRule ends too early")
        self._tokens.pop(0)
        if state:
            return self._state(text) == state
        if text == "NOT":
            return not self._one()
        if text in ("TRUE", "FALSE"):
            return text == "TRUE"
        if text != "(":
            raise AwsError("ValidationError", f"AlarmRule: unexpected {text}")
        value = self._any()
        if self._tokens[0] != ("", ")"):
            raise AwsError("ValidationError", "AlarmRule: a parenthesis is not closed")
        self._tokens.pop(0)
        return value
