"""rollback.asl.json, run as it is: every branch, and what each function gets to know."""

import pytest

from tests.workflows.machines import load

FORWARD = "arn:aws:states:eu-west-1:123456789012:execution:greenlane-deployment:d"
WAY = [
    *("TakeTrafficBack", "IsAnythingToDo", "StopForward", "HoldTraffic", "EmptySlot", "Close"),
    "Report",
]
TRIGGER = {
    "service": "claude-manager",
    "trigger": {"kind": "alarm", "name": "claude-manager-green-error-rate"},
}


def rollback(execution, action):
    """The state document as the first function answers it."""
    return {
        "schema_version": 1,
        "service": "claude-manager",
        "deployment_id": "d",
        "epoch": 2,
        "execution": execution,
        "action": action,
        "reason": "from shifting",
        "trigger": TRIGGER["trigger"],
        "fenced": True,
    }


@pytest.fixture
def back(machines):
    """Every function does its part at once."""
    for name in ("stop_forward", "hold_traffic", "empty_slot"):
        machines.functions.answers[name] = lambda given: given
    machines.functions.answers["close_rollback"] = lambda given: given.get("rollback")
    machines.functions.answers["report_incident"] = lambda given: {"deployment_id": "d"}

    def run(action="settle"):
        machines.functions.answers["take_traffic_back"] = lambda given: rollback(
            given["execution"], action
        )
        return machines.run("rollback", TRIGGER)

    machines.back = run
    return machines


@pytest.mark.parametrize("action", ["settle", "raise", "abandon"])
def test_what_has_to_go_back_goes_the_whole_way(back, action):
    ran = back.back(action)
    assert (ran.status, ran.states) == ("SUCCEEDED", WAY)
    assert back.functions.given("take_traffic_back") == [{"request": TRIGGER, "execution": ran.arn}]
    assert back.functions.given("hold_traffic") == [rollback(ran.arn, action)]
    assert back.functions.given("close_rollback") == [
        {"rollback": rollback(ran.arn, action), "execution": ran.arn}
    ]


def test_the_way_to_the_write_is_one_state(back):
    """Between the event and `ModifyRule` there is nothing but the first function."""
    assert back.back().states[0] == "TakeTrafficBack"
    assert back.functions.calls[0][0] == "take_traffic_back"


def test_nothing_to_do_ends_well_and_calls_nobody(back):
    ran = back.back("none")
    assert (ran.status, ran.states) == ("SUCCEEDED", [*WAY[:2], "NothingToDo"])
    assert back.functions.count() == {"take_traffic_back": 1}


def test_a_hold_pages_and_fails(back):
    ran = back.back("held")
    assert (ran.status, ran.error, ran.states[-3:]) == (
        *("FAILED", "Held"),
        ["Page", "ReportHeld", "Held"],
    )
    (given,) = back.functions.given("close_rollback")
    assert (given["held"], given["rollback"]["action"]) == (True, "held")
    assert back.functions.count()["stop_forward"] == 0


def test_going_back_is_tried_again_and_again(back):
    back.functions.failures["take_traffic_back"] = ["ReadTimeoutError"] * 8
    ran = back.back()
    assert (ran.status, ran.states) == ("SUCCEEDED", WAY)
    assert back.functions.count()["take_traffic_back"] == 9


def test_a_person_is_told_after_a_minute_and_trying_goes_on_for_an_hour(back):
    back.functions.failures["take_traffic_back"] = ["ServiceUnavailableException"] * 100
    ran = back.back()
    assert ran.status == "SUCCEEDED"
    assert ran.states == ["TakeTrafficBack", "PageWhileTrying", "KeepTrying", *WAY[1:]]
    (told, closed) = back.functions.given("close_rollback")
    assert told["trying"] is True
    assert (told["request"]["service"], told["execution"]) == ("claude-manager", ran.arn)
    assert told["failure"]["Error"] == "ServiceUnavailableException"
    assert closed == {"rollback": rollback(ran.arn, "settle"), "execution": ran.arn}
    asked = back.functions.given("take_traffic_back")[-1]
    assert asked["request"]["trigger"] == TRIGGER["trigger"]


