from datetime import timedelta

import pytest

from greenlane.deployments.model import DeploymentSummary, HistoryEvent, Judgement, Signal
from greenlane.deployments.phases import FREE, LEASED, Phase
from greenlane.deployments.storing.items import body_item, instant
from greenlane.errors import DeploymentInFlight, FenceLost, UnknownDeployment, UnknownService
from tests.builders import NOW, SERVICE, plan, record, service_config, verdict


@pytest.fixture
def store(world):
    return world.store


def test_the_first_deployment_takes_the_lease(store):
    assert store.record(SERVICE) is None
    assert store.acquire(record(phase=Phase.PLANNING)) == store.record(SERVICE)


@pytest.mark.parametrize("phase", sorted(FREE))
def test_a_finished_deployment_gives_way_to_the_next_and_its_watch_is_closed(store, phase):
    before = record(phase=phase, epoch=4, watch_until=NOW + timedelta(hours=3), signal=None)
    store.acquire(before.model_copy(update={"epoch": 4}))
    taken = store.acquire(record(deployment_id="d-2", epoch=5, phase=Phase.PLANNING))
    assert (taken.deployment_id, taken.watch_until) == ("d-2", None)
    assert store.record(SERVICE) == taken


@pytest.mark.parametrize("phase", sorted(LEASED))
def test_a_running_deployment_keeps_the_lease(store, phase):
    running = store.acquire(record(phase=phase))
    with pytest.raises(DeploymentInFlight, match=rf"d-1 \(phase {phase.value}\)"):
        store.acquire(record(deployment_id="d-2", epoch=2, phase=Phase.PLANNING))
    assert store.record(SERVICE) == running


def test_asking_again_for_the_same_deployment_gives_its_record_as_it_stands(store):
    store.acquire(record(phase=Phase.PLANNING))
    moved = store.update(record(), {"phase": Phase.PREPARING, "reason": "moved on"})
    assert store.acquire(record(phase=Phase.PLANNING)) == moved
    ended = store.update(moved, {"phase": Phase.ROLLED_BACK})
    assert store.acquire(record(phase=Phase.PLANNING, epoch=2)) == ended


def test_two_that_read_the_same_record_do_not_both_get_the_lease(store):
    store.acquire(record(phase=Phase.RETIRED, epoch=7))
    store.acquire(record(deployment_id="d-2", phase=Phase.PLANNING, epoch=8))
    store.update(store.record(SERVICE), {"phase": Phase.REFUSED})
    with pytest.raises(DeploymentInFlight):
        store.acquire(record(deployment_id="d-3", phase=Phase.PLANNING, epoch=8))


def test_a_change_needs_owner_and_epoch(store):
    mine = store.acquire(record())
    for other in ({"epoch": 2}, {"deployment_id": "d-9"}, {"epoch": 0}):
        with pytest.raises(FenceLost):
            store.update(mine.model_copy(update=other), {"weight": 50})
    assert store.record(SERVICE) == mine
    assert store.update(mine, {"weight": 50}).weight == 50


def test_a_change_may_need_a_phase(store):
    mine = store.acquire(record(phase=Phase.SHIFTING))
    with pytest.raises(FenceLost):
        store.update(mine, {"weight": 50}, phases={Phase.PREPARING, Phase.PROMOTED})
    changed = store.update(mine, {"phase": Phase.PROMOTED}, phases={Phase.SHIFTING})
    assert changed.phase is Phase.PROMOTED


def test_a_change_may_need_other_fields_as_they_were_or_absent(store):
    mine = store.acquire(record(step=2))
    abort = Signal(name="abort", step=2, by="ada", at=NOW)
    asked = {"step": 2, "signal": None}
    with pytest.raises(FenceLost):
        store.update(mine, {"signal": abort}, where=asked | {"step": 1})
    written = store.update(mine, {"signal": abort}, where=asked)
    assert written.signal == abort
    with pytest.raises(FenceLost):
        store.update(mine, {"signal": abort}, where=asked)
    taken = store.update(mine, {"signal": None}, where={"signal": abort})
    assert taken.signal is None


def test_every_field_of_a_record_can_be_asked_for_whatever_words_dynamodb_reserves(store):
    mine = store.acquire(record(signal=Signal(name="pause", step=0, by="ada", at=NOW)))
    for name in type(mine).model_fields:
        value = getattr(mine, name)
        assert store.update(mine, {name: value}, where={name: value}) == mine


def test_a_change_to_nothing_removes_the_field(store):
    mine = store.acquire(record(bake_token="token", reason="why"))
    found = store.update(mine, {"bake_token": None, "weight": 5, "reason": None})
    assert (found.bake_token, found.reason, found.weight) == (None, None, 5)
    assert store.update(mine, {"bake_token": None}).bake_token is None


