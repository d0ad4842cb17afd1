"""The five files that Greenlane was asked for, unchanged: applied by one command, and at work.

What each key of a file does in every case is tested where the key is at home; here is shown that a
file as it stands brings about what its section says. Everything goes through the command line, the
product's HTTP API, its templates and its workflows. Schedules of days and ramps of hours, and the
days that four Regions take, pass in virtual time: by the same functions and the real machines.
"""

from collections import Counter
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from greenlane.cli.main import app
from greenlane.deployments.phases import Phase
from greenlane.flags.definitions.compiling import compile_snapshot
from greenlane.flags.definitions.document import read_flags
from greenlane.flags.evaluating.engine import Engine
from greenlane.flags.storing import keeping
from greenlane.flags.storing.ramp_records import level
from greenlane.local.stage import SERVICE
from tests.flag_api import DeployedApi
from tests.flag_town import Town
from tests.flag_town import no_pauses as no_pauses
from tests.region_town import only
from tests.region_town import town as town
from tests.scenarios import acts
from tests.scenarios.conftest import Scenario
from tests.scenarios.driving import baking, say
from tests.scenarios.spec_acts import (
    FLAGS,
    REGIONS,
    SPEC,
    TESTS,
    command,
    documents,
    evidence,
    on,
    scanned,
)
from tests.scenarios.waiting import eventually
from tests.town_connection import TownConnection

DURING = {
    *("response_time_p95", "response_time_p99", "error_rate", "throughput against live"),
    *("conversion_rate against live", "user_satisfaction"),
    *(f"rollback trigger {one}" for one in ("error_rate > 0.05", "response_time_p95 > 5000")),
    *(f"rollback trigger {one}" for one in ("cpu_usage > 90", "memory_usage > 90")),
    "rollback trigger user_complaints > 10",
    *(f"critical alert {one}" for one in ("error_rate > 0.05", "response_time_p95 > 5000")),
    "critical alert system_unavailable",
    *(f"warning {one}" for one in ("error_rate > 0.02", "response_time_p95 > 3000")),
    "warning cpu_usage > 85",
}
"""What the two files have judged at each step: speed, errors, and what the canary asks besides."""

AFTER = {"cpu_usage", "memory_usage", "disk_usage", "revenue against live"}
"""What comes to it after promotion, which `all_criteria` asks for; the sample has no database."""

GOOD = "conversion:0.9,satisfaction:4.95,complaints:0"
COMPLAINTS = f"{GOOD.rpartition(',')[0]},complaints:0.5"


# One command


def test_one_command_checks_the_five_files_as_a_folder_without_a_cloud() -> None:
    done = CliRunner().invoke(app, ["apply", "--check", "-f", str(SPEC)])
    assert done.exit_code == 0, done.output
    said = [line.partition(": ")[2] for line in done.stdout.splitlines()]
    assert said == [
        "a correct success criteria file; nothing was applied",
        "a correct canary file; nothing was applied",
        "a correct file of 4 regions; nothing was applied",
        "a correct file of 3 flags; nothing was applied",
        "a correct file of 2 A/B tests; nothing was applied",
    ]


# The canary and its criteria


# Alone: what the files configure would stay with the service for the tests that follow.
@pytest.mark.own_cloud
def test_a_deployment_goes_by_the_files_of_the_canary_and_its_criteria(scenario: Scenario) -> None:
    said = on(scenario, "apply", "-f", str(SPEC), "--service", SERVICE)
    assert said.count("configuration version") == 2
    again = on(scenario, "apply", "-f", str(SPEC), "--service", SERVICE)
    assert again.count(f"{SERVICE}: unchanged") == 3
    _the_plan_is_the_files(scenario)
    _people_are_told_as_the_file_says(scenario)
    _a_version_with_a_serious_finding_is_refused(scenario)

    scenario.cloud.server.before.append(scanned)
    _a_version_that_users_complain_of_goes_back(scenario)
    _a_good_version_is_promoted_by_passing_every_criterion(scenario)
    _a_critical_alert_in_the_watch_takes_it_back(scenario)


def _the_plan_is_the_files(scenario: Scenario) -> None:
    config = scenario.stage.greenlane.store.get_config(SERVICE).config.deployment
    assert [step.weight for step in config.steps or ()] == [1, 5, 10, 25, 50, 100]
    assert config.bake == timedelta(minutes=5)
    assert config.max_duration == timedelta(hours=2)
    assert config.watch == timedelta(minutes=30)
    assert config.extended_watch == timedelta(hours=24)