def test_a_page_that_cannot_be_sent_does_not_stop_the_trying(back):
    back.functions.failures["take_traffic_back"] = ["ServiceUnavailableException"] * 9
    back.functions.failures["close_rollback"] = ["ClientError"] * 5
    ran = back.back()
    assert (ran.status, ran.states[2]) == ("SUCCEEDED", "KeepTrying")


def test_when_going_back_fails_for_good_a_person_is_paged_with_the_reason(back):
    back.functions.always["take_traffic_back"] = "AccessDeniedException"
    ran = back.back()
    assert (ran.status, ran.error) == ("FAILED", "Held")
    assert ran.states == [
        *("TakeTrafficBack", "PageWhileTrying", "KeepTrying", "PageUnknown"),
        *("ReportHeld", "Held"),
    ]
    given = back.functions.given("close_rollback")[-1]
    assert (given["held"], given["execution"]) == (True, ran.arn)
    assert given["request"]["service"] == "claude-manager"
    assert given["failure"]["Error"] == "AccessDeniedException"


@pytest.mark.parametrize("error", ["Held", "InvalidInput"])
def test_what_only_a_person_can_solve_is_not_tried_again(back, error):
    back.functions.always["take_traffic_back"] = error
    ran = back.back()
    assert (ran.status, ran.states[-3:]) == ("FAILED", ["PageUnknown", "ReportHeld", "Held"])
    assert back.functions.count()["take_traffic_back"] == 1


@pytest.mark.parametrize("page", ["Page", "PageUnknown"])
def test_a_page_that_cannot_be_sent_still_ends_in_held(back, page):
    back.functions.always["close_rollback"] = "ClientError"
    if page == "PageUnknown":
        back.functions.always["take_traffic_back"] = "Held"
    ran = back.back("held")
    assert (ran.status, ran.error, ran.states[-3:]) == (
        *("FAILED", "Held"),
        [page, "ReportHeld", "Held"],
    )
    assert back.functions.count()["close_rollback"] == 5


def test_a_forward_machine_that_cannot_be_stopped_does_not_stop_the_way_back(back):
    back.functions.always["stop_forward"] = "ThrottlingException"
    ran = back.back()
    assert (ran.status, ran.states) == ("SUCCEEDED", WAY)
    (given,) = back.functions.given("hold_traffic")
    assert given.pop("failure")["Error"] == "ThrottlingException"
    assert given == rollback(ran.arn, "settle")


def test_the_weights_are_watched_every_five_seconds_until_they_settle(back):
    back.functions.failures["hold_traffic"] = ["NotSettled"] * 12
    ran = back.back()
    assert ran.status == "SUCCEEDED"
    assert back.functions.count()["hold_traffic"] == 13

    (rule,) = [
        rule
        for rule in load("rollback")["States"]["HoldTraffic"]["Retry"]
        if rule["ErrorEquals"] == ["NotSettled"]
    ]
    assert (rule["IntervalSeconds"], rule["BackoffRate"]) == (5, 1)


def test_a_slot_that_still_serves_is_waited_for(back):
    back.functions.failures["empty_slot"] = ["NotDrained"] * 5
    assert back.back().status == "SUCCEEDED"
    assert back.functions.count()["empty_slot"] == 6


@pytest.mark.parametrize("function", ["hold_traffic", "empty_slot", "close_rollback"])
def test_who_is_taken_over_ends_well_and_asks_once(back, function):
    back.functions.always[function] = "FenceLost"
    ran = back.back()
    assert (ran.status, ran.states[-1]) == ("SUCCEEDED", "TakenOver")
    assert back.functions.count()[function] == 1


def test_weights_that_cannot_be_watched_page_a_person(back):
    back.functions.always["hold_traffic"] = "ClientError"
    ran = back.back()
    assert (ran.status, ran.error, ran.states[-3:]) == (
        *("FAILED", "Held"),
        ["PageUnsettled", "ReportHeld", "Held"],
    )
    assert back.functions.count()["hold_traffic"] == 5
    (given,) = back.functions.given("close_rollback")
    assert (given["held"], given["failure"]["Error"]) == (True, "ClientError")


def test_a_bad_slot_that_cannot_be_emptied_is_told_but_the_traffic_is_back(back):
    back.functions.always["empty_slot"] = "AccessDeniedException"
    ran = back.back()
    assert (ran.status, ran.states[-2:]) == ("SUCCEEDED", ["CloseIncomplete", "Report"])
    (given,) = back.functions.given("close_rollback")
    assert given["failure"]["Error"] == "AccessDeniedException"
    assert given["execution"] == ran.arn


