"""What people and pipelines do with A/B tests over HTTP; `keeping` has what it means.

Who is asking is the IAM principal whose signature API Gateway checked. A test's ETag is its
version: `If-Match` makes a change only if the test is as it was seen, `If-None-Match: *` puts one
only if there is none.
"""

import os
import re
from collections.abc import Collection, Mapping
from typing import Any, cast

from greenlane import aws
from greenlane.clock import Clock, current_clock
from greenlane.errors import InvalidInput, PreconditionFailed, Refused
from greenlane.experiments.http.admin_shapes import (
    ChangeTest,
    CreateTest,
    IfTest,
    LooksPage,
    LooksQuery,
    PutTest,
    ResultsQuery,
    StartTest,
    StopTest,
    TestAudit,
    TestAuditQuery,
    TestList,
    TestPreconditions,
    TestSummary,
    TestView,
)
from greenlane.experiments.http.experiment_routes import ADMIN
from greenlane.experiments.model import NAME, ExperimentsDocument
from greenlane.experiments.namesakes import check_new_tests
from greenlane.experiments.results import results
from greenlane.experiments.storing import keeping
from greenlane.experiments.storing.state import SHARDS, StoredTest, StoredTests
from greenlane.experiments.storing.store import (
    ChangedTests,
    DynamoExperimentStore,
    Edit,
    ExperimentStore,
)
from greenlane.flags.storing.store import DynamoFlagStore, FlagStore
from greenlane.http.fitting import that_fit
from greenlane.http.rest import Handler, Request, Response, respond
from greenlane.http.rooms import NoQuery


class ExperimentsApi:
    """The handlers of the routes, by the names of their operations.

    Args:
        store: where tests are kept.
        flags: where flags are kept, whose names tests may not have.
        clock: tells when something is changed.
        client: a boto3 `dynamodb` client, to read what was counted.
        table: the table of tests.
    """

    def __init__(
        self, store: ExperimentStore, flags: FlagStore, clock: Clock, client: Any, table: str
    ) -> None:
        """See the class."""
        self.store, self.flags, self.clock = store, flags, clock
        self._client, self._table = client, table
        self.handlers: Mapping[str, Handler] = {
            "listExperiments": self.list,
            "createExperiment": self.create,
            "getExperiment": self.get,
            "putExperiment": self.put,
            "changeExperiment": self.change,
            "startExperiment": self.start,
            "stopExperiment": self.stop,
            "experimentResults": self.results,
            "experimentLooks": self.looks,
            "auditExperiment": self.audit,
        }

    @classmethod
    def from_environment(cls) -> "ExperimentsApi":
        """As its template has it: `EXPERIMENTS_TABLE` and `FLAGS_TABLE`.

        Raises:
            KeyError: the template did not set a table.
        """
        client = aws.client("dynamodb", read_timeout_seconds=5.0, attempts=3)
        table = os.environ["EXPERIMENTS_TABLE"]
        flags = DynamoFlagStore(client, os.environ["FLAGS_TABLE"])
        return cls(DynamoExperimentStore(client, table), flags, current_clock(), client, table)

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """One request, as API Gateway sends it, to its answer."""
        return respond(event, ADMIN, self.handlers)

    def list(self, request: Request) -> Response:
        """All tests."""
        request.parameters(NoQuery)
        stored = self.store.read()
        tests = tuple(TestSummary.of(one) for _, one in sorted(stored.tests.items()))
        content = TestList(version=stored.version, tests=tests, shared=stored.shared)
        return Response(content=content)

    def get(self, request: Request) -> Response:
        """One test, with its version as ETag."""
        request.parameters(NoQuery)
        return _told(self.store.test(_name(request)))

    def create(self, request: Request) -> Response:
        """Put a new test."""
        request.parameters(NoQuery)
        body = request.json(CreateTest)
        return _told(self._put(request, body.name, body, _New(self.store, body.name)))

    def put(self, request: Request) -> Response:
        """Put a test as a file would."""
        request.parameters(NoQuery)
        body, name = request.json(PutTest), _name(request)
        store = self._if(name, request.conditions(TestPreconditions))
        return _told(self._put(request, name, body, store))

    def _put(self, request: Request, name: str, body: PutTest, store: Any) -> StoredTest:
        check_new_tests([name], self._tests, lambda: self.flags.read().flags)
        document = ExperimentsDocument(
            ab_tests={name: body.experiment},
            layers=body.layers,
            holdouts=body.holdouts,
            segments=body.segments,
        )
        who = self._who(request, body.reason)
        kept = keeping.put(store, document, start=body.start, again=body.again, **who)
        return kept.tests[name]

    def _tests(self) -> Collection[str]:
        names: Collection[str] = self.store.snapshot()["tests"]
        return names

    def change(self, request: Request) -> Response:
        """Change the weights, the traffic or the ramp of a running test."""
        request.parameters(NoQuery)
        body, name = request.json(ChangeTest), _name(request)
        store = self._if(name, request.conditions(IfTest))
        changed = keeping.change(
            store,
            name,
            weights=body.weights,
            traffic=body.traffic,
            ramp=body.ramp,
            **self._who(request, body.reason),
        )
        return _told(changed)

    def start(self, request: Request) -> Response:
        """Begin a test."""
        request.parameters(NoQuery)
        body, name = request.json(StartTest, optional=True), _name(request)
        store = self._if(name, request.conditions(IfTest))
        who = self._who(request, body.reason)
        shards = SHARDS if body.shards is None else body.shards
        return _told(keeping.start(store, name, shards=shards, again=body.again, **who))

    def stop(self, request: Request) -> Response:
        """End a test by a person's will."""
        request.parameters(NoQuery)
        body, name = request.json(StopTest), _name(request)
        who = self._who(request, body.reason)
        return _told(keeping.stop(self.store, name, serve=body.serve, run=body.run, **who))

    def results(self, request: Request) -> Response:
        """What a test says now."""
        asked, name = request.parameters(ResultsQuery), _name(request)
        found = results(
            self.store,
            self._client,
            self._table,
            name,
            at=self.clock.now(),
            segment=asked.segment,
        )
        return Response(content=found)

    def looks(self, request: Request) -> Response:
        """The looks of a run."""
        asked, name = request.parameters(LooksQuery), _name(request)
        run = self.store.test(name).run if asked.run is None else asked.run
        later = [one for one in self.store.looks(name, run) if one.number > asked.after]
        page = that_fit(later[: asked.limit])
        more = page[-1].number if len(later) > len(page) else None
        return Response(content=LooksPage(run=run, looks=page, next=more))

    def audit(self, request: Request) -> Response:
        """What was changed of one test."""
        asked, name = request.parameters(TestAuditQuery), _name(request)
        found = self.store.audit(self.store.test(name).name, asked.limit + 1)
        page = that_fit(found[: asked.limit])
        return Response(content=TestAudit(entries=page, more=len(found) > len(page)))

    def _who(self, request: Request, reason: str) -> dict[str, Any]:
        return {"by": request.by, "reason": reason, "at": self.clock.now()}

    def _if(self, name: str, asked: IfTest) -> ExperimentStore:
        """The store as it is for a change that has preconditions."""
        absent = isinstance(asked, TestPreconditions) and asked.if_none_match == "*"
        if asked.if_match is None and not absent:
            return self.store
        return cast(ExperimentStore, _Conditional(self.store, name, asked.if_match, absent))


