"""DynamoDB's transactions and queries at the price of what they touch.

moto copies a whole table before each transaction, to put it back where the transaction fails, and
sorts a whole table for each query. With some thousand items either takes a tenth of a second. Here
the items that a transaction names are copied, and they alone are put back; a query sees the items
of the partition that it asks for.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

from moto.dynamodb import models
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table

from greenlane.local.patches import Patches

Kept = tuple[Table, DynamoType, DynamoType | None, Item | None]
"""A table, the two parts of a key, and what was there."""


class Transactions:
    """Takes over moto's copies of tables, and its queries of them."""

    def __init__(self) -> None:
        """See the class."""
        self._patches = Patches()

    def start(self) -> None:
        """Copy items in the place of tables."""
        original = DynamoDBBackend.transact_write_items
        self._patches.set(models, "copy", _Items)
        self._patches.set(DynamoDBBackend, "transact_write_items", _careful(original))
        self._patches.set(Table, "query", _of_one_partition(Table.query))

    def stop(self) -> None:
        """Give moto its own back."""
        self._patches.undo()


class _Items:
    """What moto takes for the module `copy`: a table is not copied."""

    copy = staticmethod(copy.copy)

    @staticmethod
    def deepcopy(value: Any) -> Any:
        return value if isinstance(value, Table) else copy.deepcopy(value)


def _of_one_partition(original: Callable[..., Any]) -> Callable[..., Any]:
    def query(table: Table, hash_key: DynamoType | None, *given: Any, **more: Any) -> Any:
        # moto's backend hands over the index as the seventh of what stands after the key.
        index = given[6] if len(given) > 6 else more.get("index_name")
        if index is None and hash_key is not None:
            whole, table = table, copy.copy(table)
            items: Any = {hash_key: whole.items.get(hash_key, {})}
            table.items = items
        return original(table, hash_key, *given, **more)

    return query


def _careful(original: Callable[..., None]) -> Callable[..., None]:
    def transact_write_items(
        backend: DynamoDBBackend, transact_items: list[dict[str, Any]]
    ) -> None:
        kept = list(_touched(backend, transact_items))
        try:
            original(backend, transact_items)
        except Exception:
            for table, hash_key, range_key, item in kept:
                _put_back(table, hash_key, range_key, item)
            raise

    return transact_write_items


def _touched(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> Iterator[Kept]:
    """The items that a transaction names, as they are; what is wrong with it is moto's to say."""
    for entry in transact_items:
        for operation in entry.values():
            table = backend.tables.get(operation.get("TableName", ""))
            key = operation.get("Key") or operation.get("Item") or {}
            if table is None or table.hash_key_attr not in key:
                continue
            hash_key = DynamoType(key[table.hash_key_attr])
            range_key = None
            if table.range_key_attr is not None:
                if table.range_key_attr not in key:
                    continue
                range_key = DynamoType(key[table.range_key_attr])
            yield table, hash_key, range_key, copy.deepcopy(table.get_item(hash_key, range_key))


def _put_back(
    table: Table, hash_key: DynamoType, range_key: DynamoType | None, item: Item | None
) -> None:
    items: Any = table.items
    if range_key is None:
        if item is None:
            items.pop(hash_key, None)
        else:
            items[hash_key] = item
    elif item is None:
        items[hash_key].pop(range_key, None)
    else:
        items[hash_key][range_key] = item