def test_an_end_that_cannot_be_written_is_told_and_fails_for_the_reconciler_to_see(back):
    back.functions.always["close_rollback"] = "ClientError"
    ran = back.back()
    assert (ran.status, ran.error) == ("FAILED", "Unclosed")
    assert ran.states[-2:] == ["PageUnclosed", "Unclosed"]
    told = back.functions.given("close_rollback")[-1]
    assert (told["trying"], told["failure"]["Error"]) == (True, "ClientError")
    assert back.functions.count()["close_rollback"] == 10


def test_the_forward_machine_is_known_to_the_function_that_stops_it(back):
    back.functions.answers["take_traffic_back"] = lambda given: (
        rollback(given["execution"], "settle") | {"forward_execution": FORWARD}
    )
    back.run("rollback", TRIGGER)
    (given,) = back.functions.given("stop_forward")
    assert given["forward_execution"] == FORWARD


def test_the_report_knows_the_deployment_and_its_trigger(back):
    ran = back.back()
    assert back.functions.given("report_incident") == [
        {"state": rollback(ran.arn, "settle"), "request": TRIGGER, "execution": ran.arn}
    ]


def test_there_is_one_report_of_one_rollback_and_none_of_nothing(back):
    back.back()
    back.back("none")
    assert back.functions.count()["report_incident"] == 1


def test_who_is_taken_over_leaves_the_report_to_the_other(back):
    back.functions.always["close_rollback"] = "FenceLost"
    assert back.back().states[-1] == "TakenOver"
    assert back.functions.count()["report_incident"] == 0


def test_the_report_comes_last_and_costs_one_transition(back):
    ran = back.back()
    assert back.functions.calls[-1][0] == "report_incident"
    # Each state once, and Step Functions counts the start.
    assert ran.transitions <= len(WAY) + 1


@pytest.mark.parametrize("action", ["settle", "held"])
@pytest.mark.parametrize("error", ["Sandbox.Timedout", "ClientError", "InvalidInput"])
def test_a_report_that_fails_changes_nothing(back, action, error):
    good = back.back(action)
    back.functions.always["report_incident"] = error
    bad = back.back(action)
    assert (bad.status, bad.error) == (good.status, good.error)
    assert bad.status == ("FAILED" if action == "held" else "SUCCEEDED")
    told = [given["rollback"]["action"] for given in back.functions.given("close_rollback")]
    assert told == [action, action]


def test_a_report_that_fails_is_written_by_a_later_attempt(back):
    back.functions.failures["report_incident"] = ["ClientError"] * 3
    assert back.back().states == WAY
    assert back.functions.count()["report_incident"] == 4


def test_what_was_paged_without_a_rollback_is_reported_by_its_request(back):
    back.functions.always["take_traffic_back"] = "Held"
    back.back()
    (given,) = back.functions.given("report_incident")
    assert given["request"] == TRIGGER
    assert given["state"] is None


def test_one_that_cannot_ask_for_the_owner_tries_for_some_minutes_and_pages_nobody(back):
    back.functions.always["take_traffic_back"] = "OwnerUnknown"
    ran = back.back()
    assert (ran.status, ran.states) == ("SUCCEEDED", ["TakeTrafficBack", "LeftToOwner"])
    assert back.functions.count() == {"take_traffic_back": 11}


def test_one_that_learns_at_last_that_the_owner_lives_has_nothing_to_do(back):
    back.functions.failures["take_traffic_back"] = ["OwnerUnknown"] * 3
    ran = back.back("none")
    assert (ran.status, ran.states) == ("SUCCEEDED", [*WAY[:2], "NothingToDo"])


def test_one_that_lost_while_it_kept_trying_pages_nobody_else(back):
    given = ["ServiceUnavailableException"] * 9 + ["OwnerUnknown"] * 11
    back.functions.failures["take_traffic_back"] = given
    ran = back.back()
    assert ran.status == "SUCCEEDED"
    assert ran.states == ["TakeTrafficBack", "PageWhileTrying", "KeepTrying", "LeftToOwner"]
    assert back.functions.count()["close_rollback"] == 1
