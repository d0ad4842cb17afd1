"""Flags, A/B tests, migrations and several Regions by the same action as deployments."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from functions import run_pipeline_action
from greenlane.deployments.client import Greenlane
from greenlane.errors import InvalidInput, NotFinished
from greenlane.experiments.storing import keeping as tests_kept
from greenlane.pipelines.serving import LONGEST_ID, subject_id
from tests.builders import NOW, SERVICE
from tests.experiment_store import definition
from tests.flag_store import memory_store, put
from tests.migrated import DATABASE, SHA
from tests.migration_town import MigrationTown
from tests.pipeline_town import EXECUTION, PipelineTown, job_event, zipped
from tests.postgres_town import TownConnection as MigrationsOf
from tests.unit.pipelines.turns import ENVELOPE, Pipeline, asked

# Flags and A/B tests


@pytest.fixture
def town() -> Iterator[PipelineTown]:
    with PipelineTown().works() as made:
        yield made


class Action:
    """One action after the other of one pipeline execution."""

    def __init__(self, town: PipelineTown) -> None:
        self.town, self._count = town, 0

    def __call__(self, **request: Any) -> tuple[str, dict[str, Any]]:
        self._count += 1
        job = str(uuid.UUID(int=self._count))
        self.town.codepipeline.jobs.add(job)
        run_pipeline_action.handler(job_event(job, ENVELOPE | request), None)
        return self.town.codepipeline.results[job]


@pytest.fixture
def action(town: PipelineTown) -> Action:
    return Action(town)


def test_a_flag_is_changed_at_once_and_audited_under_the_pipelines_name(
    action: Action, town: PipelineTown
) -> None:
    store = memory_store(town.flags)
    put(store, "feature_flags: {new_ui: {percentage: 10}}")

    operation, arguments = action(flag={"key": "new_ui", "set": {"percentage": 25}, "reason": "go"})

    assert operation == "PutJobSuccessResult"
    assert arguments["outputVariables"]["changed"] == "true"
    assert store.read().flags["new_ui"].flag.percentage == 25
    (newest, *_) = store.audit()
    assert (newest.by, newest.reason) == (f"pipeline {EXECUTION}", "go")


def test_a_repeated_request_for_a_flag_does_not_set_it_again(
    action: Action, town: PipelineTown
) -> None:
    store = memory_store(town.flags)
    put(store, "feature_flags: {new_ui: {percentage: 10}}")
    action(flag={"key": "new_ui", "set": {"percentage": 25}})
    put(store, "feature_flags: {new_ui: {percentage: 40}}", by="a person since")

    operation, _ = action(flag={"key": "new_ui", "set": {"percentage": 25}})

    assert operation == "PutJobSuccessResult"
    assert store.read().flags["new_ui"].flag.percentage == 40


@pytest.mark.parametrize("enabled", [True, False])
def test_a_flag_is_switched(action: Action, town: PipelineTown, enabled: bool) -> None:
    store = memory_store(town.flags)
    put(store, f"feature_flags: {{new_ui: {{enabled: {str(not enabled).lower()}}}}}")

    action(flag={"key": "new_ui", "enabled": enabled})

    stored = store.read().flags["new_ui"]
    assert stored.flag.enabled is True
    assert all(state.stopped is not enabled for state in stored.states.values())


def test_a_ramp_begins(action: Action, town: PipelineTown) -> None:
    store = memory_store(town.flags)
    text = "feature_flags: {new_ui: {percentage: 5, per_environment: {production: {}}}}"
    put(store, text)
    ramp = {"to": 50, "increment": 10, "interval": "10m"}

    operation, arguments = action(flag={"key": "new_ui", "environment": "production", "ramp": ramp})

    assert operation == "PutJobSuccessResult", arguments
    kept = store.read().flags["new_ui"].state("production").ramp
    assert kept is not None
    assert (kept.target, kept.increment) == (50, 10)


def test_a_flag_that_a_second_person_must_approve_holds_the_action_until_then(
    action: Action, town: PipelineTown
) -> None:
    store = memory_store(town.flags)
    put(store, "feature_flags: {new_ui: {percentage: 5, per_environment: {production: {}}}}")
    put(store, "{approvals: {environments: [production]}, feature_flags: {}}")

    operation, arguments = action(flag={"key": "new_ui", "set": {"percentage": 50}})

    message = arguments["failureDetails"]["message"]
    assert operation == "PutJobFailureResult"
    assert "greenlane flags approve" in message
    assert "then retry the stage" in message
    assert store.read().flags["new_ui"].flag.percentage == 5


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ({"key": "newui", "set": {"percentage": 5}}, "did you mean new_ui?"),
        ({"key": "new_ui", "set": {"percantage": 5}}, "percantage"),
        ({"key": "new_ui"}, "name exactly one of set, enabled and ramp"),
        ({"key": "new_ui", "enabled": True, "set": {"a": 1}}, "found set and enabled"),
        ({"key": "new_ui", "ramp": {"to": 50}}, "a ramp needs it, such as production"),
        ({"key": "new_ui", "enabld": True}, "did you mean enabled?"),
    ],
)
def test_what_is_wrong_with_a_change_of_a_flag_is_said(
    action: Action, town: PipelineTown, flag: dict[str, Any], said: str
) -> None:
    put(memory_store(town.flags), "feature_flags: {new_ui: {percentage: 10}}")

    operation, arguments = action(flag=flag)

    assert operation == "PutJobFailureResult"
    assert said in arguments["failureDetails"]["message"]


def test_a_test_is_begun_and_stopped(action: Action, town: PipelineTown) -> None:
    store = Greenlane(town.connection("test")).experiments
    tests_kept.create(store, "button", definition(), by="ada", at=NOW)

    begun = action(experiment={"name": "button", "to": "start"}, action="begin")
    stopped = action(experiment={"name": "button", "to": "stop", "reason": "enough"}, action="end")

    assert begun[1]["outputVariables"]["status"] == "running"
    assert stopped[1]["outputVariables"]["status"] == "concluded"
    assert store.test("button").verdict == "stopped"


@pytest.mark.parametrize(
    ("experiment", "said"),
    [
        ({"name": "buton", "to": "start"}, "did you mean button?"),
        ({"name": "button", "to": "stop"}, "say why it is stopped"),
        ({"name": "button", "to": "stert"}, "did you mean start?"),
        ({"name": "button", "to": "start", "serve": "control"}, "it goes with `to: stop`"),
    ],
)
def test_what_is_wrong_with_a_change_of_a_test_is_said(
    action: Action, town: PipelineTown, experiment: dict[str, Any], said: str
) -> None:
    store = Greenlane(town.connection("test")).experiments
    tests_kept.create(store, "button", definition(), by="ada", at=NOW)

    assert said in action(experiment=experiment)[1]["failureDetails"]["message"]


# Migrations


@pytest.fixture
def migrations() -> Iterator[MigrationTown]:
    made = MigrationTown()
    yield made
    made.kernel.close()


def migrating(town: MigrationTown, **changed: Any) -> Pipeline:
    wanted = {"database": DATABASE, "plan": SHA, "phase": "expand"} | changed
    return Pipeline(Greenlane(MigrationsOf(town)), asked(migration=wanted))


def test_a_phase_of_migrations_is_begun_and_followed_to_its_end(migrations: MigrationTown) -> None:
    pipeline = migrating(migrations)

    entry, first = pipeline.turn()
    migrations.run(2)
    _, last = pipeline.turn()

    assert entry.subject_id.startswith(f"{DATABASE}-expand-{EXECUTION}"[:40])
    assert first.end is None
    assert last.end is not None
    assert last.end.outputs == {
        "run": entry.subject_id,
        "database": DATABASE,
        "outcome": "succeeded",
    }
    assert migrations.runs.run(entry.subject_id).requested_by == "test"
    assert len(migrations.executions) == 1


def test_a_statement_that_fails_fails_the_action(migrations: MigrationTown) -> None:
    migrations.database.fails_at = 1
    pipeline = migrating(migrations)
    pipeline.turn()
    migrations.run(5)

    _, seen = pipeline.turn()

    assert seen.end is not None
    assert seen.end.name == "rolled_back"
    assert seen.end.reason


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"database": "billing"}, "known: orders"),
        ({"database": "nothing"}, "known: "),
        ({"plan": "b" * 64}, "no such plan"),
    ],
)
def test_what_is_wrong_with_a_migration_is_said_and_nothing_begins(
    migrations: MigrationTown, changed: dict[str, Any], said: str
) -> None:
    _, seen = migrating(migrations, **changed).turn()

    assert seen.end is not None
    assert seen.end.name == "refused"
    assert said in seen.end.reason
    assert migrations.executions == {}


def test_a_stopped_pipeline_ends_its_migration(migrations: MigrationTown) -> None:
    pipeline = migrating(migrations)
    pipeline.turn()
    with pytest.raises(NotFinished, match="has not begun"):
        pipeline.stop()
    migrations.kernel.run(3600, lambda: bool(migrations.runs.runs(DATABASE, 1)))

    assert "it is aborted" in pipeline.stop()
    migrations.run(5)
    _, seen = pipeline.turn()
    assert seen.end is not None
    assert seen.end.name in ("rolled_back", "stopped")


# Ids


def test_an_id_is_that_of_the_execution_and_a_long_one_keeps_to_the_limit() -> None:
    found = asked(service=SERVICE, version="1")
    assert subject_id(found, 1) == f"{SERVICE}-{EXECUTION}"
    assert subject_id(found, 2) == f"{SERVICE}-{EXECUTION}-2"
    long = asked(service="a" * 32, version="1", action="second")
    ids = {subject_id(long, attempt) for attempt in range(1, 50)}
    assert len(ids) == 49
    assert {len(one) for one in ids} == {LONGEST_ID}


def test_files_of_an_artifact_may_be_of_any_folder() -> None:
    from greenlane.pipelines.artifacts import Artifacts, Place

    town = PipelineTown()
    town.artifacts.objects["k"] = zipped({"deploy/a.json": "1", "b.json": "2"})
    files = Artifacts({"Built": Place("artifacts", "k")}, lambda: town.artifacts)

    assert (files.read("deploy/a.json", None), files.read("b.json", "Built")) == ("1", "2")
    with pytest.raises(InvalidInput, match=r"did you mean deploy/a\.json"):
        files.read("deploy/b.json", None)
    with pytest.raises(InvalidInput, match="did you mean Built"):
        files.read("b.json", "Build")


def test_migrations_that_nobody_deployed_are_refused(migrations: MigrationTown) -> None:
    pipeline = migrating(migrations)
    client = pipeline.greenlane.connection.client("stepfunctions")
    from tests.fakes import error

    def absent(**_: Any) -> Any:
        raise error("StateMachineDoesNotExist", "StartExecution")

    client.start_execution = absent
    _, seen = pipeline.turn()

    assert seen.end is not None
    assert "nothing for migrations is deployed" in seen.end.reason
