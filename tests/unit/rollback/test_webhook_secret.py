"""Who may start the way back by a webhook: who shows the secret, and nobody else."""

import hmac
import io
import logging

import pytest

from greenlane.logs import logger
from greenlane.rollback.http import webhook_secret
from greenlane.rollback.http.webhook_secret import (
    FAILED_SECONDS,
    KEPT_SECONDS,
    MISMATCH_SECONDS,
    NAME,
)
from tests.fakes import error, timeout
from tests.unit.rollback.documents import alert, webhook
from tests.unit.rollback.hearing import ALERTMANAGER, SECRET, WEBHOOK, Door

NEW = "another-word-of-many-letters"


@pytest.fixture
def door(world):
    world.shifted()
    world.calls.clear()
    return Door(world)


def status(door, shown=SECRET):
    return door.post(ALERTMANAGER, webhook(), f"Bearer {shown}").status


@pytest.mark.parametrize("path", [ALERTMANAGER, WEBHOOK])
@pytest.mark.parametrize(
    "shown",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        SECRET,
        f"Basic {SECRET}",
        "Bearer x",
        f"Bearer {SECRET}x",
        f"Bearer {SECRET[:-1]}",
        "Bearer \ud800",
        "Bearer é",
    ],
)
def test_who_shows_no_secret_or_a_wrong_one_is_refused_and_nothing_is_looked_at(door, path, shown):
    answer = door.post(path, webhook(alert()), shown)
    assert (answer.status, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.headers["www-authenticate"] == 'Bearer realm="greenlane"'
    assert NAME in answer.json["detail"]
    assert door.world.machines.started == []
    assert {service for service, _ in door.world.calls} <= {"secretsmanager"}


def test_without_any_word_nobody_is_asked(door):
    for shown in (None, "", "Basic x", SECRET):
        door.post(ALERTMANAGER, webhook(), shown)
    assert door.asked() == 0


@pytest.mark.parametrize("shown", [f"bearer {SECRET}", f"BEARER   {SECRET} "])
def test_the_scheme_is_read_as_http_has_it(door, shown):
    assert door.post(ALERTMANAGER, webhook(), shown).status == 200


@pytest.mark.parametrize("text", [f" {SECRET}\n", f'{{"secret": "{SECRET}"}}'])
def test_the_secret_may_be_kept_as_the_console_keeps_it(door, text):
    door.versions.stages = {"AWSCURRENT": text}
    assert status(door) == 200


def test_a_secret_is_read_once_in_five_minutes_and_no_longer_kept(door):
    for now in (0.0, 1.0, KEPT_SECONDS - 1):
        door.ticks.now = now
        assert status(door) == 200
    assert door.asked() == 2, "both versions, once"
    door.versions.stages = {"AWSCURRENT": NEW}
    door.ticks.now = KEPT_SECONDS
    assert status(door) == 401, "taken out of the secret, it ends"
    assert door.asked() == 4


def test_a_rotated_secret_is_known_at_once_and_the_one_before_it_still_counts(door):
    assert status(door) == 200
    door.versions.rotate(NEW)
    door.ticks.now = MISMATCH_SECONDS
    assert status(door, NEW) == 200
    assert status(door) == 200
    door.versions.rotate("a-third-word-of-many-letters")
    door.ticks.now += KEPT_SECONDS
    assert status(door) == 401, "two rotations back"
    assert status(door, NEW) == 200


def test_a_storm_of_wrong_secrets_asks_secrets_manager_twice_in_ten_seconds(door):
    seconds = 60
    for number in range(seconds * 10):
        door.ticks.now = number / 10
        assert status(door, f"guess-{number}-of-many-letters") == 401
    assert door.asked() <= 2 * (seconds / MISMATCH_SECONDS + 1)
    assert status(door) == 200, "and locks nobody out"


@pytest.mark.parametrize(
    "failure", [timeout(), error("ThrottlingException"), error("AccessDenied")]
)
@pytest.mark.parametrize("skip", [0, 1])
def test_without_secrets_manager_the_sender_is_to_try_again(door, failure, skip):
    door.world.fail("secretsmanager", "get_secret_value", failure, skip=skip)
    answer = door.post(ALERTMANAGER, webhook(alert()))
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.json["title"] == "SecretUnknown"
    assert door.world.machines.started == []
    door.ticks.now += FAILED_SECONDS
    assert door.post(ALERTMANAGER, webhook(alert())).status == 200
    assert len(door.world.machines.started) == 1


def test_while_it_is_down_it_is_asked_once_a_second_and_what_is_known_still_counts(door):
    assert status(door) == 200
    door.world.fail("secretsmanager", "*", timeout(), times=1000)
    before = door.asked()
    for number in range(100):
        door.ticks.now = 20 + number / 10
        assert status(door) == 200
        assert status(door, NEW) == 503, "it may be a new one"
    assert door.asked() - before == 1
    for number in range(100):
        door.ticks.now = KEPT_SECONDS + number / 10
        assert status(door) == 503, "nobody knows whether it was taken away"
    assert door.asked() - before == 11


@pytest.mark.parametrize("stages", [{"AWSCURRENT": "short"}, {"AWSPREVIOUS": SECRET}])
def test_a_secret_that_is_missing_or_too_short_lets_nobody_in(door, stages):
    door.versions.stages = stages
    assert status(door) == 503
    assert status(door, "short") == 503


def test_a_previous_version_that_is_no_word_is_not_one(door):
    door.versions.stages = {"AWSCURRENT": SECRET, "AWSPREVIOUS": "x"}
    assert status(door) == 200
    assert status(door, "x") == 401


def test_every_version_is_compared_in_constant_time_and_at_one_length(door, monkeypatch):
    compared = []

    def compare(given, known):
        compared.append((len(given), len(known)))
        return hmac.compare_digest(given, known)

    door.versions.rotate(NEW)
    for shown in (NEW, SECRET, "x", "x" * 4000):
        monkeypatch.setattr(webhook_secret, "hmac", type("Hmac", (), {"compare_digest": compare}))
        status(door, shown)
        assert set(compared) == {(32, 32)}
        assert len(compared) % 2 == 0, "the first match does not end it"


@pytest.fixture
def written():
    """All that the functions' logger writes."""
    found = io.StringIO()
    handler = logging.StreamHandler(found)
    handler.setFormatter(logger.registered_formatter)
    logger.addHandler(handler)
    yield found
    logger._logger.removeHandler(handler)


def test_the_secret_is_never_logged_nor_kept(door, written):
    door.world.fail("secretsmanager", "get_secret_value", error("Sorry"))
    door.post(ALERTMANAGER, webhook(alert()))
    door.ticks.now += 2
    door.post(ALERTMANAGER, webhook(alert()))
    door.post(ALERTMANAGER, "no JSON")
    door.world.fail("dynamodb", "*", timeout(), times=9)
    door.post(ALERTMANAGER, webhook(alert()))
    door.post(ALERTMANAGER, webhook(alert()), "Bearer a-guess-of-many-letters")
    logged = written.getvalue()
    assert "webhooks are refused" in logged
    assert SECRET not in logged
    assert "a-guess" not in logged
    assert SECRET not in repr(vars(door.api._secret))
