"""`ABTestManager`: A/B tests in a Python service, by the names that the specification gives them.

::

    manager = ABTestManager.connect(by="ada@example.com")
    manager.create_ab_test("checkout", {"control": 50, "treatment": 50})
    variant = manager.assign_variant("checkout", "user-1")
    manager.record_metric(
        "checkout", variant, "conversion_rate", 1, user_id="user-1", event_id="order-17"
    )
    manager.should_stop_test("checkout")

It writes the table itself, so whoever uses it needs `dynamodb:GetItem`, `Query`, `PutItem` and
`UpdateItem` on it. What it is given is checked as a file is.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from greenlane.clock import Clock, current_clock
from greenlane.errors import InvalidInput
from greenlane.experiments.counting.events import Assigned, Event, Exposure, Recorded
from greenlane.experiments.counting.reading import read_snapshot
from greenlane.experiments.counting.recording import Recorder
from greenlane.experiments.decision import decide
from greenlane.experiments.model import Experiment
from greenlane.experiments.names import TABLE
from greenlane.experiments.records import ENDS, Look
from greenlane.experiments.storing import keeping
from greenlane.experiments.storing.store import DynamoExperimentStore
from greenlane.flags.storing.submitting import checked
from greenlane.problems import excerpt

Context = Mapping[str, Any]


class ABTestManager:
    """Creates A/B tests, deals variants, records what users do, and says what it came to.

    Args:
        client: a boto3 `dynamodb` client; its timeouts and retries are the caller's choice.
        table: the table of A/B tests.
        minimum_sample_size: users of each variant, of tests that do not say.
        alpha: the level of tests that do not say.
        clock: the present instant.
        by: who creates tests where a call does not say.
    """

    def __init__(
        self,
        client: Any,
        table: str = TABLE,
        *,
        minimum_sample_size: int = 1000,
        alpha: Decimal | float = Decimal("0.05"),
        clock: Clock | None = None,
        by: str | None = None,
    ) -> None:
        """See the class."""
        self._clock, self._by = clock or current_clock(), by
        self._client, self._table = client, table
        self.store = DynamoExperimentStore(client, table)
        self.recorder = Recorder(client, table, clock=self._clock)
        self._size, self._alpha = minimum_sample_size, alpha

    @classmethod
    def connect(
        cls,
        *,
        table: str = TABLE,
        region: str | None = None,
        endpoint_url: str | None = None,
        minimum_sample_size: int = 1000,
        alpha: Decimal | float = Decimal("0.05"),
        by: str | None = None,
    ) -> "ABTestManager":
        """The tests of an account out of their table, by boto3's usual credentials.

        Args:
            table: its name.
            region: of the table; by default boto3's own.
            endpoint_url: of DynamoDB, for a local cloud.
            minimum_sample_size: see the class.
            alpha: see the class.
            by: see the class.
        """
        import boto3
        from botocore.config import Config

        make: Any = boto3.client
        retries: Any = {"mode": "standard", "total_max_attempts": 4}
        config = Config(connect_timeout=1.0, read_timeout=5.0, retries=retries)
        client = make("dynamodb", region_name=region, endpoint_url=endpoint_url, config=config)
        return cls(client, table, minimum_sample_size=minimum_sample_size, alpha=alpha, by=by)

    def create_ab_test(
        self,
        test_name: str,
        variants: Mapping[str, Decimal | int | float],
        *,
        metrics: tuple[str | Mapping[str, Any], ...] = ("conversion_rate",),
        by: str | None = None,
        reason: str = "",
        **keys: Any,
    ) -> str:
        """Create a test and start it; the same again changes nothing.

        Args:
            test_name: its name.
            variants: percent by variant, adding up to 100.
            metrics: what is measured, the primary one first.
            by: who; the manager's `by` when left out.
            reason: for the audit.
            **keys: any other key of a file, such as `maximum_duration="14d"`.

        Returns:
            `ab_test:<name>`.

        Raises:
            InvalidInput: the test would be wrong; with everything that is.
            Refused: there is a test of that name that runs or ended, and is otherwise.
        """
        author = by or self._by
        if not author:
            raise InvalidInput("by", by, "say who creates it, such as ada@example.com")
        told = {"variants": variants, "metrics": metrics, "minimum_sample_size": self._size, **keys}
        written = _plain(told)
        definition = checked(Experiment, written)
        if "success_criteria" not in keys:
            level = {definition.primary_metric.name: {"significance_level": self._alpha}}
            definition = checked(Experiment, _plain({**written, "success_criteria": level}))
        now = self._clock.now()
        keeping.create(
            self.store, test_name, definition, by=author, reason=reason, at=now, start=True
        )
        return f"ab_test:{test_name}"

    def assign_variant(
        self,
        test_name: str,
        user_id: str,
        context: Context | None = None,
        *,
        expose: bool = True,
    ) -> str:
        """The variant of a user, and, unless told otherwise, that the user is shown it now.

        Who takes no part has the control's, and nothing is counted of him.

        Args:
            test_name: which test.
            user_id: who.
            context: what else is known of the user: for targeting, segments and covariates.
            expose: count the user. Say False where the variant may never be shown, and tell
                `recorder.expose` when it is.

        Raises:
            UnknownTest: there is no such test.
            InvalidInput, CountersBusy: see `Recorder.expose`.
        """
        assigned = self.assignment(test_name, user_id, context)
        if expose and assigned.takes_part:
            self.recorder.expose(
                Exposure(
                    test_name,
                    user_id,
                    assigned.variant,
                    dict(context or {}),
                    epoch=None if assigned.why == "recorded" else assigned.epoch,
                    run=assigned.run,
                )
            )
        return assigned.variant

    def assignment(self, test_name: str, user_id: str, context: Context | None = None) -> Assigned:
        """The variant of a user and why; nothing is recorded. Raises `UnknownTest`."""
        return self.recorder.assign(test_name, context or {}, unit=user_id)

    def record_metric(
        self,
        test_name: str,
        variant: str | None,
        metric_name: str,
        value: Decimal | int | float | str,
        *,
        user_id: str,
        event_id: str,
        at: datetime | None = None,
    ) -> Recorded:
        """Record what a user did, once for each event, however often it is sent.

        Args:
            test_name: which test.
            variant: that the user has, or None. Another one than is on record makes the user a
                crossover, who counts no more.
            metric_name: what is recorded.
            value: a number; 1 for "did it".
            user_id: who.
            event_id: what tells this event from all others of this user and metric.
            at: when it happened, aware; now if left out.

        Raises:
            UnknownTest: there is no such test.
            InvalidInput: no such metric or variant, or a value that the metric does not take.
            CountersBusy: send it again.
        """
        event = Event(test_name, user_id, metric_name, value, event_id, at, variant)
        return self.recorder.record_one(event)

    def analyze_test_results(self, test_name: str) -> Look:
        """What a look would say now; after the end, the look that was the last.

        It is not kept, and spends nothing: the looks that count are the workflow's. Stopping by it
        whenever it is favourable is what makes tests wrong.

        Raises:
            UnknownTest: there is no such test.
            InvalidInput: it never ran.
        """
        test = self.store.test(test_name)
        looks = self.store.looks(test_name, test.run)
        if looks and (looks[-1].verdict in ENDS or looks[-1].final or test.status != "running"):
            return looks[-1]
        snapshot = read_snapshot(self._client, self._table, test, self._clock.now())
        return decide(test.definition, snapshot, looks)

    def should_stop_test(self, test_name: str) -> tuple[bool, str]:
        """Whether a test should stop now, and why; whether it did, after its end.

        Raises:
            UnknownTest: there is no such test.
            InvalidInput: it never ran.
        """
        test = self.store.test(test_name)
        if test.status == "concluded":
            return True, f"{test.verdict}: {test.reason}"
        look = self.analyze_test_results(test_name)
        return look.verdict in ENDS, f"{look.verdict}: {look.reason.text}"


def _plain(value: Any) -> Any:
    """What Python gives as a file would have it; a float is the number that it prints as."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise InvalidInput("value", excerpt(value), "write a finite number")
        return int(value) if value == value.to_integral_value() else float(value)
    return value
