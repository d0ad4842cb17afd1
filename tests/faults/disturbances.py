"""What else happens in the scenes of the matrix, beside the fault that strikes a call of them.

Each is played once without any fault and must end as it says; then its calls are struck, see
`tests.faults.cells`. A fault may keep a moment from coming: what then is allowed is in `Ends`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from greenlane.deployments.phases import Phase
from greenlane.health.evidence import EvidenceBook
from tests.builders import NEW_IMAGE, SERVICE
from tests.faults import moments
from tests.faults.account import Account
from tests.faults.outage import Outage

Begin = Callable[[Account], None]
Ends = Literal["promoted", "back", "held", "refused"]
"""How a scene ends, and must end beside a fault that passes, but for `published.GOES_BACK`. With a
permission gone, one that should be promoted may go back, or be refused; one that should go back
must do so, and only one that is held by design may be held by any fault."""

HOOK = "arn:aws:lambda:eu-west-1:123456789012:function:check-prices"
OUTAGE_SECONDS = 600.0
LONG_OUTAGE_SECONDS = 3600.0
"""Longer than a rollback tries to empty the bad slot."""


@dataclass(frozen=True)
class Disturbance:
    """What is different from a plain deployment.

    Args:
        begin: puts it on the agenda of an account whose deployment has just been started.
        ends: how that ends.
        bad: the new version answers a quarter of its requests with errors.
        sticky: the rule pins clients, for ten minutes.
        lose_events: events of ended executions get lost.
        deployment: changes of the service's `deployment:` section.
        config: further sections of its configuration.
        asked: changes of the request.
        declared: whether the configuration names the workload, or a parameter describes it.
        paged: somebody must have been paged before it ended, though it does not end `held`.
        after: what must be true at the end, as a list of what is not.
    """

    begin: Begin
    ends: Ends = "back"
    bad: bool = False
    sticky: bool = False
    lose_events: bool = False
    deployment: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)
    declared: bool = True
    paged: bool = False
    after: Callable[[Account], list[str]] = lambda account: []


def _nothing(_: Account) -> None:
    """Only the settings differ."""


def _out(service: str, seconds: float = OUTAGE_SECONDS) -> Begin:
    """A service is down from the first alarm on."""
    return lambda account: Outage(service, seconds).watch(account)


def _table_down_in_a_step(account: Account) -> None:
    outage = Outage("dynamodb", OUTAGE_SECONDS)
    outage.join(account)
    moments.at_weight(account, 50, outage.begin, after=30)


def _kill_at(phase: Phase, machine: str = "deployment", *, after: float = 1.0) -> Begin:
    def begin(account: Account) -> None:
        moments.at_phase(account, phase, moments.stop(account, machine), after=after)

    return begin


def _in_bake(act: Callable[[Account], moments.Act], *, paused: bool = False) -> Begin:
    """Half a minute into the bake at 50 percent; or while that is paused, long after its time."""

    def begin(account: Account) -> None:
        if paused:
            moments.at_weight(account, 50, moments.signal(account, "pause"), after=30)
        moments.at_weight(account, 50, act(account), after=300 if paused else 30)

    return begin


def _at(phase: Phase, act: Callable[[Account], moments.Act], *, after: float) -> Begin:
    return lambda account: moments.at_phase(account, phase, act(account), after=after)


def _pause_and_resume(account: Account) -> None:
    moments.at_weight(account, 50, moments.signal(account, "pause"), after=30)
    moments.at_weight(account, 50, moments.signal(account, "resume"), after=330)


def _promote_before_the_bake(account: Account) -> None:
    moments.at_weight(account, 50, moments.signal(account, "promote"))


def _evidence_comes_late(account: Account) -> None:
    moments.at_weight(account, 50, moments.no_metrics(account, 260))


def _at_alarm(act: Callable[[Account], moments.Act]) -> Begin:
    return lambda account: moments.at_alarm(account, act(account))


def _lose_task(account: Account) -> moments.Act:
    return lambda: account.fleet.lose_task("blue")


def _candidate_shrinks(account: Account) -> None:
    act = moments.resize(account, "green", 1)
    moments.at_effect(account, "prepare_slot", "update_service", act, after=1)


def _live_slot_grows(account: Account) -> None:
    moments.at_weight(account, 10, moments.resize(account, "blue", 4), after=10)


def _candidate_grows(account: Account) -> None:
    moments.at_weight(account, 100, moments.resize(account, "green", 4), after=10)
    moments.at_phase(account, Phase.PROMOTED, moments.ring(account), after=90)


def _late_write(account: Account) -> None:
    """The bad version gets traffic again while the rollback watches over the weights."""
    moments.at_phase(account, Phase.ROLLING_BACK, moments.late_write(account, 50), after=12)


def _late_write_in_the_drain(account: Account) -> None:
    moments.at_phase(account, Phase.ROLLING_BACK, moments.late_write(account, 50), after=58)


def _turns_bad_quietly(account: Account) -> None:
    """More errors than the criteria allow, and fewer than turn an alarm red."""
    moments.at_phase(account, Phase.WATCHING, moments.turn_bad(account, 0.04), after=60)


def _weights_by_hand(account: Account) -> None:
    """Drift in the extended watch, put right by the same person."""
    moments.at_phase(account, Phase.WATCHING, moments.write_weights(account, 10), after=30)
    moments.at_phase(account, Phase.WATCHING, moments.write_weights(account, 0), after=300)


def _as_reconciler_retires(account: Account) -> None:
    """In the very second in which the old slot is let go."""
    moments.at_phase(account, Phase.RETIRED, moments.ring(account))
    moments.at_phase(account, Phase.RETIRED, moments.roll_back(account), after=0.1)


def _red_at_the_start(account: Account) -> None:
    moments.ring(account, "blue", "p95")()


def _by_function(account: Account) -> None:
    """The event rule is silent; the alarm's own action reaches the function."""
    account.watch.rang = account.deliveries.alarm_action