class _Over:
    """Another store, changed only if what is written over is as it must be."""

    def __init__(self, store: ExperimentStore, name: str) -> None:
        self._store, self._name = store, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class _New(_Over):
    """For a test that is to be new: it is there already only if it is the same."""

    def change(self, edit: Edit, **given: Any) -> ChangedTests:
        """As the store's.

        Raises:
            Refused: there is a test of that name that is otherwise.
        """

        def checked(stored: StoredTests) -> StoredTests:
            before, after = stored.tests.get(self._name), edit(stored)
            if before is not None and before != after.tests[self._name]:
                said = "there is such a test, and it is otherwise; change that"
                raise Refused(f"{self._name}: {said}")
            return after

        return self._store.change(checked, **given)


class _Conditional(_Over):
    """For a test that is changed only if it is as it was seen."""

    def __init__(
        self, store: ExperimentStore, name: str, if_match: str | None, absent: bool
    ) -> None:
        super().__init__(store, name)
        self._if_match, self._absent = if_match, absent

    def change(self, edit: Edit, **given: Any) -> ChangedTests:
        """As the store's.

        Raises:
            PreconditionFailed: the test is not as it was seen.
        """

        def checked(stored: StoredTests) -> StoredTests:
            before = stored.tests.get(self._name)
            self._check(0 if before is None else before.version)
            return edit(stored)

        return self._store.change(checked, **given)

    def _check(self, version: int) -> None:
        if self._absent and version:
            said = f"there is such a test, at version {version}; leave out If-None-Match"
            raise PreconditionFailed(f"{self._name}: {said} to change it")
        if self._if_match is not None and not version:
            raise PreconditionFailed(f"{self._name}: there is no such test")
        if self._if_match not in (None, "*", f'"{version}"'):
            said = f"it is at version {version} now; look at it again and repeat your change"
            raise PreconditionFailed(f"{self._name}: {said}")


def _name(request: Request) -> str:
    """The test of a path.

    Raises:
        InvalidInput: no test can have such a name.
    """
    name = request.path["name"]
    if not re.fullmatch(NAME, name):
        way_out = "use letters, digits, dots, dashes and underscores, at most 64"
        raise InvalidInput("name", name, way_out)
    return name


def _told(test: StoredTest) -> Response:
    return Response(content=TestView.of(test), headers={"etag": f'"{test.version}"'})