def _people_are_told_as_the_file_says(scenario: Scenario) -> None:
    topic = scenario.stage.greenlane.connection.topic_arn
    found = scenario.cloud.client("sns").list_subscriptions_by_topic(TopicArn=topic)
    assert "devops@terragon.ai" in [one["Endpoint"] for one in found["Subscriptions"]]
    config = scenario.stage.greenlane.store.get_config(SERVICE).config
    assert config.notifications.slack_channel == "#deployments"
    assert config.notifications.pagerduty_integration


def _a_version_with_a_serious_finding_is_refused(scenario: Scenario) -> None:
    version = acts.push(scenario, GOOD)
    image = {"imageTag": version}
    repository = scenario.stage.workload.repository
    scenario.cloud.client("ecr").start_image_scan(repositoryName=repository, imageId=image)
    (started,) = documents(scenario, "deploy", SERVICE, "--version", version)
    assert scenario.outcome(started["deployment_id"]) == "refused"
    (why,) = [
        one.detail["reason"]
        for one in scenario.history(started["deployment_id"])
        if one.kind == "refused"
    ]
    assert "vulnerability_scan" in why


def _deployed(scenario: Scenario, behaviour: str) -> str:
    """Start a version whose image has the evidence that the file asks for."""
    version = acts.push(scenario, behaviour)
    scenario.load.phase(version)
    evidence(scenario, version, "security_tests", "compliance_checks")
    (started,) = documents(scenario, "deploy", SERVICE, "--version", version)
    return str(started["deployment_id"])


def _promoted_to(scenario: Scenario, deployment_id: str, *weights: int) -> None:
    """Have a person pass the first steps, where a local cloud has too few visits to prove much."""
    for weight in weights:
        baking(scenario, deployment_id, weight)
        say(scenario, "promote")


def _a_version_that_users_complain_of_goes_back(scenario: Scenario) -> None:
    """It answers fast and well: no alarm of the templates and no other limit has anything."""
    live, idle = acts.slots(scenario)
    bad = _deployed(scenario, COMPLAINTS)
    _promoted_to(scenario, bad, 1, 5, 10)
    assert scenario.outcome(bad) == "rolled_back"
    record = scenario.record()
    assert record.trigger is not None
    began = next(e.detail for e in scenario.history(bad) if e.kind == "rollback began")
    assert "user_complaints" in f"{began} {acts.report(scenario, bad)['cause']}"
    assert acts.slots(scenario) == (live, idle)
    assert scenario.lost(f"t{scenario.versions}") == 0
    eventually(lambda: acts.tasks(scenario, idle) == (0, 0), "no task of the bad version")


def _a_good_version_is_promoted_by_passing_every_criterion(scenario: Scenario) -> None:
    good = _deployed(scenario, GOOD)
    _promoted_to(scenario, good, 1, 5, 10, 25)
    record = scenario.until_phase(good, Phase.PROMOTED, Phase.WATCHING, Phase.ROLLING_BACK)
    assert record.phase is not Phase.ROLLING_BACK
    assert [shift.weight for shift in record.shifts] == [1, 5, 10, 25, 50, 100]
    assert record.deadline - record.started_at == timedelta(hours=2)
    *_, fifty, hundred = record.shifts
    assert hundred.at - fifty.at >= timedelta(minutes=5)
    judged = [e.detail for e in scenario.history(good) if e.kind == "judged"]
    for verdict in judged[-2:]:
        passed = {one["name"] for one in verdict["checks"] if one["verdict"] == "pass"}
        assert verdict["verdict"] == "pass"
        assert passed >= DURING, DURING - passed

    def looked() -> bool:
        look = scenario.stage.greenlane.store.last_look(good)
        names = () if look is None else (check.name for check in look.verdict.checks)
        return set(names) >= AFTER

    eventually(looked, "every criterion is looked at after promotion")


def _a_critical_alert_in_the_watch_takes_it_back(scenario: Scenario) -> None:
    record = scenario.record()
    name = f"greenlane.{SERVICE}.critical.{record.candidate}."
    alarm = next(one for one in record.trigger_alarms if one.startswith(name))
    scenario.cloud.client("cloudwatch").set_alarm_state(
        AlarmName=alarm, StateValue="ALARM", StateReason="a test says so"
    )
    scenario.until_phase(record.deployment_id, Phase.ROLLED_BACK)
    assert scenario.percent() == {record.live: 100, record.candidate: 0}


# Feature flags

ELIGIBLE: dict[str, Any] = {"premium": True, "region": "us-west"}
USERS = [f"user-{number}" for number in range(150)]
STARTS = datetime(2024, 2, 1, tzinfo=UTC)