def _unheard_alarms(account: Account) -> None:
    account.watch.rang = lambda alarm: None


def _ecs_down_at_the_end(account: Account) -> None:
    """The reconciler lets go of the old slot, and of old revisions."""
    _many_revisions(account)
    outage = Outage("ecs", OUTAGE_SECONDS, callers=("finish_deployment",))
    outage.join(account)
    moments.at_phase(account, Phase.WATCHING, outage.begin)


def _ecs_gives_up(account: Account) -> None:
    account.fleet.never_healthy = NEW_IMAGE

    def act() -> None:
        service = account.fleet.services[f"{SERVICE}-green"]
        service["deployments"][0]["rolloutState"] = "FAILED"
        account.deliveries.ecs_failed(service["serviceArn"], service["deployments"][0]["id"])

    moments.at_effect(account, "prepare_slot", "update_service", act, after=5)


def _task_runs(seconds: float, code: int) -> Begin:
    """The task before traffic takes a while."""

    def begin(account: Account) -> None:
        account.fleet.one_off = {"lastStatus": "RUNNING", "exitCode": code}

        def end() -> None:
            account.fleet.one_off["lastStatus"] = "STOPPED"

        moments.at_effect(account, "run_pre_traffic", "run_task", end, after=seconds)

    return begin


def _abort_in_task(account: Account) -> None:
    _task_runs(3000, 0)(account)
    act = moments.signal(account, "abort")
    moments.at_effect(account, "run_pre_traffic", "run_task", act, after=30)


def _abort_in_task_while_ecs_is_down(account: Account) -> None:
    """The reconciler stops what the rollback could not."""
    _abort_in_task(account)
    outage = Outage("ecs", LONG_OUTAGE_SECONDS, callers=("empty_slot",))
    outage.join(account)
    moments.at_phase(account, Phase.ROLLING_BACK, outage.begin)


def _task_of_no_name(account: Account) -> None:
    """It starts, and each run of the function is gone before it could keep its name."""
    account.fleet.one_off = {"lastStatus": "RUNNING", "exitCode": 0}
    account.faults.besides = lambda site: "killed_after" if site.operation == "run_task" else None


