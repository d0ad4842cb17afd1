import asyncio
import threading
from typing import Any

import pytest

from greenlane.flags import (
    FeatureFlagManager,
    feature_flag,
    set_user_context,
    use_manager,
    user_context,
)
from greenlane.flags.sdk.contexts import NOBODY, current
from tests.unit.flags.flagging import flag, rule
from tests.unit.flags.reading import managing

FOR_BETA = flag(rule(**{"if": ["in", "groups", ["beta"]]}))
BETA, OTHER = {"targetingKey": "u1", "groups": ["beta"]}, {"targetingKey": "u2"}


@pytest.fixture
def beta() -> FeatureFlagManager:
    return managing({"f": FOR_BETA})


def test_the_user_is_the_current_one(beta: FeatureFlagManager) -> None:
    @feature_flag("f", manager=beta)
    def feature() -> str:
        return "on"

    assert feature() is None
    with user_context(BETA):
        assert feature() == "on"
        with user_context(OTHER):
            assert feature() is None
        assert feature() == "on"
    assert current.get() is NOBODY


def test_the_user_may_be_an_argument(beta: FeatureFlagManager) -> None:
    @feature_flag("f", manager=beta)
    def second(number: int, user_context: Any = None) -> int:
        return number

    @feature_flag("f", manager=beta)
    def named(*numbers: int, user_context: Any) -> tuple[int, ...]:
        return numbers

    assert second(1, BETA) == second(1, user_context=BETA) == 1
    assert second(1, OTHER) is None
    assert named(1, 2, user_context=BETA) == (1, 2)
    assert named(1, 2, user_context=OTHER) is None
    with user_context(BETA):
        assert second(1) == 1
        assert second(1, OTHER) is None


def test_the_user_may_come_out_of_the_arguments(beta: FeatureFlagManager) -> None:
    def of_request(request: dict[str, Any], **named: Any) -> dict[str, Any]:
        return {"targetingKey": request["user"], "groups": request["groups"]}

    @feature_flag("f", manager=beta, context=of_request)
    def feature(request: dict[str, Any], user_context: Any = None) -> str:
        return "on"

    assert feature({"user": "u1", "groups": ["beta"]}, user_context=OTHER) == "on"
    assert feature({"user": "u1", "groups": []}, user_context=BETA) is None


def test_threads_and_tasks_do_not_see_each_others_users(beta: FeatureFlagManager) -> None:
    @feature_flag("f", manager=beta)
    async def feature() -> str:
        return "on"

    async def asking(user: dict[str, Any]) -> str | None:
        set_user_context(user)
        await asyncio.sleep(0)
        return await feature()

    async def both() -> list[str | None]:
        return list(await asyncio.gather(asking(BETA), asking(OTHER), asking(BETA)))

    assert asyncio.run(both()) == ["on", None, "on"]
    seen: list[Any] = []
    with user_context(BETA):
        thread = threading.Thread(target=lambda: seen.append(current.get()))
        thread.start()
        thread.join()
    assert seen == [NOBODY]


def test_a_user_is_copied_and_must_be_a_mapping() -> None:
    user: dict[str, Any] = dict(OTHER)
    with user_context(user):
        user["groups"] = ["beta"]
        assert current.get() == OTHER
    with pytest.raises(TypeError, match="a user context is a mapping"):
        set_user_context("u1")  # type: ignore[arg-type]


def test_the_processes_manager_decides_where_none_is_given() -> None:
    @feature_flag("f")
    def feature() -> str:
        return "on"

    use_manager(managing({"f": flag(rule())}))
    try:
        assert feature() == "on"
    finally:
        use_manager(None)


def test_without_any_manager_the_default_counts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("FLAGS_ENVIRONMENT", raising=False)

    assert feature_flag("unmanaged", lambda: "default")(lambda: "on")() == "default"
    assert "FLAGS_ENVIRONMENT" in caplog.text
