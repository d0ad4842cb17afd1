"""`@feature_flag`: a function that runs only for those who have a flag."""

import functools
import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Mapping,
)
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from greenlane.errors import GreenlaneError
from greenlane.flags.sdk.answers import Told
from greenlane.flags.sdk.contexts import current
from greenlane.flags.sdk.manager import FeatureFlagManager, default_manager

P = ParamSpec("P")
R = TypeVar("R")
Y = TypeVar("Y")
S = TypeVar("S")

Decide = Callable[[tuple[Any, ...], dict[str, Any]], bool]

_tell = Told()

ARGUMENT = "user_context"
"""A parameter of this name is the user whom the call is for."""


class Kept(Protocol):
    """A decorator that leaves a function's type as it is."""

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Decorate a function."""
        ...


class Skipped(Protocol):
    """A decorator after which a function may give None instead."""

    @overload
    def __call__(
        self, function: Callable[P, AsyncGenerator[Y, S]], /
    ) -> Callable[P, AsyncGenerator[Y, S]]: ...
    @overload
    def __call__(
        self, function: Callable[P, Generator[Y, S, R]], /
    ) -> Callable[P, Generator[Y, S, R | None]]: ...
    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Y, S, R]], /
    ) -> Callable[P, Coroutine[Y, S, R | None]]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Callable[P, R | None]: ...


@overload
def feature_flag(
    flag: str,
    default_behavior: Callable[..., Any],
    *,
    manager: FeatureFlagManager | None = None,
    context: Callable[..., Mapping[str, Any]] | None = None,
) -> Kept: ...
@overload
def feature_flag(
    flag: str,
    default_behavior: None = None,
    *,
    manager: FeatureFlagManager | None = None,
    context: Callable[..., Mapping[str, Any]] | None = None,
) -> Skipped: ...
def feature_flag(
    flag: str,
    default_behavior: Callable[..., Any] | None = None,
    *,
    manager: FeatureFlagManager | None = None,
    context: Callable[..., Mapping[str, Any]] | None = None,
) -> Any:
    """Run a function only for those who have a boolean flag.

    Functions, coroutine functions, generators and asynchronous generators stay what they are, with
    their signature. Generators decide when they are first asked for something. What the function
    itself raises is raised, and never leads to the default behaviour.

    Args:
        flag: its key.
        default_behavior: called with the same arguments for everybody else, and on any error in
            deciding. Without one they get None, or nothing out of a generator.
        manager: who decides; without one, the process's (see `use_manager`).
        context: from the call's arguments to the user. Without it the user is the argument named
            `user_context` where the function has one and it is given, else the current one (see
            `user_context`).

    Raises:
        TypeError: what is decorated, or the default behaviour, is no function, or there is no key.
    """
    if not isinstance(flag, str):
        raise TypeError(f"write @feature_flag('key') with the flag's key, not {flag!r}")
    if default_behavior is not None and not callable(default_behavior):
        # Found now, and not by the first user who does not have the flag.
        raise TypeError(f"default_behavior of {flag!r} is no function: {default_behavior!r}")

    def decorate(function: Any) -> Any:
        if not callable(function) or isinstance(function, type | staticmethod):
            # Static and class methods too are descriptors here, and no functions.
            raise TypeError(f"@feature_flag({flag!r}) goes next to the function: {function!r}")
        decide = _decider(flag, function, manager, context)
        default = _nothing if default_behavior is None else default_behavior
        if inspect.isasyncgenfunction(function):
            return _async_generator(function, default, _async_decider(flag, decide, manager))
        if inspect.isgeneratorfunction(function):
            return _generator(function, default, decide)
        if inspect.iscoroutinefunction(function):
            return _coroutine(function, default, _async_decider(flag, decide, manager))
        return _plain(function, default, decide)

    return decorate


def _nothing(*arguments: Any, **named: Any) -> None:
    """What happens where there is no default behaviour."""


def _plain(function: Any, default: Any, decide: Decide) -> Any:
    @functools.wraps(function)
    def decided(*arguments: Any, **named: Any) -> Any:
        if decide(arguments, named):
            return function(*arguments, **named)
        return default(*arguments, **named)

    return decided


def _coroutine(function: Any, default: Any, decide: Any) -> Any:
    @functools.wraps(function)
    async def decided(*arguments: Any, **named: Any) -> Any:
        if await decide(arguments, named):
            return await function(*arguments, **named)
        found = default(*arguments, **named)
        return await found if inspect.isawaitable(found) else found

    return decided


def _generator(function: Any, default: Any, decide: Decide) -> Any:
    @functools.wraps(function)
    def decided(*arguments: Any, **named: Any) -> Any:
        if decide(arguments, named):
            return (yield from function(*arguments, **named))
        found = default(*arguments, **named)
        return None if found is None else (yield from found)

    return decided


def _async_generator(function: Any, default: Any, decide: Any) -> Any:
    @functools.wraps(function)
    async def decided(*arguments: Any, **named: Any) -> Any:
        if await decide(arguments, named):
            source = function(*arguments, **named)
        else:
            found = default(*arguments, **named)
            source = await found if inspect.isawaitable(found) else found
        # What `yield from` does in a generator: values and exceptions go in as well as out.
        generator = source if inspect.isasyncgen(source) else _asynchronous(source)
        try:
            value = await generator.__anext__()
            while True:
                try:
                    sent = yield value
                except GeneratorExit:
                    raise
                except BaseException as error:
                    value = await generator.athrow(error)
                else:
                    value = await generator.asend(sent)
        except StopAsyncIteration:
            return
        finally:
            await generator.aclose()

    return decided


async def _asynchronous(
    source: AsyncIterator[Any] | Iterable[Any] | None,
) -> AsyncGenerator[Any, Any]:
    """What a default behaviour gave in place of an asynchronous generator."""
    if isinstance(source, AsyncIterator):
        async for item in source:
            yield item
    else:
        for item in source or ():
            yield item


def _decider(
    flag: str,
    function: Any,
    manager: FeatureFlagManager | None,
    context: Callable[..., Mapping[str, Any]] | None,
) -> Decide:
    """Whether a call is for somebody who has the flag; it never raises."""
    user_of = _user_of(function) if context is None else None

    def decide(arguments: tuple[Any, ...], named: dict[str, Any]) -> bool:
        try:
            if context is not None:
                user: Any = context(*arguments, **named)
            else:
                user = user_of(arguments, named) if user_of is not None else None
            if user is None:
                user = current.get()
            asked = manager if manager is not None else default_manager()
            return asked.is_feature_enabled(flag, user)
        except Exception as error:
            # Deciding must not break what works without the flag.
            _tell(flag, type(error).__name__, _said(error))
            return False

    return decide


def _said(error: Exception) -> str:
    """Our own errors tell what to do; the text of others may quote a user."""
    return (
        str(error)
        if isinstance(error, GreenlaneError)
        else "it could not be decided, so its default counts"
    )


def _async_decider(
    flag: str, decide: Decide, manager: FeatureFlagManager | None
) -> Callable[[tuple[Any, ...], dict[str, Any]], Coroutine[Any, Any, bool]]:
    """The same, with what has to be read beforehand read in another thread."""

    async def awaited(arguments: tuple[Any, ...], named: dict[str, Any]) -> bool:
        try:
            asked = manager if manager is not None else default_manager()
            if asked.reader.due():
                await asked.refresh()
        except Exception as error:
            _tell(flag, type(error).__name__, _said(error))
            return False
        return decide(arguments, named)

    return awaited


def _user_of(function: Any) -> Callable[[tuple[Any, ...], dict[str, Any]], Any] | None:
    """Takes the argument `user_context` out of a call; None for a function without one."""
    parameters = list(inspect.signature(function).parameters.values())
    names = [parameter.name for parameter in parameters]
    if ARGUMENT not in names:
        return None
    place = names.index(ARGUMENT)
    parameter = parameters[place]
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return None
    positional = parameter.kind is not parameter.KEYWORD_ONLY

    def user_of(arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if positional and len(arguments) > place:
            return arguments[place]
        return named.get(ARGUMENT)

    return user_of
