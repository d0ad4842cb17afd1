"""The ETag of all flags covers all that they depend on, and a 304 costs no evaluation."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.flags.evaluating.engine import Engine
from greenlane.flags.http.ofrep import Ofrep
from tests.unit.flags.flagging import NOW, engine, flag, rule
from tests.unit.flags.ofrep_asking import ask, context

HOUR = 3600.0


def flags(**more: Any) -> Engine:
    return engine(
        {
            "premium": flag(rule(**{"if": ["==", "plan", "premium"]})),
            "share": flag(rule(share=50_000)),
            # 10 percent at NOW, 10 more each hour.
            "later": flag(rule(share=[NOW, None, HOUR, 10_000, 100_000, 0])),
            **more,
        }
    )


FLAGS = flags()


def tag(
    body: Any, *, of: Engine = FLAGS, now: float = NOW, stale: bool = False, **more: Any
) -> str:
    return ask(body, flags=of, now=now, stale=stale, **more)[1]["etag"]


USER = context(targetingKey="user-1", plan="free")


def test_who_asks_with_the_tag_of_the_same_question_gets_a_304_without_a_body() -> None:
    status, headers, body = ask(USER, flags=FLAGS, headers={"If-None-Match": tag(USER)})

    assert (status, body) == (304, None)
    assert headers["etag"] == tag(USER)
    assert headers["access-control-expose-headers"] == "ETag, Retry-After"


@pytest.mark.parametrize("sent", ["W/{}", '"x", {}', '{} , W/"y"'], ids=["weak", "second", "first"])
def test_weak_tags_and_lists_are_understood(sent: str) -> None:
    asked = {"if-none-match": sent.format(tag(USER))}

    assert ask(USER, flags=FLAGS, headers=asked)[0] == 304


@pytest.mark.parametrize("sent", ["*", "", '""', '"other"', None])
def test_any_other_tag_gets_the_flags(sent: str | None) -> None:
    assert ask(USER, flags=FLAGS, headers={"If-None-Match": sent})[0] == 200


def test_the_tag_of_other_attributes_is_another_with_the_same_user() -> None:
    premium = context(targetingKey="user-1", plan="premium")

    status, _, body = ask(premium, flags=FLAGS, headers={"If-None-Match": tag(USER)})

    assert status == 200
    assert {one["key"]: one["value"] for one in body["flags"]}["premium"] is True


def test_the_order_of_attributes_makes_no_difference() -> None:
    assert tag(context(a=1, b=2)) == tag(context(b=2, a=1))


def test_a_flag_that_changes_changes_the_tag_and_the_same_flags_loaded_again_do_not() -> None:
    assert tag(USER, of=flags()) == tag(USER)
    assert tag(USER, of=flags(new=flag())) != tag(USER)


def test_one_who_answers_for_several_environments_tells_their_flags_apart() -> None:
    one, ofrep = FLAGS, Ofrep()
    other = Engine({**flags(new=flag()).snapshot, "environment": "staging"})

    tags = [tag(USER, of=each, ofrep=ofrep) for each in (one, other, one, other)]

    assert tags[:2] == tags[2:]
    assert tags[0] != tags[1]


def test_a_snapshot_that_follows_another_replaces_its_tag() -> None:
    ofrep = Ofrep()

    assert tag(USER, of=FLAGS, ofrep=ofrep) != tag(USER, of=flags(new=flag()), ofrep=ofrep)


def test_a_schedules_next_step_changes_the_tag_and_time_alone_does_not() -> None:
    assert tag(USER, now=NOW + HOUR - 1) == tag(USER)
    assert tag(USER, now=NOW + HOUR) != tag(USER)


def test_that_answers_may_be_old_changes_the_tag() -> None:
    assert tag(USER, stale=True) != tag(USER)


def test_a_304_evaluates_no_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    known = tag(USER)

    def never(*_: Any) -> Any:
        raise AssertionError("evaluated")

    monkeypatch.setattr(Engine, "evaluate", never)

    assert ask(USER, flags=FLAGS, headers={"If-None-Match": known})[0] == 304


PLANS = st.sampled_from(["free", "premium", None])
USERS = st.sampled_from(["user-1", "user-2", "user-3", None])
TIMES = st.floats(NOW - HOUR, NOW + 12 * HOUR)


@given(PLANS, PLANS, USERS, USERS, TIMES, TIMES)
def test_equal_tags_mean_equal_answers(
    plan: Any, other_plan: Any, user: Any, other_user: Any, now: float, then: float
) -> None:
    first = ask(context(targetingKey=user, plan=plan), flags=FLAGS, now=now)
    second = ask(context(targetingKey=other_user, plan=other_plan), flags=FLAGS, now=then)

    if first[1]["etag"] == second[1]["etag"]:
        assert first[2] == second[2]


def test_how_flags_that_are_off_are_told_is_part_of_the_tag() -> None:
    """After the setting was changed, no client keeps what was answered before."""
    without, told = (tag(USER, ofrep=Ofrep(off_variant=one)) for one in (False, True))

    assert without != told


def test_a_context_as_deep_as_can_be_read_is_refused_and_no_crash() -> None:
    """Writing one nested so deeply may take a level more than reading it did."""
    for depth in range(880, 1000):
        body = '{"context": {"deep": %s}}' % ("[" * depth + "]" * depth)
        assert ask(body, flags=FLAGS)[0] in (200, 400)