def _task_of_no_name_while_ecs_is_down(account: Account) -> None:
    _task_of_no_name(account)
    outage = Outage("ecs", LONG_OUTAGE_SECONDS, callers=("empty_slot",))
    starts, outage.account = account.faults.besides, account
    account.faults.besides = lambda site: starts(site) or outage.choose(site)
    moments.at_phase(account, Phase.ROLLING_BACK, outage.begin)


def _task_is_stopped(account: Account) -> list[str]:
    if account.fleet.started and not account.fleet.stopped:
        return ["the task before traffic still runs"]
    return []


def _many_revisions(account: Account) -> None:
    body = account.fleet.definitions[account.fleet.services[f"{SERVICE}-blue"]["taskDefinition"]]
    containers = body["taskDefinition"]["containerDefinitions"]
    for number in range(4):
        tag = {"key": "greenlane:deployment", "value": f"d-old-{number}"}
        account.fleet.register_task_definition(
            family=SERVICE, containerDefinitions=containers, tags=[tag]
        )


def _stickiness_is_back(account: Account) -> list[str]:
    return [] if account.sticky() else ["the user's stickiness did not come back"]


BEFORE_TRAFFIC = {
    "run_task": {"command": ["migrate"], "timeout": "30m"},
    "hooks": {"pre_traffic": [HOOK], "step": [HOOK]},
}

EVIDENCE = {
    "success_criteria": {"security": {"vulnerability_scan": "pass", "security_tests": "pass"}},
    "metrics": {"queue_wait": {"promql": "max(queue_wait_ms)", "unit": "ms", "worse": "up"}},
    "rollback_triggers": ["queue_wait > 900"],
    "monitoring": {
        "alert_manager": "http://alertmanager:9093",
        "prometheus_endpoint": "http://prometheus:9090",
    },
}


def _evidence_posted(account: Account) -> None:
    """The scan ends while the tasks start; the tests were posted before."""
    EvidenceBook(account.store, account.kernel).post(
        SERVICE,
        "security_tests",
        status="pass",
        digest=NEW_IMAGE.split("@")[1],
        issuer="ci",
        expires="7d",
        by="ada",
    )


