"""What people and workflows do with A/B tests: put a file, create, start, change, conclude.

Every change says who and why, and is safe to repeat: what is so already is not changed again.

    draft -> running -> concluded

A draft serves its control and counts nothing. Of a running test only the weights may change (from
then on there is another epoch), and how many take part, upward; everything else is refused, with
the way out. A concluded test serves its winner after `ship`, and its control after everything
else. It may be begun again, under another salt, so that nobody carries over what the first run did
to him.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.errors import InvalidInput, Refused, UnknownTest
from greenlane.experiments.lints import problems_of
from greenlane.experiments.model import Experiment, ExperimentsDocument, Ramp
from greenlane.experiments.records import Look
from greenlane.experiments.storing import editing
from greenlane.experiments.storing.state import (
    SHARDS,
    Ending,
    StoredTest,
    StoredTests,
)
from greenlane.experiments.storing.store import ChangedTests, Edit, ExperimentStore
from greenlane.flags.definitions.model import Condition
from greenlane.flags.storing.state import as_written
from greenlane.flags.storing.submitting import LONGEST_WHY, checked
from greenlane.problems import InvalidDocument, excerpt
from greenlane.source import Source


class KeptTests(StoredModel):
    """What a change of tests came to.

    Args:
        version: of all tests together, now.
        changed: the tests that are otherwise than before.
        tests: those that were named, as they are now.
    """

    version: int
    changed: tuple[str, ...] = ()
    tests: dict[str, StoredTest]


def put(
    store: ExperimentStore,
    document: ExperimentsDocument,
    *,
    by: str,
    reason: str = "",
    at: datetime,
    start: bool = False,
    again: bool = False,
    source: Source | None = None,
) -> KeptTests:
    """Put the tests of a file over those that are stored; what it does not name stays.

    New tests are drafts, drafts are replaced, running ones take new weights and more traffic, and
    concluded ones stay as they are.

    Args:
        store: where tests are kept.
        document: the file; it is checked here, together with what is stored.
        by: who.
        reason: for the audit.
        at: when.
        start: start the drafts among them.
        again: begin concluded tests again whose definition is otherwise than it was.
        source: the file, for line numbers in errors.

    Raises:
        InvalidDocument: with those that are stored it would be wrong; nothing was changed.
        Refused: it changes a running or concluded test in a way that it may not.
    """
    source = source or Source("the A/B tests", "", {})
    names = tuple(document.ab_tests)

    def edit(stored: StoredTests) -> StoredTests:
        shared = stored.shared.model_copy(
            update={
                "layers": {**stored.shared.layers, **document.layers},
                "holdouts": {**stored.shared.holdouts, **document.holdouts},
            }
        )
        after = stored.model_copy(update={"shared": shared})
        for name, definition in document.ab_tests.items():
            test = editing.placed(
                stored.tests.get(name),
                name,
                normal(definition),
                document.segments,
                at=at,
                again=again,
            )
            after = after.with_test(test)
        # As drafts first: what is wrong with them is told by the lines of the file.
        check(stored, after, names, source)
        for name in names if start else ():
            if after.tests[name].status == "draft":
                begun = editing.started(after.tests[name], shared, at=at, shards=SHARDS)
                after = after.with_test(begun)
        return after

    changed = _change(store, edit, by=by, reason=reason, at=at)
    return KeptTests(
        version=changed.version,
        changed=changed.names,
        tests={name: changed.tests.tests[name] for name in names},
    )


def create(
    store: ExperimentStore,
    name: str,
    definition: Experiment,
    *,
    by: str,
    reason: str = "",
    at: datetime,
    start: bool = False,
    again: bool = False,
    segments: Mapping[str, Condition] | None = None,
) -> StoredTest:
    """Put one test; see `put`. Layers and holdouts are those that are stored.

    Args:
        store: where tests are kept.
        name: the test.
        definition: what it is.
        by: who.
        reason: for the audit.
        at: when.
        start: start it, if it is a draft then.
        again: begin it again, if it is concluded and was otherwise.
        segments: the named conditions that its own need.

    Raises:
        InvalidInput: a name that cannot be, or a definition that would be wrong.
        Refused: it runs or is concluded, and may not change so.
    """
    document = checked(ExperimentsDocument, {"ab_tests": {name: as_written(definition)}})
    # Those were checked where they came from; as a file they would need names of all attributes.
    document = document.model_copy(update={"segments": dict(segments or {})})
    kept = put(store, document, by=by, reason=reason, at=at, start=start, again=again)
    return kept.tests[name]


def start(
    store: ExperimentStore,
    name: str,
    *,
    by: str,
    reason: str = "",
    at: datetime,
    shards: int = SHARDS,
    again: bool = False,
) -> StoredTest:
    """Begin a test; one that runs stays as it is.

    Args:
        store: where tests are kept.
        name: the test.
        by: who.
        reason: for the audit.
        at: when; the first user can take part then.
        shards: of its counters, 1 to 64; more than 8 where hundreds of events come each second.
        again: begin a concluded test anew, under another salt.

    Raises:
        UnknownTest: there is none of that name.
        Refused: it was concluded and `again` is not said, or a test that runs has its place.
    """

    def edit(stored: StoredTests) -> StoredTests:
        test = test_in(stored, name)
        if test.status == "running":
            return stored
        if test.status == "concluded":
            if not again:
                raise Refused(
                    f"{name}: it ended ({test.verdict}) and serves {test.served}; to begin it "
                    "again, which deals all users anew, say so (`--again`)"
                )
            test = editing.begun_again(test, test.as_it_is(), test.conditions)
        begun = editing.started(test, stored.shared, at=at, shards=shards)
        after = stored.with_test(begun)
        check(stored, after, (name,), Source("the A/B tests", "", {}))
        return after

    return _change(store, edit, by=by, reason=reason, at=at).tests.tests[name]


def change(
    store: ExperimentStore,
    name: str,
    *,
    weights: Mapping[str, Decimal] | None = None,
    traffic: Decimal | None = None,
    ramp: Ramp | None = None,
    by: str,
    reason: str = "",
    at: datetime,
) -> StoredTest:
    """Change a running test: other weights, or more of the eligible.

    Other weights begin another epoch. Those who were exposed before stay where they are, and
    everybody else keeps his variant unless it must give up users.

    Raises:
        UnknownTest: there is none of that name.
        InvalidInput: other variants, or weights that do not add up to 100.
        Refused: it does not run, or fewer would take part than before.
    """

    def edit(stored: StoredTests) -> StoredTests:
        test = test_in(stored, name)
        if test.status != "running":
            raise Refused(f"{name}: it is {test.status}; only a test that runs is changed so")
        wanted = _with(test.as_it_is(), weights, traffic, ramp)
        if set(wanted.variants) != set(test.definition.variants):
            known = ", ".join(test.definition.variants)
            raise InvalidInput("weights", excerpt(list(wanted.variants)), f"give all of {known}")
        after = editing.reweighed(test, wanted.variants, at)
        after = editing.widened(after, wanted.traffic, wanted.ramp, at)
        changed = stored.with_test(after)
        check(stored, changed, (name,), Source("the A/B tests", "", {}))
        return changed

    return _change(store, edit, by=by, reason=reason, at=at).tests.tests[name]


def conclude(
    store: ExperimentStore,
    name: str,
    *,
    run: int,
    verdict: Ending,
    serve: str | None = None,
    look: Look | None = None,
    end_reason: str = "",
    by: str,
    reason: str = "",
    at: datetime,
) -> StoredTest:
    """End a run; the same end again changes nothing.

    Args:
        store: where tests are kept.
        name: the test.
        run: which of its runs; a later one is left alone.
        verdict: how it ends.
        serve: the variant that everybody who is eligible has from now on; the control if None.
            After `ship` it is needed, after any other end it must be left out or be the control,
            unless a person stops the test and says so.
        look: that decided it; it is kept first, where it is not yet.
        end_reason: in words.
        by: who.
        reason: for the audit.
        at: when; what happens later is not counted.

    Raises:
        UnknownTest: there is none of that name.
        InvalidInput: there is no such variant.
        Refused: it ended otherwise before, or another run of it runs.
    """

    def edit(stored: StoredTests) -> StoredTests:
        test = test_in(stored, name)
        if test.run != run:
            raise Refused(f"{name}: run {test.run} is there now, and run {run} is over")
        return stored.with_test(editing.ended(test, verdict, serve, end_reason, by, at))

    if look is not None and store.keep_look(name, run, look) != look:
        raise Refused(f"{name}: another look {look.number} of it was kept before; decide by that")
    # An end is never held up by the length of its reason.
    shortened = reason[:LONGEST_WHY]
    return _change(store, edit, by=by, reason=shortened, at=at).tests.tests[name]


def stop(
    store: ExperimentStore,
    name: str,
    *,
    by: str,
    reason: str,
    at: datetime,
    serve: str | None = None,
    run: int | None = None,
) -> StoredTest:
    """End a test, a draft too, by a person's will; `reason` is needed, `serve` may be any variant.

    Raises:
        UnknownTest: there is none of that name.
        InvalidInput: no reason, or no such variant.
        Refused: it ended before, or another run is there than the `run` that is meant.
    """
    if not reason.strip():
        raise InvalidInput("reason", reason, "say why it is stopped; the record keeps it")

    def edit(stored: StoredTests) -> StoredTests:
        test = test_in(stored, name)
        if run is not None and test.run != run:
            raise Refused(f"{name}: run {test.run} is there now, and run {run} was meant; name it")
        return stored.with_test(editing.ended(test, "stopped", serve, reason, by, at))

    return _change(store, edit, by=by, reason=reason, at=at).tests.tests[name]


def test_in(stored: StoredTests, name: str) -> StoredTest:
    """One test of a set; raises `UnknownTest`."""
    if name not in stored.tests:
        raise UnknownTest(name, sorted(stored.tests))
    return stored.tests[name]


def normal(definition: Experiment) -> Experiment:
    """A definition as it will be read back: 0.050 is stored as 0.05.

    A look names the digest of the definition that it decided by, so that must never be another one.
    """
    return Experiment.model_validate(as_written(definition))


def check(before: StoredTests, after: StoredTests, names: Collection[str], source: Source) -> None:
    """Refuse a set of tests of which the named ones are wrong, or do not go with the others.

    Raises:
        InvalidDocument: with everything that is wrong, by line where `source` has it.
        Refused: a layer would be dealt anew under a test that runs.
    """
    for test in before.tests.values():
        moved = test.layer is not None and test.layer.salt != editing.layer_salt(
            test.layer.name, after.shared
        )
        if test.status == "running" and moved and test.layer is not None:
            raise Refused(
                f"{test.layer.name}: {test.name} runs in this layer, so its salt cannot change; "
                "stop that first"
            )
    document = after.document(last=names)
    found = [
        problem
        for problem in problems_of(document, source, known=after.tests)
        # What was stored by rules that were laxer then stands in nobody's way.
        if _is_about(problem, names)
    ]
    found += [
        InvalidInput(f"ab_tests.{name}.salt", salt, said, line=source.line(("ab_tests", name)))
        for name, salt, said in _salts(after, names)
    ]
    if found:
        raise InvalidDocument(source.name, found)


def _is_about(problem: InvalidInput, names: Collection[str]) -> bool:
    return not problem.field.startswith("ab_tests.") or any(
        problem.field == f"ab_tests.{name}" or problem.field.startswith(f"ab_tests.{name}.")
        for name in names
    )


def _salts(after: StoredTests, names: Collection[str]) -> list[tuple[str, str, str]]:
    """Named tests whose users would fall as those of another one did, or of an earlier run."""
    found = []
    for name in names:
        salt = after.tests[name].salt
        for other in after.tests.values():
            taken = other.past_salts if other.name == name else (*other.past_salts, other.salt)
            if salt in taken:
                said = f"{other.name} uses or used this salt; users would fall alike in both"
                found.append((name, salt, said))
    return found


def _with(
    now: Experiment,
    weights: Mapping[str, Decimal] | None,
    traffic: Decimal | None,
    ramp: Ramp | None,
) -> Experiment:
    """A definition with other weights, traffic or ramp; raises `InvalidInput`."""
    changes = {"variants": weights, "traffic": traffic, "ramp": ramp}
    given = {name: value for name, value in changes.items() if value is not None}
    changed = now.model_copy(update=given)
    return checked(Experiment, as_written(changed))


def _change(
    store: ExperimentStore, edit: Edit, *, by: str, reason: str, at: datetime
) -> ChangedTests:
    if len(reason) > LONGEST_WHY:
        raise InvalidInput("reason", excerpt(reason), f"write at most {LONGEST_WHY} characters")
    return store.change(edit, by=by, reason=reason, at=at)