def test_a_change_of_a_record_that_is_gone_is_refused(store):
    with pytest.raises(FenceLost):
        store.update(record(), {"weight": 5})


def test_a_configuration_gets_a_version_only_when_it_differs(world):
    store = world.store
    assert store.get_config(SERVICE).version == 1
    world.configure()
    assert store.get_config(SERVICE).version == 1
    world.configure(deployment={"strategy": "all_at_once"})
    current = store.get_config(SERVICE)
    assert (current.version, current.config.deployment.strategy) == (2, "all_at_once")
    assert (current.applied_by, current.source) == ("ada", "test.yaml")


def test_services_are_listed_and_an_unknown_one_is_named_with_the_known(store):
    store.put_config(service_config(name="billing"), source="b.yaml", by="ada", at=NOW)
    assert store.services() == ["billing", SERVICE]
    with pytest.raises(UnknownService, match="known: billing, claude-manager"):
        store.get_config("web")


def test_a_plan_comes_back_as_it_was(store):
    store.put_plan(plan())
    assert store.plan("d-1") == plan()
    with pytest.raises(UnknownDeployment, match="d-9"):
        store.plan("d-9")


def event(number, at):
    return HistoryEvent(at=at, kind="judged", actor="judge_step", detail={"number": number})


def test_history_comes_oldest_first_and_never_replaces_a_line(store):
    at = [NOW + timedelta(seconds=n) for n in (3, 1, 2, 1)]
    for number, moment in enumerate(at):
        store.append("d-1", event(number, moment))
    store.append("d-10", event(9, NOW))
    found = store.history("d-1")
    assert [line.at for line in found] == sorted(at)
    assert {line.detail["number"] for line in found} == {0, 1, 2, 3}


def test_long_histories_are_read_to_the_end(store):
    for number in range(40):
        long = event("x" * 40_000, NOW + timedelta(seconds=number))
        store.append("d-1", long)
    assert len(store.history("d-1")) == 40


def test_deployments_come_newest_first(store):
    for number in range(5):
        store.put_summary(
            DeploymentSummary(
                deployment_id=f"d-{number}",
                service=SERVICE,
                phase=Phase.RETIRED,
                strategy="canary",
                started_at=NOW + timedelta(minutes=(number * 7) % 5),
            )
        )
    found = [line.deployment_id for line in store.deployments(SERVICE)]
    assert found == ["d-2", "d-4", "d-1", "d-3", "d-0"]
    assert [line.deployment_id for line in store.deployments(SERVICE, limit=2)] == ["d-2", "d-4"]


def test_a_summary_of_the_same_deployment_replaces_its_line(store):
    line = DeploymentSummary(
        deployment_id="d-1",
        service=SERVICE,
        phase=Phase.SHIFTING,
        strategy="canary",
        started_at=NOW,
    )
    store.put_summary(line)
    store.put_summary(line.model_copy(update={"phase": Phase.RETIRED}))
    assert [found.phase for found in store.deployments(SERVICE)] == [Phase.RETIRED]


def test_a_report_and_a_newer_line_do_not_overwrite_each_other(store):
    line = DeploymentSummary(
        deployment_id="d-1",
        service=SERVICE,
        phase=Phase.ROLLING_BACK,
        strategy="canary",
        started_at=NOW,
    )
    store.put_summary(line)
    store.put_summary(line.model_copy(update={"phase": Phase.ROLLED_BACK}))
    store.put_report(line, "incidents/d-1/report.json")  # what its writer read is old by now
    store.put_summary(line.model_copy(update={"phase": Phase.ROLLED_BACK, "reason": "alarm"}))
    (found,) = store.deployments(SERVICE)
    assert (found.phase, found.reason) == (Phase.ROLLED_BACK, "alarm")
    assert found.report == "incidents/d-1/report.json"


def test_a_report_begins_no_line_and_one_of_an_earlier_version_is_found(store):
    line = DeploymentSummary(
        deployment_id="d-1",
        service=SERVICE,
        phase=Phase.ROLLED_BACK,
        strategy="canary",
        started_at=NOW,
        report="old.json",
    )
    store.put_report(line, "new.json")
    assert store.deployments(SERVICE) == []
    sk = f"DEPLOYMENT#{instant(NOW)}#d-1"
    store.client.put_item(TableName=store.table, Item=body_item(f"SERVICE#{SERVICE}", sk, line))
    assert store.deployments(SERVICE)[0].report == "old.json"
    store.put_report(line, "new.json")
    assert store.deployments(SERVICE)[0].report == "new.json"


def test_only_the_latest_look_is_kept(store):
    assert store.last_look("d-1") is None
    for name in ("hold", "pass"):
        store.put_look("d-1", Judgement(at=NOW, step=0, verdict=verdict(name)))
    assert store.last_look("d-1").verdict.verdict == "pass"
