"""What applying a file of A/B tests would change, refusals included, without writing anything."""

from datetime import datetime
from typing import Any, NamedTuple, cast

from greenlane.documents import load, validate
from greenlane.experiments.model import ExperimentsDocument
from greenlane.experiments.storing.keeping import put
from greenlane.experiments.storing.state import SharedParts, StoredTest, StoredTests
from greenlane.experiments.storing.store import ChangedTests, Edit, ExperimentStore
from greenlane.experiments.storing.stored_items import SHARED_AUDIT
from greenlane.flags.storing.state import as_written


class Difference(NamedTuple):
    """A test before and after, with its keys as a file has them; None is "not there".

    Layers and holdouts, which tests share, stand under `SHARED_AUDIT`, as in the audit.
    """

    test: str
    before: dict[str, Any] | None
    after: dict[str, Any]


class _Dry:
    """A store that only says what a change would come to."""

    def __init__(self, store: ExperimentStore) -> None:
        self._store = store
        self.before = self.after = StoredTests()

    def change(self, edit: Edit, **said: Any) -> ChangedTests:
        """As the store's, and nothing is written."""
        self.before = self._store.read()
        self.after = edit(self.before)
        return ChangedTests(version=self.before.version, tests=self.after)


def preview(
    store: ExperimentStore,
    text: str,
    name: str = "document",
    *,
    at: datetime,
    start: bool = False,
    again: bool = False,
) -> list[Difference]:
    """What `apply_experiments` would change; it takes and raises the same.

    Args:
        store: where tests are kept.
        text: the file.
        name: what to call it.
        at: when.
        start: as if drafts were started.
        again: as if tests that ended were begun again.
    """
    source = load(text, name)
    document = validate(ExperimentsDocument, source)
    dry = _Dry(store)
    kept = put(
        cast(ExperimentStore, dry),
        document,
        by="",
        at=at,
        start=start,
        again=again,
        source=source,
    )
    found = []
    old, new = (_plain(one.shared) for one in (dry.before, dry.after))
    if old != new:
        found.append(Difference(SHARED_AUDIT, old, new))
    for key, test in kept.tests.items():
        before = dry.before.tests.get(key)
        if before != test:
            found.append(Difference(key, None if before is None else _told(before), _told(test)))
    return found


def _told(test: StoredTest) -> dict[str, Any]:
    written: dict[str, Any] = as_written(test.as_it_is())
    told = {**written, "status": test.status, "run": test.run}
    if test.conditions:
        told["segments of the file"] = {
            name: as_written(one) for name, one in test.conditions.items()
        }
    return told


def _plain(shared: SharedParts) -> dict[str, Any]:
    layers = {f"layers.{name}": as_written(one) for name, one in shared.layers.items()}
    holdouts = {f"holdouts.{name}": as_written(one) for name, one in shared.holdouts.items()}
    return {**layers, **holdouts}
