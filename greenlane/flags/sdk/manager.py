"""`FeatureFlagManager`: flags in a Python service, asked in process and changed by their store."""

import os
import time
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar, cast

from greenlane.clock import Clock, current_clock
from greenlane.errors import InvalidInput, Refused
from greenlane.flags.evaluating.evaluation import ERROR, GENERAL, Evaluation, failed
from greenlane.flags.reading.reader import Reader
from greenlane.flags.reading.telemetry import Telemetry
from greenlane.flags.sdk.answers import TYPE_MISMATCH, Told, as_type, log
from greenlane.flags.sdk.awaiting import Shared
from greenlane.flags.sdk.contexts import current

if TYPE_CHECKING:
    from greenlane.flags.evaluating.engine import Engine
    from greenlane.flags.lifecycle.use import Uses
    from greenlane.flags.storing.store import FlagStore
    from greenlane.flags.storing.submitting import Kept

T = TypeVar("T", bool, str, int, float, dict[str, Any])

Percent = Decimal | int | float | str

_TELL_AGAIN_SECONDS = 60.0


class FeatureFlagManager:
    """Asks flags in process, and changes them where they are stored.

    Whatever is asked answers, and never raises: on any error it is the code's default. Changes
    raise what is wrong.

    Args:
        reader: keeps the flags of one environment up to date.
        store: where flags are kept; without it nothing can be changed.
        telemetry: counts evaluations; without it none are counted.
        uses: notes which flags are evaluated at all; without it nobody does.
        clock: the present instant, for changes.
        by: who changes flags where a call does not say.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        store: "FlagStore | None" = None,
        telemetry: Telemetry | None = None,
        uses: "Uses | None" = None,
        clock: Clock | None = None,
        by: str | None = None,
    ) -> None:
        """See the class."""
        self.reader, self.store, self.telemetry = reader, store, telemetry
        self.uses = uses
        self._clock, self._by = clock or current_clock(), by
        # Decided once: the way of a lookup is short.
        self._counts = uses is not None or (telemetry is not None and telemetry.on)
        self._tell, self._shared = Told(), Shared()
        self._told_of_reads = float("-inf")
        if reader.on_failure is None:
            reader.on_failure = self._unread

    @classmethod
    def connect(
        cls,
        environment: str,
        *,
        table: str = "greenlane-flags",
        region: str | None = None,
        endpoint_url: str | None = None,
        ttl_seconds: float = 5.0,
        max_stale_seconds: float = 3600.0,
        sampled: float = 0.0,
        record_use: float = 0.0,
        by: str | None = None,
    ) -> "FeatureFlagManager":
        """The flags of an environment out of their table, by boto3's usual credentials.

        Args:
            environment: whose flags.
            table: its name.
            region: of the table; by default boto3's own.
            endpoint_url: of DynamoDB, for a local cloud.
            ttl_seconds: how long a flag that was switched off may still be on, plus one read.
            max_stale_seconds: how long a store that fails is answered for.
            sampled: the share of evaluations that is counted, 0 to 1.
            record_use: the share of hours, 0 to 1, in which this process notes in the table which
                flags it evaluates, for `greenlane flags stale`; it needs `dynamodb:UpdateItem`.
            by: who changes flags where a call does not say.

        Raises:
            InvalidInput: a value that cannot be.
        """
        import boto3
        from botocore.config import Config

        from greenlane.flags.reading.sources import BotoSource
        from greenlane.flags.storing.store import DynamoFlagStore

        def client(read_timeout: float, attempts: int) -> Any:
            make: Any = boto3.client
            retries: Any = {"mode": "standard", "total_max_attempts": attempts}
            config = Config(connect_timeout=1.0, read_timeout=read_timeout, retries=retries)
            return make("dynamodb", region_name=region, endpoint_url=endpoint_url, config=config)

        # A lookup waits for a read, so that one gives up soon; a change is worth waiting for.
        reader = Reader(
            BotoSource(client(2.0, 2), table),
            environment,
            ttl_seconds=ttl_seconds,
            max_stale_seconds=max_stale_seconds,
        )
        store = DynamoFlagStore(client(10.0, 4), table)
        telemetry = Telemetry(environment, sampled=sampled)
        uses = None
        if not 0 <= record_use <= 1:
            raise InvalidInput("record_use", record_use, "give a share from 0 to 1")
        if record_use:
            from greenlane.flags.lifecycle.seen import Seen, boto_writer
            from greenlane.flags.lifecycle.use import Uses

            write = boto_writer(client(2.0, 1), table)
            uses = Uses(Seen(write, environment, sample=record_use), reader)
        return cls(reader, store=store, telemetry=telemetry, uses=uses, by=by)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], environment: str) -> "FeatureFlagManager":
        """The flags of a file, without a cloud; they can be asked and not changed.

        Args:
            path: definitions in YAML, or a compiled snapshot in JSON.
            environment: whose flags.
        """
        from greenlane.flags.reading.sources import FileSource

        return cls(Reader(FileSource(path), environment))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "FeatureFlagManager":
        """What the process's environment asks for.

        `FLAGS_ENVIRONMENT` names the environment. `FLAGS_FILE` is a file of flags; without it
        `FLAGS_TABLE` and `FLAGS_CLIENT` count, see `greenlane.flags.reading.sources.chosen_source`.

        Raises:
            InvalidInput: one of them is missing or wrong.
        """
        from greenlane.flags.reading.sources import chosen_source

        environment = environ.get("FLAGS_ENVIRONMENT", "")
        if not environment:
            raise InvalidInput("FLAGS_ENVIRONMENT", environment, "name it, such as production")
        if environ.get("FLAGS_FILE"):
            return cls.from_file(environ["FLAGS_FILE"], environment)
        return cls(Reader(chosen_source(environ), environment))

    def is_feature_enabled(
        self, flag: str, user_context: Mapping[str, Any] | None = None, default: bool = False
    ) -> bool:
        """Whether a boolean flag is on for a user; it fails closed.

        Args:
            flag: its key.
            user_context: `targetingKey` and whatever else is known; by default the current user.
            default: what counts on an error, for a flag that is switched off, and for one that is
                not boolean. Leave it False: then an error never switches anything on.
        """
        user: Any = current.get() if user_context is None else user_context
        if self._counts or type(user) is not dict:
            found = self.evaluate(flag, user)
        else:
            # As `evaluate`, without a call more: this is the way of every decorated function.
            found = self.reader.evaluate(flag, user)
        value = found[1]
        if value is True or value is False:
            return value
        if value is not None:
            self._tell(flag, TYPE_MISMATCH, "the flag is not boolean")
        elif found.error is not None:
            self._tell(flag, found.error, found.message)
        return default

    def evaluate(self, flag: str, user_context: Mapping[str, Any] | None = None) -> Evaluation:
        """What a flag is for a user, and why. A `value` of None means the code's default.

        Args:
            flag: its key.
            user_context: as in `is_feature_enabled`.
        """
        if self._counts:
            return self.detailed(flag, user_context)[0]
        found = self.reader.evaluate(flag, _user(user_context))
        if found[3] == ERROR:
            self._tell(flag, found.error or "", found.message)
        return found

    def detailed(
        self, flag: str, user_context: Mapping[str, Any] | None = None
    ) -> tuple[Evaluation, "Engine | None"]:
        """As `evaluate`, with the engine that said it: for its version and the flag's metadata."""
        try:
            engine, found = self.reader.detailed(flag, _user(user_context))
        except Exception as error:
            # Clocks and those who are told of failures are the caller's.
            engine, found = None, failed(flag, GENERAL, type(error).__name__)
        if self.telemetry is not None:
            try:
                self.telemetry.tell(found, engine.version if engine is not None else 0)
            except Exception as error:
                # Whether something can be told of a flag changes nothing about it.
                self._tell(flag, "telemetry", f"it cannot be counted: {type(error).__name__}")
        if self.uses is not None:
            try:
                self.uses.note(found, engine)
            except Exception as error:
                self._tell(flag, "use", f"it cannot be noted: {type(error).__name__}")
        if found.reason == ERROR:
            self._tell(flag, found.error or "", found.message)
        return found, engine

    def value(self, flag: str, default: T, user_context: Mapping[str, Any] | None = None) -> T:
        """What a flag of any type is for a user.

        Args:
            flag: its key.
            default: the code's, which also says the type: bool, str, int, float, or dict for an
                object. A number with a fraction is not taken where an int is asked for.
            user_context: as in `is_feature_enabled`.
        """
        found = self.evaluate(flag, user_context)
        if found.value is None:
            return default
        taken = as_type(found.value, type(default))
        if taken is None:
            self._tell(flag, TYPE_MISMATCH, f"the flag is not {type(default).__name__}")
            return default
        return cast(T, taken)

    def update_flag(
        self,
        flag: str,
        changes: Mapping[str, Any],
        *,
        environment: str | None = None,
        by: str | None = None,
        reason: str = "",
    ) -> "Kept":
        """Change some keys of a flag where it is stored.

        Args:
            flag: its key.
            changes: as a file would have them, such as `{"percentage": 25}`; None takes a key out.
            environment: for this one only; everywhere when left out.
            by: who; the manager's `by` when left out.
            reason: for the audit.

        Returns:
            The new version and the flag, or the proposal that waits for a second person.

        Raises:
            UnknownFlag: there is no such flag.
            InvalidInput: a key or a value is wrong, or nobody is named.
            FlagConflict: somebody else changed the flag in between.
            Refused: a ramp of the flag runs, or this manager has no store.
        """
        from greenlane.flags.storing.keeping import set_keys

        kept = set_keys(
            self._stored(),
            flag,
            changes,
            environment=environment,
            by=self._author(by),
            reason=reason,
            at=self._clock.now(),
        )
        self.reader.expire()
        return kept

    def gradual_rollout(
        self,
        flag: str,
        target_percentage: Percent,
        increment: Percent = 5,
        interval: timedelta = timedelta(minutes=5),
        *,
        by: str | None = None,
        reason: str = "",
    ) -> "Kept":
        """Raise a flag's percentage in steps, in this manager's environment; returns at once.

        What is written is that the flag is to be ramped. A workflow does the waiting, judges each
        step and goes back when the numbers turn bad.

        Args:
            flag: its key.
            target_percentage: percent to reach, more than there is now.
            increment: percent more in each step.
            interval: between two steps.
            by: who; the manager's `by` when left out.
            reason: for the audit.

        Returns:
            As `update_flag`; the flag's state in the environment has the ramp.

        Raises:
            UnknownFlag: there is no such flag.
            InvalidInput: a number is out of range, or the target is reached already.
            Refused: the flag is off there or ramps already, or this manager has no store.
        """
        from greenlane.flags.storing.ramp_records import start_ramp

        kept = start_ramp(
            self._stored(),
            flag,
            self.reader.environment,
            _percent("target_percentage", target_percentage),
            _percent("increment", increment),
            interval,
            self._author(by),
            at=self._clock.now(),
            reason=reason,
        )
        self.reader.expire()
        return kept

    def _stored(self) -> "FlagStore":
        if self.store is None:
            raise Refused(
                "these flags can be asked and not changed; make the manager with `store`, or by "
                "`FeatureFlagManager.connect`"
            )
        return self.store

    def _author(self, by: str | None) -> str:
        author = by or self._by
        if not author:
            raise InvalidInput("by", by, "say who changes it, such as ada@example.com")
        return author

    async def refresh(self) -> None:
        """Read what is due in another thread, so that an event loop need not wait for it."""
        if self.reader.due():
            await self._shared.run(self.reader.engine)

    def _unread(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._told_of_reads >= _TELL_AGAIN_SECONDS:
            self._told_of_reads = now
            log.warning("the flags could not be read: %s: %s", type(error).__name__, error)


def _user(user_context: Mapping[str, Any] | None) -> Any:
    """What the engine takes: a dict. What is no mapping goes through, and the engine tells."""
    user = current.get() if user_context is None else user_context
    return dict(user) if type(user) is not dict and isinstance(user, Mapping) else user


def _percent(field: str, value: Percent) -> Decimal:
    try:
        # By way of its shortest text: 0.1 is a tenth, and not the float beside it.
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("nan")
    if isinstance(value, bool) or not number.is_finite():
        raise InvalidInput(field, value, "write percent, such as 25 or 0.5")
    return number


_manager: FeatureFlagManager | None = None
_choosing = Lock()


def use_manager(manager: FeatureFlagManager | None) -> None:
    """Choose who decides for `@feature_flag` in this process; None is as before any choice."""
    global _manager
    _manager = manager


def default_manager() -> FeatureFlagManager:
    """Who decides for `@feature_flag`: the one chosen, else one from the environment.

    Raises:
        InvalidInput: none was chosen, and the environment names none.
    """
    global _manager
    if _manager is None:
        with _choosing:
            if _manager is None:
                _manager = FeatureFlagManager.from_environment()
    return _manager