DISTURBANCES: dict[str, Disturbance] = {
    "table down from the alarm on": Disturbance(_out("dynamodb"), bad=True),
    "table down for a minute from the alarm on": Disturbance(_out("dynamodb", 60.0), bad=True),
    "table down in a step": Disturbance(_table_down_in_a_step),
    "balancer's API down from the alarm on": Disturbance(_out("elbv2"), bad=True, paged=True),
    "good slot loses a task as the alarm rings": Disturbance(_at_alarm(_lose_task), bad=True),
    "good slot halved as the alarm rings": Disturbance(
        _at_alarm(lambda account: moments.resize(account, "blue", 1)), bad=True
    ),
    "both slots sick": Disturbance(
        _at_alarm(lambda account: moments.sicken(account, "blue")), "held", bad=True
    ),
    "sticky rule, good version": Disturbance(
        _nothing, "promoted", sticky=True, after=_stickiness_is_back
    ),
    "sticky rule, bad version": Disturbance(
        _nothing, bad=True, sticky=True, after=_stickiness_is_back
    ),
    "killed in planning, events lost": Disturbance(_kill_at(Phase.PLANNING), lose_events=True),
    "killed in preparing, events lost": Disturbance(_kill_at(Phase.PREPARING), lose_events=True),
    "killed in shifting, events lost": Disturbance(
        _kill_at(Phase.SHIFTING, after=60), lose_events=True
    ),
    "killed after promotion": Disturbance(_kill_at(Phase.PROMOTED, after=30), "promoted"),
    "killed in shifting": Disturbance(_kill_at(Phase.SHIFTING, after=60)),
    "rollback killed": Disturbance(_kill_at(Phase.ROLLING_BACK, "rollback", after=2), bad=True),
    "undo in the extended watch": Disturbance(_at(Phase.WATCHING, moments.undo, after=60)),
    "abort before traffic": Disturbance(
        _at(Phase.PREPARING, lambda account: moments.signal(account, "abort"), after=10)
    ),
    "abort in a bake": Disturbance(_in_bake(lambda account: moments.signal(account, "abort"))),
    "abort while paused": Disturbance(
        _in_bake(lambda account: moments.signal(account, "abort"), paused=True)
    ),
    "rollback by hand in a bake": Disturbance(_in_bake(moments.roll_back)),
    "rollback by hand while paused": Disturbance(_in_bake(moments.roll_back, paused=True)),
    "paused and resumed": Disturbance(_pause_and_resume, "promoted"),
    "promote before the bake begins": Disturbance(_promote_before_the_bake, "promoted"),
    "evidence comes late": Disturbance(_evidence_comes_late, "promoted"),
    "alarm after promotion": Disturbance(_at(Phase.PROMOTED, moments.ring, after=30)),
    "alarm in the extended watch": Disturbance(_at(Phase.WATCHING, moments.ring, after=60)),
    "alarm in the extended watch, event lost": Disturbance(
        _at(Phase.WATCHING, moments.unheard, after=60)
    ),
    "turns bad in the extended watch, no alarm": Disturbance(
        _turns_bad_quietly,
        # So that a look which a fault costs is not the last one.
        deployment={"extended_watch": "30m"},
    ),
    "alarm as the lease is freed": Disturbance(_at(Phase.WATCHING, moments.ring, after=0)),
    "alarm as the phase moves to retired": Disturbance(
        _at(Phase.RETIRED, moments.ring, after=0), deployment={"warm_floor": 0}
    ),
    "rollback by hand as the watch ends": Disturbance(_as_reconciler_retires),
    "rollback by hand when retired": Disturbance(_at(Phase.RETIRED, moments.roll_back, after=120)),
    "a late forward write": Disturbance(_late_write, bad=True),
    "a write while the bad slot drains": Disturbance(_late_write_in_the_drain, bad=True),
    "weights written by hand in the watch": Disturbance(_weights_by_hand, "promoted"),
    "candidate shrunk while it starts": Disturbance(_candidate_shrinks, "promoted"),
    "live slot grows in a step": Disturbance(_live_slot_grows, "promoted"),
    "candidate grows, then an alarm": Disturbance(_candidate_grows),
    "alarm's event lost": Disturbance(_unheard_alarms, bad=True),
    "alarm by its own action": Disturbance(_by_function, bad=True),
    "ECS gives up the new tasks": Disturbance(_ecs_gives_up),
    "task and hooks before traffic": Disturbance(
        _task_runs(60, 0), "promoted", config=BEFORE_TRAFFIC
    ),
    "task before traffic fails": Disturbance(_task_runs(60, 1), config=BEFORE_TRAFFIC),
    "abort in the task before traffic": Disturbance(
        _abort_in_task, config=BEFORE_TRAFFIC, after=_task_is_stopped
    ),
    "abort in that task, ECS down": Disturbance(
        _abort_in_task_while_ecs_is_down, config=BEFORE_TRAFFIC, after=_task_is_stopped
    ),
    "task before traffic, its name lost": Disturbance(
        _task_of_no_name, config=BEFORE_TRAFFIC, after=_task_is_stopped
    ),
    "the same, ECS down": Disturbance(
        _task_of_no_name_while_ecs_is_down, config=BEFORE_TRAFFIC, after=_task_is_stopped
    ),
    "many old revisions, good version": Disturbance(
        _many_revisions, "promoted", deployment={"keep_revisions": 1}
    ),
    "many old revisions, ECS down at the end": Disturbance(
        _ecs_down_at_the_end, "promoted", deployment={"keep_revisions": 1}
    ),
    "many old revisions, bad version": Disturbance(
        _many_revisions, bad=True, deployment={"keep_revisions": 1}
    ),
    "version by its tag, workload by its parameter": Disturbance(
        _nothing,
        "promoted",
        config={"container": SERVICE},
        asked={"image": None, "version": "2.0"},
        declared=False,
    ),
    "evidence about the image, and a Prometheus": Disturbance(
        _evidence_posted, "promoted", config=EVIDENCE
    ),
    "live slot red at the start": Disturbance(_red_at_the_start, "refused"),
}
"""By the name that the matrix gives them. Each is a canary."""
