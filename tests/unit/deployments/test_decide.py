from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.decide import decide
from greenlane.errors import ApprovalMissing, DeploymentFailed, JudgedBad, NoEvidence
from tests.builders import NOW, plan, record, service_config, steps, verdict

PASS, HOLD, FAIL = verdict("pass"), verdict("hold", "too little"), verdict("fail", "8 of 20")
OVER = NOW - timedelta(seconds=1)
SIGNALS = [None, "pause", "resume", "promote", "promote_all", "abort"]


def baked(**changes):
    """A record at the end of its first bake."""
    return record(weight=10, shifted_at=OVER, bake_step=0, bake_until=OVER, **changes)


def with_policy(policy):
    deployment = {"strategy": "canary", "steps": [10, 50, 100], "on_no_evidence": policy}
    return plan(config=service_config(deployment=deployment))


def test_a_pass_at_the_end_of_a_bake_shifts_to_the_next_step():
    found = decide(plan(), baked(), PASS, None, NOW)
    assert (found.next, found.step) == ("shift", 1)
    assert found.changes == {"paused": False, "hold_until": None}


def test_a_pass_at_the_last_step_promotes():
    found = decide(plan(), baked(step=2), PASS, None, NOW)
    assert (found.next, found.step, found.bake_seconds) == ("promote", 3, 1800)


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_fail_goes_back_whatever_a_person_said(signal):
    with pytest.raises(JudgedBad, match="8 of 20"):
        decide(plan(), baked(fast_track=True), FAIL, signal, NOW)


def test_a_bake_that_was_answered_early_goes_on_until_its_own_deadline():
    early = record(bake_until=NOW + timedelta(seconds=90), bake_step=0)
    found = decide(plan(), early, PASS, None, NOW)
    assert (found.next, found.step, found.bake_seconds) == ("bake", 0, 90)


def test_a_hold_waits_for_evidence_until_its_absolute_end():
    first = decide(plan(), baked(), HOLD, None, NOW)
    until = NOW + timedelta(minutes=30)
    assert (first.next, first.bake_seconds) == ("bake", 1800)
    assert first.changes["hold_until"] == until
    later = decide(plan(), baked(hold_until=until), HOLD, None, NOW + timedelta(minutes=10))
    assert (later.bake_seconds, later.changes["hold_until"]) == (1200, until)


def test_a_hold_without_end_goes_back_by_default():
    with pytest.raises(NoEvidence, match="too little"):
        decide(plan(), baked(hold_until=NOW), HOLD, None, NOW)


def test_a_hold_without_end_advances_only_if_the_policy_says_so():
    found = decide(with_policy("advance"), baked(hold_until=NOW), HOLD, None, NOW)
    assert (found.next, found.step) == ("shift", 1)
    assert "by policy" in found.why


def test_a_hold_without_end_pauses_if_the_policy_says_so():
    found = decide(with_policy("pause"), baked(hold_until=NOW), HOLD, None, NOW)
    assert (found.next, found.step, found.changes["paused"]) == ("bake", 0, True)


def test_evidence_that_came_in_ends_a_hold():
    waiting = baked(hold_until=NOW + timedelta(minutes=9))
    found = decide(plan(), waiting, PASS, None, NOW)
    assert (found.next, found.step, found.changes["hold_until"]) == ("shift", 1, None)


def test_a_pause_lasts_until_the_deployments_own_deadline():
    found = decide(plan(), baked(), PASS, "pause", NOW)
    assert (found.next, found.changes["paused"], found.bake_seconds) == ("bake", True, 6 * 3600)
    again = decide(plan(), baked(paused=True), PASS, None, NOW)
    assert (again.next, again.step) == ("bake", 0)


def test_a_resume_finishes_the_bake_that_was_paused():
    paused = record(paused=True, bake_step=0, bake_until=NOW + timedelta(seconds=40))
    found = decide(plan(), paused, PASS, "resume", NOW)
    assert (found.next, found.bake_seconds, found.changes) == ("bake", 40, {"paused": False})


def test_a_resume_after_the_bake_goes_on():
    found = decide(plan(), baked(paused=True), PASS, "resume", NOW)
    assert (found.next, found.step, found.changes["paused"]) == ("shift", 1, False)


def test_a_person_may_promote_a_step_before_its_bake_is_over_and_on_a_hold():
    early = record(bake_until=NOW + timedelta(minutes=4), bake_step=0)
    for evidence in (PASS, HOLD):
        found = decide(plan(), early, evidence, "promote", NOW)
        assert (found.next, found.step) == ("shift", 1)


def test_a_promote_is_remembered_for_its_step_only():
    early = record(bake_until=NOW + timedelta(minutes=4), bake_step=0)
    first = decide(plan(), early, HOLD, "promote", NOW)
    assert first.changes["approved_step"] == 0
    again = early.model_copy(update=first.changes)
    assert decide(plan(), again, HOLD, None, NOW) == first, "a judgement that is repeated"
    next_step = again.model_copy(update={"step": 1})
    assert decide(plan(), next_step, HOLD, None, NOW).next == "bake"
    with pytest.raises(JudgedBad):
        decide(plan(), again, FAIL, None, NOW)


