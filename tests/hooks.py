"""Lambda as the product calls it: the user's hooks."""

import json
from typing import Any


class Hooks:
    """Lambda: hooks that answer what the test sets."""

    def __init__(self) -> None:
        self.answer: Any = {"verdict": "pass"}
        self.error = False
        self.called: list[dict[str, Any]] = []

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        self.called.append({"name": FunctionName} | json.loads(Payload))
        body = json.dumps(self.answer).encode()
        found: dict[str, Any] = {"Payload": _Body(body)}
        return found | ({"FunctionError": "Unhandled"} if self.error else {})


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self) -> bytes:
        return self._content
