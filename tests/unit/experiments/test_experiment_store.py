"""What is kept of A/B tests, and that nothing of a change is ever there in part."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from greenlane.errors import InvalidInput, Refused, UnknownTest
from greenlane.experiments.decision import decide, digest, replay
from greenlane.experiments.names import TABLE
from greenlane.experiments.records import Look
from greenlane.experiments.statistics.sequential import SampleRatio
from greenlane.experiments.storing import keeping
from greenlane.experiments.storing.compiling import compile_tests
from greenlane.experiments.storing.state import StoredTests, Watch
from greenlane.experiments.storing.store import DynamoExperimentStore
from tests.aws_failures import BEFORE, LOST, Crash, canceled, until_it_is_in
from tests.experiment_store import NOW, Laboratory, begun, definition, document_of
from tests.flag_store import Failing
from tests.unit.experiments.experimenting import experiment, snapshot

TWO = """
layers: {nav: {}}
ab_tests:
  one: {variants: {a: 50, b: 50}, metrics: [a_rate], layer: {name: nav, end: 50}}
  two: {variants: {a: 50, b: 50}, metrics: [a_rate], layer: {name: nav, start: 50}}
"""


def kept(lab: Laboratory, text: str, **more: Any) -> keeping.KeptTests:
    return keeping.put(lab.store, document_of(text), by="ada", at=lab.clock.at, **more)


def failing() -> tuple[Laboratory, Failing]:
    client = Failing(None)
    lab = Laboratory(client)
    client.target = lab.table
    return lab, client


def world(lab: Laboratory) -> Any:
    """All items, but for who wrote them by which request."""
    stored = Laboratory.over(lab).store
    audits = [
        [entry.model_copy(update={"id": ""}) for entry in stored.audit(name)]
        for name in (*stored.read().tests, "shared parts:")
    ]
    return stored.read(), stored.snapshot(), audits


def test_what_is_stored_is_read_back_as_it_was_and_dealt_from() -> None:
    lab = Laboratory()
    kept(lab, TWO, start=True)

    stored = lab.store.read()
    assert stored.version == 1
    assert [test.name for test in lab.store.tests()] == ["one", "two"]
    assert stored.tests["one"] == lab.store.test("one")
    assert stored.tests["two"].layer is not None
    assert stored.tests["two"].layer.start == 500_000
    assert list(lab.store.layers().layers) == ["nav"]
    assert lab.store.snapshot() == compile_tests(stored)


def test_before_the_first_change_there_is_nothing_and_a_snapshot_of_nothing() -> None:
    lab = Laboratory()

    assert lab.store.read() == StoredTests()
    assert lab.store.snapshot() == {"format": 1, "version": 0, "tests": {}}
    with pytest.raises(UnknownTest, match="greenlane experiments list"):
        lab.store.test("checkout")


def test_the_definition_has_one_digest_from_the_file_to_the_table() -> None:
    """A look names it: were it another one after reading, no look could be decided again."""
    lab = Laboratory()
    written = definition(
        success_criteria={"conversion_rate": {"minimum_lift": 0.050}},
        metrics=["conversion_rate", {"name": "spend", "kind": "mean", "direction": "higher"}],
        guardrail_metrics=["error_rate < 0.010"],
        ramp={"steps": [0.1, 12.125, 100], "interval": "36h"},
        targeting={"country": ["de", "fr"]},
    )
    keeping.create(lab.store, "t", written, by="ada", at=NOW)

    once = lab.store.test("t")
    keeping.create(lab.store, "t", once.definition, by="ada", at=NOW)
    assert digest(lab.store.test("t").definition) == digest(once.definition)
    assert once.definition == written


def test_each_change_has_an_entry_with_what_was_there_before_and_after() -> None:
    lab = begun()
    keeping.stop(lab.store, "checkout", by="bob", reason="enough seen", at=lab.clock.at)

    newest, started, created = lab.store.audit("checkout")
    assert (newest.version, newest.by, newest.reason) == (3, "bob", "enough seen")
    assert (newest.before["status"], newest.after["status"]) == ("running", "concluded")
    assert started.before["status"] == "draft"
    assert created.before is None
    assert [entry.version for entry in lab.store.audit("checkout", limit=1)] == [3]


def test_what_changes_nothing_writes_nothing() -> None:
    lab = Laboratory()
    kept(lab, TWO, start=True)
    before = lab.table.items()

    again = kept(lab, TWO, start=True)

    assert again.changed == ()
    assert lab.table.items() == before


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("act", ["put", "start", "change", "conclude"])
def test_a_failure_at_any_call_of_a_change_leaves_all_of_it_or_nothing(act: str, when: str) -> None:
    def prepared() -> tuple[Laboratory, Failing]:
        lab, client = failing()
        if act != "put":
            kept(lab, TWO)
        if act in ("change", "conclude"):
            keeping.start(lab.store, "one", by="ada", at=NOW)
        return lab, client

    def done(lab: Laboratory) -> object:
        if act == "put":
            return kept(lab, TWO)
        if act == "start":
            return keeping.start(lab.store, "one", by="ada", at=NOW)
        if act == "change":
            return lab.reweigh("one", a=20, b=80)
        return keeping.conclude(lab.store, "one", run=1, verdict="futile", by="greenlane", at=NOW)

    clean, calls = prepared()
    start = len(calls.calls)
    first = world(clean)
    done(clean)
    for number in range(start, len(calls.calls)):
        for kind, failure in (BEFORE if when == "before" else LOST).items():
            lab, client = prepared()
            getattr(client, when)[number] = failure()
            try:
                done(lab)
            except Exception:
                assert world(lab) in (first, world(clean)), (number, kind)
            until_it_is_in(partial(done, lab))
            assert world(lab) == world(clean), (number, kind)


class Forgetful:
    """A client that knows no token any more, and loses the answer of its first transaction."""

    def __init__(self, target: Any) -> None:
        self._target, self._lost = target, False

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            arguments.pop("ClientRequestToken", None)
            answer = getattr(self._target, operation)(**arguments)
            if operation == "transact_write_items" and not self._lost:
                self._lost = True
                raise LOST["timeout"]()
            return answer

        return call


def test_a_change_whose_answer_got_lost_is_known_by_its_entry_when_the_token_is_forgotten() -> None:
    lab = Laboratory()
    store = DynamoExperimentStore(Forgetful(lab.table), TABLE, sleep=lambda seconds: None)

    found = keeping.put(store, document_of(TWO), by="ada", at=NOW)

    assert (found.version, found.changed) == (1, ("one", "two"))
    assert len(lab.store.audit("one")) == 1


def test_two_who_change_tests_in_the_same_moment_both_get_what_they_wanted() -> None:
    lab, client = failing()
    kept(lab, TWO)
    other = Laboratory.over(lab)
    client.between = lambda: keeping.start(other.store, "two", by="bob", at=NOW)

    keeping.start(lab.store, "one", by="ada", at=NOW)

    assert {test.name: test.status for test in lab.store.tests()} == {
        "one": "running",
        "two": "running",
    }
    assert set(lab.store.snapshot()["tests"]) == {"one", "two"}
    assert lab.store.snapshot()["tests"]["two"]["status"] == "running"


def test_whoever_is_never_first_is_told() -> None:
    lab, client = failing()
    kept(lab, TWO)
    conflicts: dict[int, Exception] = {
        number: canceled("TransactionConflict") for number in range(10**4)
    }
    writes = Failing(lab.table)
    store = DynamoExperimentStore(OnlyTransactions(writes), TABLE, sleep=lambda seconds: None)
    writes.before = conflicts

    with pytest.raises(Refused, match="too many others"):
        keeping.start(store, "one", by="ada", at=NOW)
    assert client.calls.count("transact_write_items") == 1


class OnlyTransactions:
    """Transactions go to one client, and everything else past it."""

    def __init__(self, writes: Failing) -> None:
        self._writes = writes

    def __getattr__(self, operation: str) -> Any:
        target = self._writes if operation == "transact_write_items" else self._writes.target
        return getattr(target, operation)


def test_more_tests_than_a_transaction_holds_are_refused_with_the_way_out() -> None:
    lab = Laboratory()
    many = {f"t{number}": definition() for number in range(46)}
    document = document_of("ab_tests: {}").model_copy(update={"ab_tests": many})

    with pytest.raises(InvalidInput, match="at most 45 tests at a time"):
        keeping.put(lab.store, document, by="ada", at=NOW)
    assert lab.table.items() == []


def test_what_does_not_fit_into_an_item_is_refused_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = Laboratory()
    monkeypatch.setattr("greenlane.experiments.storing.stored_items.LARGEST_BYTES", 100)

    with pytest.raises(InvalidInput, match="at most 100 fit into the table"):
        kept(lab, TWO)
    assert lab.table.items() == []


def look_of(number: int = 1, users: int = 2000) -> Look:
    test = experiment()
    seen = snapshot(
        7,
        {"control": users, "treatment": users},
        {"conversion_rate": {"control": users // 10, "treatment": users // 10 + number}},
    )
    return decide(test, seen).model_copy(update={"number": number})


def test_a_look_is_kept_once_and_comes_back_to_the_last_bit() -> None:
    lab = begun()
    look = look_of()

    assert lab.store.keep_look("checkout", 1, look) == look
    other = look_of(users=3000)
    assert lab.store.keep_look("checkout", 1, other) == look
    lab.store.keep_look("checkout", 1, look_of(2))
    assert [one.number for one in lab.store.looks("checkout", 1)] == [1, 2]
    assert lab.store.looks("checkout", 1)[0] == look
    assert lab.store.looks("checkout", 2) == []
    assert replay(experiment(), lab.store.looks("checkout", 1)[:1]) is None


def test_a_look_whose_answer_got_lost_is_the_one_that_is_kept() -> None:
    lab, client = failing()
    lab.begin()
    client.after[len(client.calls)] = Crash()
    look = look_of()

    with pytest.raises(Crash):
        lab.store.keep_look("checkout", 1, look)
    assert lab.store.keep_look("checkout", 1, look) == look
    assert len(lab.store.looks("checkout", 1)) == 1


def test_a_watch_is_kept_until_the_next_one_and_is_no_look() -> None:
    lab = begun()
    assert lab.store.watch("checkout", 1) is None
    seen = lab.snapshot()
    for minutes in (15, 30):
        at = NOW + timedelta(minutes=minutes)
        ratio = SampleRatio(0.5, 1.0, 0.9)
        lab.store.keep_watch("checkout", 1, Watch(at=at, snapshot=seen, sample_ratio=ratio))

    found = lab.store.watch("checkout", 1)
    assert found is not None
    assert found.at == NOW + timedelta(minutes=30)
    assert found.sample_ratio == SampleRatio(0.5, 1.0, 0.9)
    assert lab.store.looks("checkout", 1) == []


def test_which_workflow_looks_after_a_run_is_noted_without_a_version() -> None:
    lab = begun()

    assert lab.store.keep_execution("checkout", 1, "arn:one")
    assert lab.store.keep_execution("checkout", 1, "arn:two")
    assert not lab.store.keep_execution("checkout", 2, "arn:three")
    assert not lab.store.keep_execution("nothing", 1, "arn:four")
    noted = lab.store.test("checkout")
    assert (noted.execution, noted.version) == ("arn:two", 2)
    lab.reweigh(control=40, treatment=60)
    assert lab.store.test("checkout").execution == "arn:two"
    keeping.stop(lab.store, "checkout", by="ada", reason="enough", at=NOW)
    assert not lab.store.keep_execution("checkout", 1, "arn:five")
    keeping.start(lab.store, "checkout", by="ada", at=NOW, again=True)
    assert lab.store.test("checkout").execution is None


def test_a_workflow_that_is_noted_while_the_test_changes_is_not_lost() -> None:
    lab, client = failing()
    lab.begin()
    other = Laboratory.over(lab)
    client.between = lambda: other.store.keep_execution("checkout", 1, "arn:one")

    lab.reweigh(control=40, treatment=60)

    assert lab.store.test("checkout").execution == "arn:one"
    assert len(lab.store.test("checkout").epochs) == 2
