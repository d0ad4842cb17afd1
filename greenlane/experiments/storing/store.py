"""Where A/B tests are kept: every change is one transaction, so nothing of it is there in part.

A change writes the tests that it changes, an audit entry for each, and the compiled snapshot that
everybody deals from, on the condition that nobody else wrote since it was read. See `stored_items`
for the layout of the table.

What people and workflows do with tests (create, start, change, conclude) is in `keeping`, over
this: each of those is an edit of all tests.
"""

import random
import time
import uuid
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Protocol

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from greenlane.deployments.storing.items import Item
from greenlane.deployments.storing.shapes import StoredModel
from greenlane.deployments.storing.table import condition_failed
from greenlane.errors import InvalidInput, Refused, UnknownTest
from greenlane.experiments.records import Look
from greenlane.experiments.storing.compiling import compile_tests
from greenlane.experiments.storing.looks import StoredLooks
from greenlane.experiments.storing.state import (
    AuditedChange,
    SharedParts,
    StoredTest,
    StoredTests,
    Watch,
)
from greenlane.experiments.storing.stored_items import (
    EVERYBODY,
    SHARED,
    SHARED_AUDIT,
    SNAPSHOT,
    TEST,
    TESTS,
    VERSION,
    audit_item,
    content,
    head_item,
    key,
    packed,
    shared_item,
    snapshot_item,
    unpacked,
)
from greenlane.flags.storing.state import same

Edit = Callable[[StoredTests], StoredTests]

TRIES = 40
"""How often a change is made anew because somebody else was faster."""

REPEATS = 4
"""How often one transaction is sent when nobody knows whether it went in."""

MOST_CHANGED = 45
"""Tests that one change may touch: two items each, and five more, of a transaction's 100."""

_MAYBE = frozenset(
    {
        "InternalServerError",
        "ServiceUnavailable",
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "TransactionInProgressException",
    }
)
_AGAIN = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})


class ChangedTests(StoredModel):
    """What a change came to. `names` is empty when it changed nothing."""

    version: int
    tests: StoredTests
    names: tuple[str, ...] = ()


class ExperimentStore(Protocol):
    """What keeps A/B tests."""

    def read(self) -> StoredTests:
        """All tests; none at version 0 before the first change."""
        ...

    def tests(self) -> list[StoredTest]:
        """All tests, by name."""
        ...

    def test(self, name: str) -> StoredTest:
        """One test; raises `UnknownTest`."""
        ...

    def layers(self) -> SharedParts:
        """Layers and holdouts, as the next test that starts will find them."""
        ...

    def change(self, edit: Edit, *, by: str, reason: str, at: datetime) -> ChangedTests:
        """Read, edit and write, anew as long as somebody else is faster.

        Args:
            edit: from what is stored to what shall be; called once more for each try, so it has
                no effects of its own. What it raises is raised here. It leaves `version`, `by`,
                `at` and `change_reason` of the tests alone.
            by: who.
            reason: for the audit.
            at: when.

        Raises:
            InvalidInput: it does not fit; nothing was written.
            Refused: too many others change tests at once; nothing was written.
        """
        ...

    def snapshot(self) -> dict[str, Any]:
        """What all assigners deal from; see `greenlane.experiments.dealing`."""
        ...

    def looks(self, name: str, run: int) -> list[Look]:
        """All looks of a run, oldest first."""
        ...

    def keep_look(self, name: str, run: int, look: Look) -> Look:
        """Keep a look, once; the one that is stored.

        When a look of this number is stored already, that one is given back and nothing is
        written: what was decided stays decided, whoever asks again.
        """
        ...

    def watch(self, name: str, run: int) -> Watch | None:
        """What was last seen between two looks."""
        ...

    def keep_watch(self, name: str, run: int, watch: Watch) -> None:
        """Keep what was seen between two looks, over what was seen before."""
        ...

    def keep_execution(self, name: str, run: int, execution: str) -> bool:
        """Note which workflow looks after a run; False when that run does not run any more.

        It is no change of the test: no version, no audit entry.
        """
        ...

    def audit(self, name: str, limit: int = 50) -> list[AuditedChange]:
        """What was changed of a test, newest first."""
        ...


