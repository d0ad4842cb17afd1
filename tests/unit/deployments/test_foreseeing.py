from datetime import timedelta
from decimal import Decimal

import pytest
from botocore.exceptions import ClientError

from greenlane.cli.planning import lines_of
from greenlane.deployments.looking.cost import EXTENDED_LOOK_SECONDS, Cost, Fleet, cost_of
from greenlane.deployments.looking.foreseeing import queries_of
from greenlane.errors import InvalidInput, UnknownService
from greenlane.health.asked import criteria_of
from greenlane.health.candidate import Asked
from greenlane.health.declared import known_metrics
from greenlane.health.observed import MINUTE, Baseline
from greenlane.health.reading import read_series
from greenlane.rollback.extended import LOOK_EVERY_MINUTES
from tests.aws_account import NOW, make_services
from tests.builders import plan, service_config, steps
from tests.kept_alarms import AlarmClient

FULL = """
service:
  name: claude-manager
  deployment: {strategy: canary, warm_floor: 1}
  success_criteria: {performance: {response_time_p95: {threshold: 1.1, comparison: less_than_live}}}
"""


class Past(AlarmClient):
    """CloudWatch with the same hours in all of a week: of blue alone, or nothing."""

    def __init__(self, per_minute=3_000, trouble=None):
        super().__init__()
        self.per_minute, self.trouble = per_minute, trouble
        self.reads = []

    def get_metric_data(self, **asked):
        self.reads.append(asked)
        if self.trouble:
            raise ClientError({"Error": {"Code": self.trouble}}, "GetMetricData")
        hours = [asked["EndTime"] - timedelta(hours=number) for number in range(1, 24 * 7 + 1)]
        return {"MetricDataResults": [self._answer(query, hours) for query in self._queries(asked)]}

    def _queries(self, asked):
        assert all(query["MetricStat"]["Period"] == 3600 for query in asked["MetricDataQueries"])
        return asked["MetricDataQueries"]

    def _answer(self, query, hours):
        values = {
            "r_blue": 60 * self.per_minute,
            "c2_blue": 60 * self.per_minute * 0.999,
            "c5_blue": 60 * self.per_minute * 0.001,
            "response_time_p50_blue": 0.1,
            "response_time_p95_blue": 0.455,
            "response_time_p99_blue": 0.9,
        }
        value = values.get(query["Id"])
        points = [] if not value else hours
        return {"Id": query["Id"], "Timestamps": points, "Values": [value] * len(points)}


@pytest.fixture
def seen(applied):
    """The account with a week of traffic behind it."""
    make_services(applied.connection.client("ecs"))
    applied.apply(FULL, by="jo")
    applied.connection._clients["cloudwatch"] = Past()
    return applied


def test_one_read_tells_what_each_step_sees(seen):
    found = seen.foresee("claude-manager")
    assert len(seen.connection.client("cloudwatch").reads) == 1
    assert found.traffic
    assert found.usual_error_rate == Decimal("0.001")
    assert found.usual_p95_ms == 455
    assert [step.requests for step in found.steps] == [90, 450, 900, 2250, 4500, 9000]
    assert (found.seconds, found.watch_seconds) == (1800, 1800)
    assert found.better == ()


def test_the_request_goes_before_the_configuration(seen):
    found = seen.foresee("claude-manager", strategy="linear", bake=timedelta(minutes=10))
    assert found.strategy == "linear"
    assert [step.bake_seconds for step in found.steps if step.kind == "step"] == [600] * 10


def test_a_quiet_service_gets_a_better_schedule_to_paste(seen):
    seen.connection._clients["cloudwatch"] = Past(300)
    found = seen.foresee("claude-manager")
    assert found.steps[0].blind
    assert found.better[-1].weight == 100
    lines = lines_of(found)
    begin = lines.index("steps:")
    text = "service:\n  name: claude-manager\n  deployment:\n    strategy: canary\n" + "\n".join(
        f"    {line}" for line in lines[begin:]
    )
    seen.apply(text, by="jo")
    again = seen.foresee("claude-manager")
    assert not any(step.blind for step in again.steps)


@pytest.mark.parametrize(
    ("past", "note"),
    [
        (Past(0), "no traffic in the last 7 days"),
        (Past(trouble="ThrottlingException"), "the traffic was not read: CloudWatch: Throttling"),
    ],
)
def test_without_traffic_it_says_so(seen, past, note):
    seen.connection._clients["cloudwatch"] = past
    found = seen.foresee("claude-manager")
    assert not found.traffic
    assert any(said.startswith(note) for said in found.notes)
    assert [step.requests for step in found.steps] == [None] * 6
    assert any("?" in line for line in lines_of(found))
    assert found.cost.total > 0


def test_a_task_without_a_size_costs_something_unknown(seen):
    found = seen.foresee("claude-manager")
    assert any("no size for the task" in note for note in found.notes)
    assert found.cost.orchestration == found.cost.total


def test_a_service_that_is_not_there_is_said(applied):
    applied.connection._clients["cloudwatch"] = Past()
    found = applied.foresee("claude-manager")
    assert any(note.startswith("the tasks were not read") for note in found.notes)


def test_shadow_and_holds_that_take_too_long_are_said(seen):
    text = "service: {name: claude-manager, deployment: {judge_mode: shadow, max_duration: 31m}}"
    seen.apply(text, by="jo")
    seen.connection._clients["cloudwatch"] = Past(3)
    notes = " ".join(seen.foresee("claude-manager").notes)
    assert "judge_mode is shadow" in notes
    assert "longer than max_duration" in notes
    assert "on_no_evidence: rollback" in notes


