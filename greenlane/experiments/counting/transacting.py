"""One user's change as one transaction, sent until it is known to be in, or surely is not.

A transaction has the user's item on the version that was read, an item for each event that must
not be there yet, and additions to counters. Whatever fails, the user is read again and the change
is made anew from what is there: what had gone in is found, for then the user is exposed and the
events' items are there. So nothing rests on a token that AWS forgets after ten minutes.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from greenlane.deployments.storing.items import Item
from greenlane.errors import CountersBusy
from greenlane.experiments.counting.events import Recorded
from greenlane.experiments.counting.people import (
    Person,
    person_from,
    shard_of,
    user_item,
    user_key,
)
from greenlane.experiments.counting.sums import USERS, Counters, difference, stands_for
from greenlane.experiments.statistics.moments import OutOfBudget
from greenlane.experiments.storing.state import StoredTest

TRIES = 10
"""How often one change is made anew; with the pauses between, at most some 3 seconds."""

LARGEST_TRANSACTION = 100
"""Items in one TransactWriteItems."""

MOST_USERS = 10**8 - 1
"""Of one variant, epoch and shard. A user adds at most (10**15)**2 to a sum of squares, so no sum
can come to need more than the 38 digits that DynamoDB's numbers have, whatever its ADD would do
then. Of a test with 8 shards that is 800 million users of each variant."""

FULL = "a shard of the counters takes no more users; begin the test again with more shards"

_MAYBE = frozenset(
    {
        "InternalServerError",
        "ServiceUnavailable",
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_AGAIN = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
_OVERFLOW = "ValidationError"
"""A reason of AWS's: an operand of the wrong type, an item or a number that became too large. None
of these can be while only Greenlane writes the counters (see `MOST_USERS`; one has at most some
30 KB), so it is told, and not tried again."""


class Changed(NamedTuple):
    """What is to become of a user.

    Args:
        person: as he is then.
        told: what becomes of each event, by its number.
        kept: the events that must not come again.
    """

    person: Person
    told: Mapping[int, Recorded]
    kept: Sequence[int] = ()


Make = Callable[[Person, bool, frozenset[int]], Changed]
"""From a user as he is, whether this very call wrote that, and the events that were here before,
to what is to become of him. It is called once more for each try, and has no effects."""


class Transactor:
    """Writes the changes of users.

    Args:
        client: a boto3 `dynamodb` client.
        table: the table of A/B tests.
        sleep: waits so many seconds.
    """

    def __init__(
        self, client: Any, table: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """See the class."""
        self._client, self._table, self._sleep = client, table, sleep

    def person(self, test: StoredTest, digest: str) -> Person:
        """A user as he is now, strongly consistent."""
        return self._read(test, digest)[0]

    def _tried(self, test: StoredTest, digest: str) -> tuple[Person, str] | None:
        """A user, and which call wrote him last; None when the table does not answer now."""
        try:
            return self._read(test, digest)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _MAYBE:
                raise
        except (HTTPClientError, NoConnection):
            pass
        return None

    def _read(self, test: StoredTest, digest: str) -> tuple[Person, str]:
        """A user, and which call wrote him last."""
        answer = self._client.get_item(
            TableName=self._table, Key=user_key(test, digest), ConsistentRead=True
        )
        item = answer.get("Item")
        return person_from(item), item["attempt"]["S"] if item else ""

    def settle(
        self,
        test: StoredTest,
        digest: str,
        make: Make,
        marks: Sequence[Item],
        *,
        attempt: str,
        expires_at: Callable[[Person], int | None],
    ) -> dict[int, Recorded]:
        """Change a user, and say what became of each event.

        Args:
            test: which.
            digest: of the user.
            make: what is to become of him.
            marks: the items of the events, by their number: what they leave behind.
            attempt: what tells this call from all others.
            expires_at: when a user's item may go, in Unix seconds.

        Raises:
            CountersBusy: others were faster each time, or AWS did not answer; send it again.
            OutOfBudget: a sum could have more than 38 digits; nothing was changed.
        """
        here: dict[int, Recorded] = {}
        tries = 0
        while tries < TRIES:
            if tries:
                # Of those that met once, one must come first the next time.
                self._sleep(random.uniform(0, min(0.01 * 2**tries, 0.5)))
            read = self._tried(test, digest)
            if read is None:
                tries += 1
                continue
            person, last = read
            changed = make(person, last == attempt, frozenset(here))
            if changed.person == person:
                return {**changed.told, **here}
            user = user_item(test, digest, changed.person, attempt, expires_at(changed.person))
            writes = [
                self._put(user, person.version),
                *(self._mark(marks[number], changed.told[number]) for number in changed.kept),
                *self._additions(test, digest, person, changed.person),
            ]
            answer = self._send(writes)
            if answer is None:
                return {**changed.told, **here}
            for place, number in enumerate(changed.kept, start=1):
                if place in answer:
                    here[number] = _was_here(answer[place], attempt)
            if any(place > len(changed.kept) for place in answer):
                raise OutOfBudget("users", MOST_USERS, FULL)
            # Events that were here before cost no try: each is found but once.
            tries += not answer or 0 in answer
        raise CountersBusy(
            f"{test.name}: too many others write the same counters, or the table does not answer; "
            "send it again: what got in does not count twice. Where that happens often, give the "
            "next run of the test more shards"
        )

    def _put(self, item: Item, version: int) -> dict[str, Any]:
        put: dict[str, Any] = {"TableName": self._table, "Item": item}
        if version == 0:
            return {"Put": {**put, "ConditionExpression": "attribute_not_exists(pk)"}}
        values = {":read": {"N": str(version)}}
        condition = {"ConditionExpression": "version = :read", "ExpressionAttributeValues": values}
        return {"Put": put | condition}

    def _mark(self, mark: Item, recorded: Recorded) -> dict[str, Any]:
        return {
            "Put": {
                "TableName": self._table,
                "Item": mark | {"result": {"S": recorded.result}},
                "ConditionExpression": "attribute_not_exists(pk)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _additions(
        self, test: StoredTest, digest: str, before: Person, after: Person
    ) -> list[dict[str, Any]]:
        definition = test.definition
        changes = difference(stands_for(definition, before), stands_for(definition, after))
        return additions(self._table, test, digest, after, changes)

    def _send(self, writes: list[dict[str, Any]]) -> dict[int, Item] | None:
        """None when it is in; else the writes whose condition did not hold, and what was there.

        Nothing of those (an empty answer): others were at it, or nobody knows whether it is in.
        """
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            raw: Any = error.response
            if raw["Error"]["Code"] in _MAYBE:
                return {}
            if raw["Error"]["Code"] != "TransactionCanceledException":
                raise
            return _reasons(error, raw.get("CancellationReasons", []))
        except (HTTPClientError, NoConnection):
            return {}
        return None


def additions(
    table: str, test: StoredTest, digest: str, person: Person, changes: Counters
) -> list[dict[str, Any]]:
    """The writes that add to the counters of a user's shard, epoch and variant."""
    shard = shard_of(test, digest)
    pk = f"count#{test.name}#{test.run}#{shard}"
    writes = []
    for counter, numbers in changes.items():
        names = {f"#n{place}": name for place, name in enumerate(numbers)}
        values = {f":v{place}": {"N": str(number)} for place, number in enumerate(numbers.values())}
        parts = ",".join(f"#n{place} :v{place}" for place in range(len(numbers)))
        update: dict[str, Any] = {
            "TableName": table,
            "Key": {
                "pk": {"S": pk},
                "sk": {"S": f"{person.epoch}#{person.variant}{counter}"},
            },
            "UpdateExpression": f"ADD {parts}",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }
        if counter == "" and numbers.get(USERS, 0) > 0:
            # Segments have no more users than all.
            users = next(token for token, name in names.items() if name == USERS)
            values[":most"] = {"N": str(MOST_USERS)}
            update["ConditionExpression"] = f"attribute_not_exists({users}) OR {users} < :most"
        writes.append({"Update": update})
    return writes


def _reasons(error: ClientError, reasons: Sequence[Mapping[str, Any]]) -> dict[int, Item]:
    codes = {reason.get("Code", "None") for reason in reasons}
    if _OVERFLOW in codes:
        said = (
            "a sum would have more than 38 digits; nothing was counted. Use a larger unit, or a cap"
        )
        raise OutOfBudget("value", "this event", said) from error
    if codes - {"None", "ConditionalCheckFailed"} - _AGAIN:
        raise error
    return {
        place: reason.get("Item", {})
        for place, reason in enumerate(reasons)
        if reason.get("Code") == "ConditionalCheckFailed"
    }


def _was_here(mark: Item, attempt: str) -> Recorded:
    """What to say of an event that is there already: by this very call, or by another one."""
    if mark.get("attempt", {}).get("S") == attempt:
        return Recorded(mark["result"]["S"])
    return Recorded("duplicate")