class DynamoExperimentStore(StoredLooks):
    """A/B tests in DynamoDB.

    Args:
        client: a boto3 `dynamodb` client; its timeouts and retries are the caller's choice.
        table: the table's name.
        sleep: how to wait between two tries, in seconds.
    """

    def __init__(
        self, client: Any, table: str, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """See the class."""
        super().__init__(client, table)
        self._sleep = sleep

    def read(self) -> StoredTests:
        """All tests; none at version 0 before the first change."""
        # The version first: a change that goes in meanwhile is told by its condition.
        head = self.get(f"{SNAPSHOT}#{EVERYBODY}", VERSION)
        tests = {test.name: test for test in self.tests()}
        version = int(head["version"]["N"]) if head is not None else 0
        return StoredTests(version=version, tests=tests, shared=self.layers())

    def tests(self) -> list[StoredTest]:
        """All tests, by name."""
        return [_test_in(item) for item in self.query(TESTS, TEST)]

    def test(self, name: str) -> StoredTest:
        """One test; raises `UnknownTest`."""
        found = self.find(name)
        if found is None:
            known = self.query(TESTS, TEST, projection="sk")
            raise UnknownTest(name, [one["sk"]["S"].removeprefix(TEST) for one in known])
        return found

    def find(self, name: str) -> StoredTest | None:
        """One test; None when there is none."""
        item = self.get(TESTS, f"{TEST}{name}")
        return None if item is None else _test_in(item)

    def layers(self) -> SharedParts:
        """Layers and holdouts, as the next test that starts will find them."""
        item = self.get(TESTS, SHARED)
        return SharedParts() if item is None else SharedParts.model_validate(unpacked(item))

    def snapshot(self) -> dict[str, Any]:
        """What all assigners deal from; see `greenlane.experiments.dealing`."""
        item = self.get(f"{SNAPSHOT}#{EVERYBODY}", SNAPSHOT)
        if item is None:
            return compile_tests(StoredTests())
        found: dict[str, Any] = unpacked(item)
        return found

    def change(self, edit: Edit, *, by: str, reason: str, at: datetime) -> ChangedTests:
        """Read, edit and write, anew as long as somebody else is faster.

        Args:
            edit: from what is stored to what shall be; called once more for each try, so it has
                no effects of its own. What it raises is raised here.
            by: who.
            reason: for the audit.
            at: when.

        Raises:
            InvalidInput: it does not fit; nothing was written.
            Refused: too many others change tests at once; nothing was written.
        """
        for number in range(TRIES):
            if number:
                # Of those that met once, one must come first the next time.
                self._sleep(random.uniform(0, min(0.02 * 2**number, 0.5)))
            before = self.read()
            after = edit(before)
            names = tuple(name for name in sorted(after.tests) if _moved(before, after, name))
            if not names and not _shares_otherwise(before, after):
                return ChangedTests(version=before.version, tests=before)
            after = _stamped(before, after, names, {"by": by, "at": at, "change_reason": reason})
            if self._write(before, after, names, (by, reason, at)):
                return ChangedTests(version=after.version, tests=after, names=names)
        raise Refused("the A/B tests are being changed by too many others at once; try again")

    def audit(self, name: str, limit: int = 50) -> list[AuditedChange]:
        """What was changed of a test, newest first."""
        items = self.query(f"audit#{name}", "", newest_first=True, limit=limit)
        return [AuditedChange.model_validate(unpacked(item)) for item in items]

    def keep_execution(self, name: str, run: int, execution: str) -> bool:
        """Note which workflow looks after a run; False when that run does not run any more.

        It is no change of the test: no version, no audit entry.
        """
        for number in range(1, REPEATS + 1):
            try:
                self.client.update_item(
                    TableName=self.table,
                    Key=key(TESTS, f"{TEST}{name}"),
                    UpdateExpression="SET #execution = :execution",
                    ConditionExpression="#run = :run AND #status = :running",
                    ExpressionAttributeNames={
                        "#execution": "execution",
                        "#run": "run",
                        "#status": "status",
                    },
                    ExpressionAttributeValues={
                        ":execution": {"S": execution},
                        ":run": {"N": str(run)},
                        ":running": {"S": "running"},
                    },
                )
            except ClientError as error:
                if condition_failed(error):
                    return False
                # A change of the test was on its way; botocore does not try that again.
                conflict = error.response["Error"]["Code"] == "TransactionConflictException"
                if not conflict or number == REPEATS:
                    raise
                self._sleep(random.uniform(0, 0.1 * 2**number))
            else:
                return True
        raise AssertionError("the last repeat returns or raises")

    def _write(
        self,
        before: StoredTests,
        after: StoredTests,
        names: tuple[str, ...],
        said: tuple[str, str, datetime],
    ) -> bool:
        """One transaction; False when somebody else was first."""
        if len(names) > MOST_CHANGED:
            way_out = f"change at most {MOST_CHANGED} tests at a time; split the file"
            raise InvalidInput("ab_tests", f"{len(names)} of them would change", way_out)
        ours = str(uuid.uuid4())
        writes = [self._put(*head_item(before.version, after.version))]
        entries: list[Item] = []
        for name in names:
            old, new = before.tests.get(name), after.tests[name]
            writes.append(self._test_write(old, new))
            entries.append(audit_item(name, new.version, ours, said, old, new))
        if before.shared != after.shared:
            old_shared, shared = before.shared, after.shared
            writes.append(self._put(shared_item(shared)))
            told = (old_shared, shared)
            entries.append(audit_item(SHARED_AUDIT, shared.version, ours, said, *told))
        writes += [self._put(entry, "attribute_not_exists(pk)") for entry in entries]
        writes.append(self._put(snapshot_item(before, after)))
        return self._sent(writes, entries[0], ours)

    def _put(self, item: Item, condition: str = "", values: Item | None = None) -> dict[str, Any]:
        put: dict[str, Any] = {"TableName": self.table, "Item": item}
        if condition:
            put["ConditionExpression"] = condition
        if values:
            put["ExpressionAttributeValues"] = values
        return {"Put": put}

    def _test_write(self, before: StoredTest | None, after: StoredTest) -> dict[str, Any]:
        """An update, for the execution beside it is noted without a new version."""
        way_out = "write fewer metrics, variants and conditions"
        body = packed(content(after), f"ab_tests.{after.name}", way_out)
        values = {
            "version": {"N": str(after.version)},
            "status": {"S": after.status},
            "run": {"N": str(after.run)},
            "body": {"B": body},
        }
        expression = "SET " + ", ".join(f"#{name} = :{name}" for name in values)
        names = {f"#{name}": name for name in values}
        if before is not None and before.run != after.run:
            expression += " REMOVE #execution"
            names["#execution"] = "execution"
        return {
            "Update": {
                "TableName": self.table,
                "Key": key(TESTS, f"{TEST}{after.name}"),
                "UpdateExpression": expression,
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": {f":{name}": one for name, one in values.items()},
            }
        }

    def _sent(self, writes: list[dict[str, Any]], entry: Item, ours: str) -> bool:
        """Whether the transaction went in; sent again while nobody knows.

        The token makes that safe for ten minutes, and the entry's id beyond.
        """
        for number in range(1, REPEATS + 1):
            try:
                self.client.transact_write_items(TransactItems=writes, ClientRequestToken=ours)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "TransactionCanceledException":
                    return self._canceled(error, entry, ours)
                if code not in _MAYBE or number == REPEATS:
                    raise
            except (HTTPClientError, NoConnection):
                if number == REPEATS:
                    raise
            else:
                return True
            self._sleep(random.uniform(0, 0.1 * 2**number))
        raise AssertionError("the last repeat returns or raises")

    def _canceled(self, error: ClientError, entry: Item, ours: str) -> bool:
        """Whether it had gone in before; False to begin again."""
        raw: Any = error.response
        codes = {reason.get("Code", "None") for reason in raw.get("CancellationReasons", [])}
        if codes - {"None", "ConditionalCheckFailed"} - _AGAIN:
            raise error
        item = self.get(entry["pk"]["S"], entry["sk"]["S"])
        return item is not None and AuditedChange.model_validate(unpacked(item)).id == ours


def _test_in(item: Item) -> StoredTest:
    test = StoredTest.model_validate(unpacked(item))
    execution = item.get("execution", {}).get("S")
    return test if execution is None else test.model_copy(update={"execution": execution})


def _moved(before: StoredTests, after: StoredTests, name: str) -> bool:
    old, new = before.tests.get(name), after.tests[name]
    return old is not new and not same(content(old), content(new))


def _stamped(
    before: StoredTests, after: StoredTests, names: Collection[str], stamp: dict[str, Any]
) -> StoredTests:
    """The next version: of all together, and of each test that is otherwise."""
    tests = {**before.tests}
    for name in names:
        old = before.tests.get(name)
        version = 1 + (old.version if old is not None else 0)
        tests[name] = after.tests[name].model_copy(update={**stamp, "version": version})
    shared = before.shared
    if _shares_otherwise(before, after):
        shared = after.shared.model_copy(update={"version": before.shared.version + 1})
    return StoredTests(version=before.version + 1, tests=tests, shared=shared)


def _shares_otherwise(before: StoredTests, after: StoredTests) -> bool:
    return not same(content(before.shared), content(after.shared))
