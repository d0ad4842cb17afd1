"""One decorator for all functions: parse, log, map errors.

A handler is `handler(event_model, runtime) -> model | None`. The event is parsed into the model
that the first parameter names, and the second names the kind of runtime; the answer is its JSON.
The event itself is never logged: some events carry credentials.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel, ValidationError

from greenlane.errors import GreenlaneError, InvalidInput, NotYet
from greenlane.logs import logger
from greenlane.runtime import Runtime, Settings

Event = TypeVar("Event", bound=BaseModel)
Answer = TypeVar("Answer", bound=BaseModel | None)
Kind = TypeVar("Kind", bound=Runtime)


def entrypoint(
    function: Callable[[Event, Kind], Answer],
) -> Callable[[dict[str, Any], Any], dict[str, Any] | None]:
    """Make a Lambda handler of `function(event_model, runtime)`.

    Raises (from the handler):
        InvalidInput: the event does not have the model's shape.
        GreenlaneError: whatever the function raised; its class name is what state machines catch.
    """
    first, second = list(inspect.signature(function).parameters)[:2]
    hints = get_type_hints(function)
    model: type[Event] = hints[first]
    kind: Any = hints[second]
    actor = function.__module__.rsplit(".", 1)[-1]

    @functools.wraps(function)
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any] | None:
        logger.append_keys(function=actor, request_id=getattr(context, "aws_request_id", None))
        parsed = _parse(model, event)
        try:
            answer = function(parsed, _runtime(actor, kind))
        except NotYet as error:
            logger.info(str(error), error=type(error).__name__)
            raise
        except GreenlaneError as error:
            logger.warning(str(error), error=type(error).__name__)
            raise
        except Exception:
            # Logged with its trace, and raised as it is: the workflow retries or goes back.
            logger.exception("unexpected error")
            raise
        return None if answer is None else answer.model_dump(mode="json")

    return handler


@functools.cache
def _runtime(actor: str, kind: type[Any]) -> Any:
    return kind(settings=Settings.from_environment(), actor=actor)


def _parse(model: type[Event], event: dict[str, Any]) -> Event:
    try:
        return model.model_validate(event)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=True)[0]
        field = ".".join(str(part) for part in first["loc"]) or "event"
        # The whole event may carry secrets; only a wrong leaf is named.
        value = first["input"] if isinstance(first["input"], str | int | float) else "..."
        raise InvalidInput(field, value, first["msg"]) from None