def _api(scenario: Scenario) -> DeployedApi:
    """The product's HTTP API, as the templates have made it."""
    return DeployedApi(scenario.cloud, scenario.stage.deployer)


def _looked_up(api: DeployedApi, user: str, **attributes: Any) -> dict[str, Any]:
    """Every flag and test of a user, over OFREP."""
    answer = api.look_up("", {"targetingKey": user} | attributes)
    assert answer.status == 200, answer.body
    return {one["key"]: one.get("value") for one in answer.json["flags"]}


def test_each_flag_answers_over_ofrep_as_its_section_says(scenario: Scenario) -> None:
    on(scenario, "apply", "-f", str(FLAGS), "--reason", "from the file")
    api = _api(scenario)
    eventually(lambda: "ui_redesign" in _looked_up(api, "user-0"), "the flags are read")
    found = {user: _looked_up(api, user, **ELIGIBLE) for user in USERS}

    # Who has it is a matter of the flag's and the user's name alone: the same everywhere, for ever.
    engine = Engine(compile_snapshot(read_flags(FLAGS.read_text()), "production"))
    now = scenario.cloud.clock.now().timestamp()
    for flag, percent in (("advanced_analytics", 25), ("performance_optimization", 10)):
        has = [user for user in USERS if found[user][flag]]
        assert has == [
            user
            for user in USERS
            if engine.evaluate(flag, {"targetingKey": user} | ELIGIBLE, now).value
        ]
        assert abs(len(has) - len(USERS) * percent / 100) <= 4 * (len(USERS) * 0.25 * 0.75) ** 0.5
    outside = next(user for user in USERS if not found[user]["advanced_analytics"])
    inside = next(user for user in USERS if found[user]["performance_optimization"])

    for group in ("beta_users", "internal_team"):
        assert _looked_up(api, outside, groups=[group])["advanced_analytics"]
    assert not _looked_up(api, outside, groups=["sales"])["advanced_analytics"]
    for missing in ({"premium": False}, {"region": "eu-west"}, {"premium": None}):
        assert not _looked_up(api, inside, **ELIGIBLE | missing)["performance_optimization"]
    assert _looked_up(api, inside, **ELIGIBLE | {"region": "us-east"})["performance_optimization"]
    elsewhere = ("flags", "explain", "advanced_analytics", "-e", "development")
    member = '{"targetingKey": "user-0", "groups": ["beta_users"]}'
    assert "DISABLED" in on(scenario, *elsewhere, "-c", member)
    assert not any(one["ui_redesign"] for one in found.values())

    # What was switched on before its first day goes up by the calendar; today it is everybody's.
    store = scenario.stage.greenlane.flags
    keeping.enable(store, "ui_redesign", by="a test", at=STARTS - timedelta(days=2))
    stored = store.read().flags["ui_redesign"]
    days = (-1, 0, 0.99, 1, 5, 8.99, 9, 14, 800)
    instants = [(STARTS + timedelta(days=day)).timestamp() for day in days]
    levels = [level(stored, "production", at) for at in instants]
    assert levels == [0, 10, 10, 20, 60, 90, 100, 100, 100]
    eventually(lambda: _looked_up(api, "user-0")["ui_redesign"] is True, "the schedule is over")
    on(scenario, "flags", "delete", "ui_redesign", "advanced_analytics")
    on(scenario, "flags", "delete", "performance_optimization")


def test_the_rollback_conditions_of_the_file_switch_a_ramped_flag_off_for_everybody() -> None:
    flag, it = "performance_optimization", Town(FLAGS.read_text())
    it.ramp(50, 10, flag=flag)
    it.run(0.3)
    raised = it.level(flag)
    assert raised > 10
    assert not it.state(flag).stopped

    it.floor = 0.03  # of the service's requests fail: more than the file's 0.02
    it.run(1, done=it.over(flag))
    assert it.state(flag).stopped
    assert it.level(flag) == 0
    assert "error_rate > 0.02" in str(it.state(flag).retreated)
    assert not it.state("advanced_analytics").stopped, "it has no such condition"
    it.kernel.close()


# A/B tests