def test_a_pause_after_a_promote_is_the_last_word():
    approved = baked(approved_step=0)
    found = decide(plan(), approved, PASS, "pause", NOW)
    assert (found.next, found.changes["paused"]) == ("bake", True)
    paused = approved.model_copy(update=found.changes)
    assert decide(plan(), paused, PASS, None, NOW).next == "bake"


def test_promote_all_shifts_to_100_at_once_and_keeps_the_watch():
    first = decide(plan(), baked(), HOLD, "promote_all", NOW)
    assert (first.next, first.step, first.changes["fast_track"]) == ("shift", 2, True)
    then = decide(plan(), baked(step=2, fast_track=True), HOLD, None, NOW)
    assert (then.next, then.step) == ("promote", 3)


def test_promote_all_at_100_skips_the_final_bake():
    found = decide(plan(steps=steps(10, 100, final=600)), baked(step=1), PASS, "promote_all", NOW)
    assert (found.next, found.step, found.changes["fast_track"]) == ("promote", 3, True)


def test_an_approval_waits_for_a_person_and_then_goes_back():
    waiting = steps(10, 100)
    waiting[0] = waiting[0].model_copy(update={"approval": True})
    asked = plan(steps=waiting, deadline=NOW + timedelta(days=9))
    patient = baked(deadline=NOW + timedelta(days=9))
    first = decide(asked, patient, PASS, None, NOW)
    assert (first.next, first.step, first.bake_seconds) == ("bake", 0, 24 * 3600 - 1)
    with pytest.raises(ApprovalMissing, match="step 1"):
        decide(asked, patient, PASS, None, OVER + timedelta(hours=24))
    assert decide(asked, patient, PASS, "promote", NOW).next == "shift"


def test_the_watch_goes_on_until_its_end_and_then_finishes():
    watching = record(
        phase=Phase.PROMOTED, step=3, promoted_at=NOW, bake_until=NOW + timedelta(minutes=30)
    )
    early = decide(plan(), watching, PASS, None, NOW + timedelta(minutes=1))
    assert (early.next, early.step, early.bake_seconds) == ("bake", 3, 29 * 60)
    assert decide(plan(), watching, HOLD, None, NOW + timedelta(minutes=30)).next == "finish"
    with pytest.raises(JudgedBad):
        decide(plan(), watching, FAIL, None, NOW + timedelta(minutes=30))


moments = st.integers(-7200, 7200).map(lambda s: NOW + timedelta(seconds=s))
plans = st.builds(
    lambda policy, weights, final, approvals: plan(
        config=service_config(
            deployment={
                "strategy": "canary",
                "steps": [
                    {"weight": weight, "approval": weight in approvals}
                    for weight in [*sorted(weights), 100]
                ],
                "on_no_evidence": policy,
            }
        ),
        steps=[
            step.model_copy(update={"approval": step.weight in approvals})
            for step in steps(*sorted(weights), 100, final=final)
        ],
    ),
    policy=st.sampled_from(["rollback", "pause", "advance"]),
    weights=st.sets(st.integers(1, 99), max_size=5),
    final=st.sampled_from([0, 600]),
    approvals=st.sets(st.sampled_from([1, 50, 100])),
)


@st.composite
def situations(draw):
    given_plan = draw(plans)
    step = draw(st.integers(0, len(given_plan.steps) - 1))
    watch = given_plan.steps[step].kind == "watch"
    given_record = record(
        step=step,
        phase=Phase.PROMOTED if watch else Phase.SHIFTING,
        promoted_at=NOW if watch else None,
        bake_until=draw(st.none() | moments),
        hold_until=draw(st.none() | moments),
        paused=draw(st.booleans()),
        fast_track=draw(st.booleans()),
        approved_step=draw(st.none() | st.integers(0, len(given_plan.steps) - 1)),
        deadline=NOW + timedelta(seconds=draw(st.integers(1, 9000))),
    )
    return given_plan, given_record


@given(
    situation=situations(),
    evidence=st.sampled_from([PASS, HOLD, FAIL]),
    signal=st.sampled_from(SIGNALS),
    now=moments,
)
def test_no_decision_advances_without_evidence_a_person_or_a_policy(
    situation, evidence, signal, now
):
    given_plan, given_record = situation
    try:
        found = decide(given_plan, given_record, evidence, signal, now)
    except DeploymentFailed:
        return
    assert evidence.verdict != "fail"
    assert found.bake_seconds >= 1
    on_the_way = given_plan.steps[given_record.step].kind != "watch"
    if found.next == "bake" and on_the_way:
        left = (given_record.deadline - now).total_seconds()
        assert found.bake_seconds <= max(left + 1, 1), "baked past the deadline"
    if found.next in ("shift", "promote"):
        approved = given_record.approved_step == given_record.step
        asked = signal in ("promote", "promote_all") or given_record.fast_track or approved
        policy = given_plan.config.deployment.on_no_evidence == "advance"
        assert evidence.verdict == "pass" or asked or policy
        assert found.step > given_record.step
        assert given_record.step < len(given_plan.steps) - 1
        unapproved = given_plan.steps[given_record.step].approval and not asked
        assert not unapproved or policy
        assert (given_plan.steps[found.step].kind == "watch") == (found.next == "promote")
    if found.next == "finish":
        assert not on_the_way
