"""Applying a file of A/B tests: read, checked together with what is stored, and kept."""

from datetime import datetime
from typing import Literal

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.documents import load, validate
from greenlane.experiments.document import read_experiments
from greenlane.experiments.model import ExperimentsDocument
from greenlane.experiments.storing.keeping import put
from greenlane.experiments.storing.state import Status
from greenlane.experiments.storing.store import ExperimentStore

KEY = "ab_tests"
"""The top-level key that makes a file one of A/B tests."""


class CheckedTests(StoredModel):
    """A file of A/B tests without a problem."""

    file: str
    kind: Literal["ab_tests"] = "ab_tests"
    tests: tuple[str, ...]


class AppliedTests(StoredModel):
    """What applying a file of A/B tests came to: the status of each of its tests, now.

    `shared` says whether layers or holdouts are otherwise than before.
    """

    kind: Literal["ab_tests"] = "ab_tests"
    version: int
    changed: tuple[str, ...] = ()
    tests: dict[str, Status]
    versions: dict[str, int]
    shared: bool = False


def is_experiments(text: str, name: str = "document") -> bool:
    """Whether a file is one of A/B tests; raises `InvalidDocument` when it is no YAML."""
    return KEY in load(text, name).data


def check_experiments(text: str, name: str = "document") -> CheckedTests:
    """Read a file of A/B tests by itself, without a cloud; raises `InvalidDocument`."""
    return CheckedTests(file=name, tests=tuple(read_experiments(text, name).ab_tests))


def apply_experiments(
    store: ExperimentStore,
    text: str,
    name: str = "document",
    *,
    by: str,
    reason: str = "",
    at: datetime,
    start: bool = False,
    again: bool = False,
) -> AppliedTests:
    """Put the tests of a file over those that are stored; see `greenlane.experiments.storing`.

    Args:
        store: where tests are kept.
        text: the file.
        name: what to call it.
        by: who applies it.
        reason: for the audit.
        at: when.
        start: start the drafts among them.
        again: begin concluded tests again whose definition is otherwise than it was.

    Raises:
        InvalidDocument: the tests would be wrong; nothing was changed.
        Refused: it changes a running or concluded test in a way that it may not.
    """
    source = load(text, name)
    document = validate(ExperimentsDocument, source)
    before = store.layers()
    kept = put(
        store, document, by=by, reason=reason, at=at, start=start, again=again, source=source
    )
    return AppliedTests(
        version=kept.version,
        changed=kept.changed,
        tests={key: test.status for key, test in kept.tests.items()},
        versions={key: test.version for key, test in kept.tests.items()},
        shared=store.layers() != before,
    )