def test_both_tests_deal_count_and_tell_as_their_sections_say(scenario: Scenario) -> None:
    on(scenario, "apply", "-f", str(TESTS), "--start")
    api = _api(scenario)
    eventually(lambda: _looked_up(api, "user-0").get("ui_color_scheme") is not None, "read")
    dealt = {user: _looked_up(api, user) for user in USERS}
    for test, shares in (
        ("checkout_optimization", {"control": 50, "treatment": 50}),
        ("ui_color_scheme", {"blue": 33, "green": 33, "red": 34}),
    ):
        counts = Counter(one[test] for one in dealt.values())
        assert counts.keys() == shares.keys()
        for variant, percent in shares.items():
            share, users = percent / 100, len(USERS)
            assert abs(counts[variant] - users * share) <= 4 * (users * share * (1 - share)) ** 0.5
    assert {user: _looked_up(api, user) for user in USERS[:20]} == {
        user: dealt[user] for user in USERS[:20]
    }

    name = "checkout_optimization"
    visitors = USERS[:30]
    arms = Counter(dealt[user][name] for user in visitors)
    treated = [user for user in visitors if dealt[user][name] == "treatment"][:6]
    orders = [
        {"test": name, "unit": user, "metric": "conversion_rate", "value": 1, "event_id": "order"}
        for user in treated
    ]
    shown = {"exposures": [{"test": name, "unit": user} for user in visitors]}
    assert api.tell("/v1/exposures", shown).json["retry"] == 0
    for _ in range(2):  # what is sent again counts once
        assert api.tell("/v1/events", {"events": orders}).json["retry"] == 0
    (results,) = documents(scenario, "experiments", "results", name)
    assert results["users"] == dict(arms)
    assert results["effects"].keys() == {
        "conversion_rate",
        "revenue_per_visitor",
        "cart_abandonment_rate",
    }
    effect = results["effects"]["conversion_rate"]["treatment"]
    assert effect["control"] == 0
    assert effect["treatment"] == pytest.approx(6 / arms["treatment"])
    assert results["verdict"] == "insufficient_data"
    assert results["reason"]["bound"] == 1000, "the file's minimum_sample_size"

    served = ("--reason", "the scenario is over", "--serve", "treatment")
    on(scenario, "experiments", "stop", name, *served)
    on(scenario, "experiments", "stop", "ui_color_scheme", "--reason", "the scenario is over")
    control = next(user for user in USERS if dealt[user][name] == "control")
    eventually(lambda: _looked_up(api, control)[name] == "treatment", "everybody is served it")
    eventually(lambda: _looked_up(api, control)["ui_color_scheme"] == "blue", "the first listed")


# Several Regions

ORDER = ("ap-southeast-1", "eu-west-1", "us-west-2", "us-east-1")
"""The least critical first, the most critical last; of two alike the one whose night is next."""

ZONES = {
    "ap-southeast-1": "Asia/Singapore",
    "eu-west-1": "Europe/Berlin",
    "us-west-2": "America/Los_Angeles",
    "us-east-1": "America/New_York",
}


def _begun(it: Any) -> None:
    """Apply the file and begin a rollout, by the commands, in the home of a town."""
    client = SimpleNamespace(connection=TownConnection(it))
    command(client, "apply", "-f", str(REGIONS), "--service", SERVICE)
    command(client, "regions", "deploy", SERVICE, "--version", "1.4.2")


def test_a_rollout_goes_by_the_applied_file_region_after_region_at_night(town: Any) -> None:
    it = town(REGIONS.read_text())
    _begun(it)
    it.run(hours=24 * 4)

    record = it.home.record
    assert (record.phase, only(it.home).status) == ("succeeded", "SUCCEEDED")
    assert it.started == list(ORDER)
    assert [wave.regions for wave in record.waves] == [(name,) for name in ORDER]
    assert (record.error_rate, record.p95_ms) == (Decimal("0.05"), 3000)
    assert (record.delay_seconds, record.over_seconds) == (300, 120)
    history = it.home.rollouts.history(record.rollout_id)
    began = {e.detail["region"]: e.at for e in history if e.kind == "starting"}
    baked = {e.detail["region"]: e.at for e in history if e.kind == "succeeded"}
    for name, at in began.items():
        assert time(2) <= at.astimezone(ZoneInfo(ZONES[name])).time() < time(4)
    for earlier, later in zip(ORDER, ORDER[1:], strict=False):
        assert began[later] - baked[earlier] >= timedelta(minutes=5)


@pytest.mark.parametrize("rate", [0.04, 0.06])
def test_a_region_above_the_files_threshold_takes_all_back_and_one_below_goes_on(
    town: Any, rate: float
) -> None:
    it = town(REGIONS.read_text())
    _begun(it)
    it.regions["eu-west-1"].error_rate = rate
    it.run(hours=24 * 4)

    record = it.home.record
    if rate < 0.05:
        assert record.phase == "succeeded"
        return
    assert record.phase == "rolled_back"
    assert "above the rollout's 0.05" in record.cause
    assert it.started == ["ap-southeast-1", "eu-west-1"]
    assert {it.regions[name].phase for name in it.started} == {Phase.ROLLED_BACK}
