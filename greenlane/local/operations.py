"""Answers AWS operations that moto lacks or only pretends, inside a running moto server.

moto finds the method for an operation by name on a service's response class. `Operations` puts a
method of ours there, for one region, and puts everything back when the local cloud stops. What we
do not replace stays moto's.
"""

import threading
from collections.abc import Callable
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import camelcase_to_underscores

Parameters = dict[str, Any]
Operation = Callable[[Parameters], dict[str, Any] | None]
"""Takes the request's parameters and returns the response's members, both named as AWS names
them; None lets moto answer."""

_Key = tuple[type[BaseResponse], str]
_lock = threading.Lock()
_replaced: dict[_Key, dict[str, Operation]] = {}
_originals: dict[_Key, Any] = {}


class AwsError(ServiceException):
    """An error for the caller of an operation, with AWS's own code."""

    def __init__(self, code: str, message: str) -> None:
        """See the class."""
        super().__init__(code, message)


class Operations:
    """The operations that one local cloud answers itself for one service and region."""

    def __init__(self, response_class: type[BaseResponse], region: str) -> None:
        """See the class."""
        self._response_class = response_class
        self._region = region
        self._keys: list[_Key] = []

    def answer(self, operation: str, function: Operation) -> None:
        """Let `function` answer `operation` (`DescribeServices`) from now on."""
        key = (self._response_class, camelcase_to_underscores(operation))
        with _lock:
            if key not in _replaced:
                _originals[key] = self._response_class.__dict__.get(key[1])
                _replaced[key] = {}
                setattr(self._response_class, key[1], _dispatcher(key))
            _replaced[key][self._region] = function
        self._keys.append(key)

    def restore(self) -> None:
        """Give the operations back to moto."""
        with _lock:
            for key in self._keys:
                _replaced[key].pop(self._region, None)
                if _replaced[key]:
                    continue
                del _replaced[key]
                original = _originals.pop(key)
                if original is None:
                    delattr(*key)
                else:
                    setattr(*key, original)
            self._keys.clear()


def _dispatcher(key: _Key) -> Callable[[BaseResponse], ActionResult]:
    def method(response: BaseResponse) -> ActionResult:
        function = _replaced.get(key, {}).get(response.region)
        answer = function(dict(response.params)) if function is not None else None
        if answer is not None:
            # moto leaves out tags by a mark on the class, which outlives the request that set it.
            response.RESPONSE_KEY_PATH_TO_TRANSFORMER = {}
            return ActionResult(answer)
        original = _originals.get(key)
        if original is None:
            raise AwsError("InvalidAction", f"{key[1]} is not available in {response.region}")
        return original(response)  # type: ignore[no-any-return]

    return method