@pytest.mark.parametrize("wrong", [{"days": 0}, {"days": 64}, {"sees": 0}, {"sees": 1}])
def test_what_makes_no_sense_is_refused(seen, wrong):
    with pytest.raises(InvalidInput):
        seen.foresee("claude-manager", **wrong)


def test_steps_that_are_no_plan_are_refused(seen):
    with pytest.raises(InvalidInput, match="rise"):
        seen.foresee("claude-manager", steps=[{"weight": 50}, {"weight": 10}, {"weight": 100}])
    with pytest.raises(InvalidInput, match="max_duration"):
        seen.foresee("claude-manager", bake=timedelta(hours=6))
    with pytest.raises(UnknownService):
        seen.foresee("nobody")


def test_the_time_of_day_counts(seen):
    at = NOW + timedelta(hours=5)
    assert seen.foresee("claude-manager", at=at).at == at


def test_costs_are_exact_and_say_what_they_are_of():
    fleet = Fleet(2, Decimal("0.5"), Decimal(1), warm=1, warm_seconds=23 * 3600 + 1800)
    found = cost_of(
        steps(1, 5, 10, 25, 50, 100), holds=0, seconds=3600, metrics_a_minute=14, fleet=fleet
    )
    cost = {line.what: (line.count, line.cost) for line in found.lines}
    assert cost["state transitions"] == (45, Decimal("0.001125"))
    assert cost["metrics read"] == (840, Decimal("0.0084"))
    assert cost["vCPU-hours, second slot"] == (1, Decimal("0.04048"))
    assert cost["GB-hours, warm tasks of the old slot"] == (Decimal("23.5"), Decimal("0.1044575"))
    assert found.total == sum(line.cost for line in found.lines)
    assert found.orchestration < Decimal("0.01")


def test_a_hold_costs_some_transitions_more():
    def transitions(holds):
        found = cost_of(steps(100), holds=holds, seconds=60, metrics_a_minute=1, fleet=None)
        return found.lines[0].count

    assert transitions(2) - transitions(0) == 6
    assert Cost().total == 0


def test_what_a_judgement_reads_is_counted_as_it_is_read(world):
    config = service_config(
        workload=world.workload,
        rollback_triggers=["cpu_usage > 90 and memory_usage > 90"],
        success_criteria={"performance": {"response_time_p95": 1500}},
    )
    metrics = known_metrics(config.metrics, config.database)
    before = Baseline(metric="response_time_p95", value=Decimal(400), minutes=5)
    asked = Asked(plan(config=config, baseline=[before])).names().values()
    calls = []
    world.runtime.__dict__["cloudwatch"] = Recorder(calls)
    read_series(world.runtime, world.workload, asked, start=NOW - MINUTE, end=NOW)
    (queries,) = calls
    assert queries_of(criteria_of(config), metrics) == len(queries)


class Recorder:
    def __init__(self, calls):
        self.calls = calls

    def get_metric_data(self, **asked):
        self.calls.append([one for one in asked["MetricDataQueries"] if "MetricStat" in one])
        return {"MetricDataResults": []}


@pytest.mark.parametrize(
    ("per_minute", "strategy", "told"),
    [(3_000, "all_at_once", True), (0, "canary", True), (3_000, "canary", False)],
)
def test_comparisons_that_may_have_nothing_to_compare_with_are_named(
    seen, per_minute, strategy, told
):
    text = """
service:
  name: claude-manager
  success_criteria: {performance: {throughput_degradation: 0.05}}
  metrics: {throughput: {critical: true}}
"""
    seen.apply(text, by="jo")
    seen.connection._clients["cloudwatch"] = Past(per_minute)
    notes = seen.foresee("claude-manager", strategy=strategy).notes
    found = [note for note in notes if "not applicable" in note]
    assert bool(found) == told
    assert all(note.startswith("throughput: ") for note in found)
    assert all("throughput is declared critical" in note for note in found)


def test_the_better_schedule_is_timed_with_its_holds_and_the_final_bake(seen):
    seen.connection._clients["cloudwatch"] = Past(300)
    canary = seen.foresee("claude-manager")
    text = """
service:
  name: claude-manager
  deployment: {strategy: canary, final_bake: 20m, max_duration: 1h}
"""
    seen.apply(text, by="jo")
    final = seen.foresee("claude-manager")
    assert final.better == canary.better
    assert final.better_seconds == canary.better_seconds + 1200
    assert "the better schedule needs a longer max_duration" in final.notes


def test_the_extended_watch_reads_metrics_that_are_paid_for(seen):
    def read(found):
        lines = {line.what: line.count for line in found.cost.lines}
        return lines["metrics read"], lines.get("metrics read in the extended watch", 0)

    each_minute, extended = read(seen.foresee("claude-manager"))
    looks = (24 * 60 - 30) // 5
    assert extended / looks == each_minute / 60
    text = "service: {name: claude-manager, deployment: {judge_mode: shadow, final_bake: 10m}}"
    seen.apply(text, by="jo")
    shadow, none = read(seen.foresee("claude-manager", strategy="canary"))
    assert (shadow / 70, none) == (24, 0)


def test_the_extended_watch_is_looked_at_as_often_as_it_is_paid_for():
    assert EXTENDED_LOOK_SECONDS == 60 * LOOK_EVERY_MINUTES
