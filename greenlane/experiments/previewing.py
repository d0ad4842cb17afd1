"""What applying a file of A/B tests would change, refusals included, without writing anything."""

from datetime import datetime
from typing import Any, NamedTuple, cast

from greenlane.documents import load, validate
from greenlane.experiments.model import ExperimentsDocument
from greenlane.experiments.storing.keeping import put
from greenlane.experiments.storing.state import StoredTest, StoredTests
from greenlane.experiments.storing.store import ChangedTests, Edit, ExperimentStore
from greenlane.flags.storing.state import as_written


class Difference(NamedTuple):
    """A test before and after, with its keys as a file has them; None is "not there"."""

    test: str
    before: dict[str, Any] | None
    after: dict[str, Any]


class _Dry:
    """A store that only says what a change would come to."""

    def __init__(self, store: ExperimentStore) -> None:
        self._store = store
        self.before = StoredTests()

    def change(self, edit: Edit, **said: Any) -> ChangedTests:
        """As the store's, and nothing is written."""
        self.before = self._store.read()
        return ChangedTests(version=self.before.version, tests=edit(self.before))


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
    for key, test in kept.tests.items():
        before = dry.before.tests.get(key)
        if before != test:
            found.append(Difference(key, None if before is None else _told(before), _told(test)))
    return found


def _told(test: StoredTest) -> dict[str, Any]:
    written: dict[str, Any] = as_written(test.as_it_is())
    return {**written, "status": test.status, "run": test.run}
