"""A page that reached nobody is told again: not at once, not for ever, and to nobody twice."""

from typing import Any

import pytest

from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.judging import Tick
from greenlane.errors import NotTold
from greenlane.people.pages import MOST_AGAIN
from greenlane.rollback.closing import close_rollback
from greenlane.rollback.model import CloseEvent
from greenlane.rollback.reconcile import reconcile
from greenlane.rollback.take_back import take_traffic_back
from tests.builders import SERVICE
from tests.fakes import BACK, timeout
from tests.unit.people.town import EVERYTHING, Town

PAGER = {"notifications": {"pagerduty_integration": True, "slack_channel": "#deployments"}}


def held(town: Town, **asked: Any) -> None:
    """A rollback that needs a person, whose page is published but not delivered yet."""
    town.wants(**(asked or PAGER))
    town.world.shifted()
    town.world.serve("blue", 0, sick=2)
    rollback = take_traffic_back(town.world.back(), town.world.runtime)
    close_rollback(CloseEvent(rollback=rollback, execution=BACK), town.world.runtime)
    assert town.world.record.phase is Phase.HELD


def deliver(town: Town, attempts: int = 1) -> None:
    """SNS and Lambda, which tries again what failed."""
    while town.world.topic.published:
        published = town.world.topic.published.pop(0)
        for _ in range(attempts):
            try:
                town.notify(published)
            except NotTold:
                continue


def tick(town: Town, minutes: float) -> None:
    town.world.clock.advance(minutes=minutes)
    assert reconcile(Tick(), town.world.runtime) == []


def pages(town: Town) -> int:
    return len(town.server.to("events.pagerduty.com"))


def again(town: Town) -> list[dict[str, Any]]:
    return [it.detail for it in town.world.store.history("d-1") if it.kind == "told again"]


def test_a_page_that_was_delivered_is_not_told_again(town: Town) -> None:
    held(town, **EVERYTHING)
    deliver(town)
    for _ in range(20):
        tick(town, 10)
    assert pages(town) == 1
    assert len(town.world.topic.told) == 1
    assert again(town) == []


def test_a_pager_that_failed_hears_it_after_five_minutes_and_others_not_twice(town: Town) -> None:
    held(town)
    town.server.answers["events.pagerduty.com"] = 503
    deliver(town, attempts=3)
    failed = pages(town)
    town.server.answers["events.pagerduty.com"] = (202, b"{}")
    tick(town, 4)
    assert pages(town) == failed
    tick(town, 1)
    assert pages(town) == failed + 1
    assert town.outcomes() == {"pagerduty": "sent", "slack": "sent"}
    assert len(town.server.to("slack.com")) == 1
    assert len(town.world.topic.told) == 1, "mail has gone out"
    (line,) = again(town)
    assert line == {
        "news": "held",
        "time": f"1 of at most {MOST_AGAIN}",
        "unreached": ["pagerduty"],
    }
    for _ in range(10):
        tick(town, 30)
    assert pages(town) == failed + 1


def test_what_was_refused_is_tried_anew_once_somebody_mended_it(town: Town) -> None:
    secret = town.secrets.values.pop(f"greenlane/{SERVICE}/pagerduty")
    held(town)
    deliver(town, attempts=3)
    assert town.outcomes()["pagerduty"] == "refused"
    tick(town, 5)
    assert pages(town) == 0
    town.secrets.values[f"greenlane/{SERVICE}/pagerduty"] = secret
    tick(town, 29)
    assert pages(town) == 0
    tick(town, 1)
    assert pages(town) == 1
    assert town.outcomes()["pagerduty"] == "sent"


def test_it_is_told_again_each_half_hour_and_not_for_ever(town: Town) -> None:
    held(town)
    town.server.answers["events.pagerduty.com"] = 503
    deliver(town, attempts=3)
    before = pages(town)
    for _ in range(24 * 12):
        town.world.clock.advance(minutes=5)
        reconcile(Tick(), town.world.runtime)
    assert pages(town) - before == MOST_AGAIN
    assert len(again(town)) == MOST_AGAIN


def test_a_topic_that_failed_is_published_to_again_once_it_answers(town: Town) -> None:
    town.world.fail("sns", "publish", timeout(), times=2)
    held(town)
    assert town.world.topic.told == []
    tick(town, 5)
    assert town.world.topic.told == []
    assert pages(town) == 1, "by the function itself, past the topic"
    tick(town, 30)
    assert town.world.topic.told == [f"PAGE: Greenlane holds {SERVICE}, a person is needed"]
    deliver(town)
    assert (pages(town), len(town.server.to("slack.com"))) == (1, 1)
    tick(town, 60)
    assert len(town.world.topic.told) == 1


def test_a_hold_whose_writer_died_before_it_told_anybody_is_told(town: Town) -> None:
    held(town)
    published = town.world.topic.published.pop()
    for item in town.world.table.items():
        if item["sk"]["S"].startswith("PAGE#"):
            key = {name: item[name] for name in ("pk", "sk")}
            town.world.table.delete_item(TableName="greenlane-deployments", Key=key)
    tick(town, 4)
    assert town.world.topic.published == []
    tick(town, 1)
    (late,) = town.world.topic.published
    deliver(town)
    town.notify(published)  # it was only slow
    assert late["Subject"] == published["Subject"]
    assert pages(town) == 1
    tick(town, 60)
    assert len(town.world.topic.told) == 2


def test_a_later_page_of_another_kind_does_not_make_a_hold_told_for_ever(town: Town) -> None:
    held(town)
    deliver(town)
    failure = {"Error": "Denied"}
    request = town.world.back().request
    town.world.clock.advance(minutes=1)
    trying = CloseEvent(request=request, execution=BACK, trying=True, failure=failure)
    close_rollback(trying, town.world.runtime)
    deliver(town)
    told = len(town.world.topic.told)
    for _ in range(30):
        tick(town, 1)
    assert len(town.world.topic.told) == told
    assert again(town) == []


