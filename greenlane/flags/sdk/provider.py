"""Greenlane's flags for OpenFeature: `api.set_provider(GreenlaneProvider(manager))`.

Answers, reasons and error codes are the engine's own. Metadata of an answer: `ruleId`, `bucket`
(0 to 99,999), `version` of the flags, `environment`, and what the flag's own metadata holds.

With `experiments` a key that is no flag's may be an A/B test's: then the value is the name of a
variant, and the metadata are those of `greenlane.experiments.answering`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from threading import Lock
from typing import Any, TypeVar, cast

from greenlane.experiments.answering import Answers, Unreadable
from greenlane.flags.evaluating.engine import Engine
from greenlane.flags.evaluating.evaluation import GENERAL, STALE, Evaluation, failed
from greenlane.flags.sdk.answers import TYPE_MISMATCH, as_type
from greenlane.flags.sdk.manager import FeatureFlagManager

try:
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.event import ProviderEventDetails
    from openfeature.exception import ErrorCode, GeneralError
    from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
    from openfeature.provider import AbstractProvider, Metadata
except ImportError as missing:
    raise ImportError(
        "the OpenFeature provider needs its SDK: pip install 'openfeature-sdk>=0.10'"
    ) from missing

T = TypeVar("T")
Plain = bool | int | float | str
Object = Sequence[FlagValueType] | Mapping[str, FlagValueType]


class GreenlaneProvider(AbstractProvider):
    """Resolves flags with a manager's engine, in process.

    Args:
        manager: whose flags.
        experiments: answers for A/B tests; none without it.
    """

    def __init__(self, manager: FeatureFlagManager, experiments: Answers | None = None) -> None:
        """See the class."""
        super().__init__()
        self._manager, self._experiments = manager, experiments
        self._lock = Lock()
        self._stale, self._version = False, -1

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return Metadata(name="greenlane")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Read the flags once.

        Raises:
            GeneralError: they could not be read. Evaluations go on and try again.
        """
        engine, stale = self._manager.reader.engine()
        if engine is None:
            self._stale = True  # handlers are told once they can be read
            raise GeneralError(f"the flags could not be read: {self._manager.reader.failure}")
        self._stale, self._version = stale, engine.version

    def shutdown(self) -> None:
        """Write the rest of what was counted."""
        if self._manager.telemetry is not None:
            self._manager.telemetry.flush()

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """A boolean flag."""
        return self._resolved(flag_key, default_value, bool, evaluation_context)

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """A string flag."""
        return self._resolved(flag_key, default_value, str, evaluation_context)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        """A number flag whose value is whole."""
        return self._resolved(flag_key, default_value, int, evaluation_context)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """A number flag."""
        return self._resolved(flag_key, default_value, float, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Object,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Object]:
        """An object flag."""
        return self._resolved(flag_key, default_value, dict, evaluation_context)

    async def resolve_boolean_details_async(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """A boolean flag; what is due is read in another thread."""
        await self._manager.refresh()
        return self.resolve_boolean_details(flag_key, default_value, evaluation_context)

    async def resolve_string_details_async(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """A string flag, or a test's variant; what is read is read in another thread."""
        await self._manager.refresh()
        resolve = partial(self.resolve_string_details, flag_key, default_value, evaluation_context)
        return resolve() if self._experiments is None else await asyncio.to_thread(resolve)

    async def resolve_integer_details_async(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        """A number flag whose value is whole; what is due is read in another thread."""
        await self._manager.refresh()
        return self.resolve_integer_details(flag_key, default_value, evaluation_context)

    async def resolve_float_details_async(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """A number flag; what is due is read in another thread."""
        await self._manager.refresh()
        return self.resolve_float_details(flag_key, default_value, evaluation_context)

    async def resolve_object_details_async(
        self,
        flag_key: str,
        default_value: Object,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Object]:
        """An object flag; what is due is read in another thread."""
        await self._manager.refresh()
        return self.resolve_object_details(flag_key, default_value, evaluation_context)

    def _resolved(
        self, key: str, default: T, kind: type, context: EvaluationContext | None
    ) -> FlagResolutionDetails[T]:
        found, about = self._found(key, as_user(context))
        if found.error is not None:
            return FlagResolutionDetails(
                value=default,
                error_code=ErrorCode(found.error),
                error_message=found.message,
                reason=Reason.ERROR,
                flag_metadata=about,
            )
        if found.value is None:
            value = default
        else:
            taken = as_type(found.value, kind)
            if taken is None:
                return FlagResolutionDetails(
                    value=default,
                    error_code=ErrorCode(TYPE_MISMATCH),
                    error_message=f"the flag's value is no {kind.__name__}",
                    reason=Reason.ERROR,
                    flag_metadata=about,
                )
            value = cast(T, taken)
        return FlagResolutionDetails(
            value=value,
            reason=Reason(found.reason),
            variant=found.variant,
            flag_metadata=about,
        )

    def _found(self, key: str, user: dict[str, Any]) -> tuple[Evaluation, dict[str, Plain]]:
        """What a flag or a test is for a user, and its metadata."""
        if self._experiments is not None:
            engine, _ = self._manager.reader.engine()
            tested = self._tested(key, user) if engine and key not in engine.flags else None
            if tested is not None:
                return tested
        found, engine = self._manager.detailed(key, user)
        self._watch(found, engine)
        return found, _metadata(key, found, engine)

    def _tested(self, key: str, user: dict[str, Any]) -> tuple[Evaluation, dict[str, Plain]] | None:
        """What a test is for a user; None when there is none of that name."""
        experiments = cast(Answers, self._experiments)
        try:
            answer = experiments.one(key, user, self._manager.reader.clock())
        except Unreadable:
            return failed(key, GENERAL, "no flag has this key, and no test can be read now"), {}
        if answer is None:
            return None
        if self._manager.telemetry is not None:
            self._manager.telemetry.tell(answer.found, experiments.version)
        return answer.found, dict(answer.metadata)

    def _watch(self, found: Evaluation, engine: Engine | None) -> None:
        """Tell handlers of events once when flags are stale, are well again, or have changed."""
        version = -1 if engine is None else engine.version
        stale = engine is None or found.reason == STALE
        if found.error is not None and engine is not None:
            stale = self._stale  # an error of one flag says nothing of the store
        with self._lock:
            was_stale, self._stale = self._stale, stale
            moved = engine is not None and version != self._version
            self._version = version if moved else self._version
        details = ProviderEventDetails(message="", flags_changed=None)
        if stale and not was_stale:
            self.emit_provider_stale(details)
        elif was_stale and not stale:
            self.emit_provider_ready(details)
        if moved:
            self.emit_provider_configuration_changed(details)


def as_user(context: EvaluationContext | None) -> dict[str, Any]:
    """A context as the engine takes it: `targetingKey` beside the attributes, times as text."""
    if context is None:
        return {}
    user = {name: _plain(value) for name, value in context.attributes.items()}
    if context.targeting_key is not None:
        user["targetingKey"] = context.targeting_key
    return user


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        # A time without an offset is UTC, as in conditions.
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(part) for part in value]
    return value


def _metadata(key: str, found: Evaluation, engine: Engine | None) -> dict[str, Plain]:
    about: dict[str, Plain] = {}
    if engine is None:
        return about
    own = engine.flags.get(key, {}).get("meta")
    if isinstance(own, dict):
        about |= {
            name: value
            for name, value in own.items()
            if isinstance(value, bool | int | float | str)
        }
    about |= {"version": engine.version, "environment": engine.environment}
    if found.rule is not None:
        about["ruleId"] = found.rule
    if found.bucket is not None:
        about["bucket"] = found.bucket
    return about