def forget_pages(town: Town) -> None:
    for item in town.world.table.items():
        if item["sk"]["S"].startswith("PAGE#"):
            key = {name: item[name] for name in ("pk", "sk")}
            town.world.table.delete_item(TableName="greenlane-deployments", Key=key)


def test_a_hold_whose_page_can_never_be_kept_is_not_published_each_minute(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(town)
    forget_pages(town)
    put = town.world.table.put_item

    def refuse(**arguments: Any) -> Any:
        if arguments["Item"]["sk"]["S"].startswith("PAGE#"):
            raise timeout()
        return put(**arguments)

    monkeypatch.setattr(town.world.table, "put_item", refuse)
    for _ in range(30):
        tick(town, 1)
    assert len(town.world.topic.told) == 1
    monkeypatch.undo()
    tick(town, 1)
    assert len(town.world.topic.told) == 2


def test_a_hold_that_is_told_late_and_not_taken_is_bounded_too(town: Town) -> None:
    held(town)
    forget_pages(town)
    town.world.fail("sns", "publish", timeout(), times=10_000)
    for _ in range(24 * 12):
        tick(town, 5)
    assert len(again(town)) == 1 + MOST_AGAIN


def test_a_kept_page_that_cannot_be_read_hinders_nobody(town: Town) -> None:
    held(town)
    for item in town.world.table.items():
        if item["sk"]["S"].startswith("PAGE#"):
            broken = item | {"body": {"S": '{"schema_version": 1}'}}
            town.world.table.put_item(TableName="greenlane-deployments", Item=broken)
    for _ in range(10):
        tick(town, 5)
    assert len(town.world.topic.told) == 1


def test_the_hold_of_a_second_rollback_is_told_though_one_of_the_first_is_kept(town: Town) -> None:
    held(town)
    deliver(town)
    town.world.change(rollback_execution="second", updated_at=town.world.clock.now())
    tick(town, 5)
    assert len(town.world.topic.told) == 2
    deliver(town)
    tick(town, 60)
    assert len(town.world.topic.told) == 2


def test_a_rollback_that_keeps_trying_is_told_again_and_not_once_it_is_over(town: Town) -> None:
    town.wants(**PAGER)
    town.world.shifted()
    rollback = take_traffic_back(town.world.back(), town.world.runtime)
    event = CloseEvent(rollback=rollback, execution=BACK, trying=True, failure={"Error": "Denied"})
    close_rollback(event, town.world.runtime)
    town.server.answers["events.pagerduty.com"] = 503
    deliver(town, attempts=3)
    before = pages(town)
    tick(town, 5)
    assert pages(town) == before + 1
    town.world.change(phase=Phase.ROLLED_BACK)
    tick(town, 60)
    assert pages(town) == before + 1


def test_a_hold_that_a_person_goes_on_with_is_told_no_more(town: Town) -> None:
    held(town)
    town.server.answers["events.pagerduty.com"] = 503
    deliver(town, attempts=3)
    before = pages(town)
    town.world.serve("blue", 2)
    take_traffic_back(town.world.back("person", execution="second"), town.world.runtime)
    tick(town, 5)
    assert pages(town) == before


def test_a_service_with_mail_only_hears_again_what_the_topic_did_not_take(town: Town) -> None:
    town.world.fail("sns", "publish", timeout())
    held(town, notifications={"email_list": ["ada@example.com"]})
    for _ in range(3):
        tick(town, 30)
    assert len(town.world.topic.told) == 1


@pytest.mark.parametrize(("operation", "skip"), [("query", 1), ("put_item", 0), ("get_item", 1)])
def test_a_table_that_fails_meanwhile_only_puts_it_off(
    town: Town, operation: str, skip: int
) -> None:
    held(town)
    town.server.answers["events.pagerduty.com"] = 503
    deliver(town, attempts=3)
    town.server.answers["events.pagerduty.com"] = (202, b"{}")
    before = pages(town)
    town.world.clock.advance(minutes=5)
    town.world.fail("dynamodb", operation, skip=skip)
    reconcile(Tick(), town.world.runtime)
    town.world.heal()
    tick(town, 1)
    assert pages(town) == before + 1


def taken_back(town: Town) -> None:
    """A rollback by an alarm that ended well."""
    town.wants(**PAGER)
    town.world.shifted()
    rollback = take_traffic_back(town.world.back(), town.world.runtime)
    close_rollback(CloseEvent(rollback=rollback, execution=BACK), town.world.runtime)
    assert town.world.record.phase is Phase.ROLLED_BACK


def test_a_way_back_that_the_topic_did_not_take_wakes_somebody_all_the_same(town: Town) -> None:
    town.world.fail("sns", "publish", timeout(), times=1)
    taken_back(town)
    assert town.world.topic.told == []
    tick(town, 5)
    assert town.world.topic.told == [f"Greenlane took {SERVICE} back"]
    deliver(town)
    for _ in range(20):
        tick(town, 30)
    assert (pages(town), len(town.world.topic.told)) == (1, 1)


def test_a_way_back_of_yesterday_is_looked_at_no_more(town: Town) -> None:
    town.world.fail("sns", "publish", timeout(), times=1)
    taken_back(town)
    town.world.clock.advance(hours=24)
    town.world.calls.clear()
    tick(town, 1)
    assert town.world.topic.told == []
    assert ("dynamodb", "query") not in town.world.calls[1:], "only the list of the services"
