"""Secrets: from Secrets Manager, kept for minutes, never shown."""

import pytest

from greenlane.people.channel import Untold
from greenlane.people.vault import KEPT_SECONDS, Vault
from tests.fakes import error, timeout
from tests.unit.people.town import Secrets

NAME = "greenlane/claude-manager/slack"


class Ticks:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def vault(value: str) -> tuple[Vault, Secrets, Ticks]:
    secrets, ticks = Secrets(), Ticks()
    secrets.values[NAME] = value
    return Vault(secrets, ticks), secrets, ticks


def test_a_secret_is_read_once_in_minutes() -> None:
    made, secrets, ticks = vault("x" * 20)
    for now in (0, KEPT_SECONDS - 1):
        ticks.now = now
        assert made.get(NAME) == "x" * 20
    assert len(secrets.read) == 1
    ticks.now = KEPT_SECONDS
    made.get(NAME)
    assert len(secrets.read) == 2


@pytest.mark.parametrize(
    "text", ["plain-0123456789", " plain-0123456789\n", '{"token": "plain-0123456789"}']
)
def test_text_and_the_one_value_of_an_object_are_secrets(text: str) -> None:
    assert vault(text)[0].get(NAME) == "plain-0123456789"


@pytest.mark.parametrize(
    "text",
    ["", "short", "two words of some length", "line\nbreak-0123456789", "é" * 20, "1" * 5000],
)
def test_what_is_no_secret_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(Untold) as caught:
        vault(text)[0].get(NAME)
    assert not caught.value.again
    assert caught.value.why == f"secret {NAME}: it must be one word, 16 characters or more"


@pytest.mark.parametrize(
    ("problem", "again"),
    [
        (error("ResourceNotFoundException"), False),
        (error("AccessDeniedException"), False),
        (error("DecryptionFailure"), False),
        (error("ThrottlingException"), True),
        (error("InternalServiceError"), True),
        (timeout(), True),
    ],
)
def test_it_is_known_whether_another_attempt_helps(problem: Exception, again: bool) -> None:
    class Broken:
        def get_secret_value(self, SecretId: str) -> None:  # noqa: N803
            raise problem

    with pytest.raises(Untold, match=f"secret {NAME}: ") as caught:
        Vault(Broken()).get(NAME)
    assert caught.value.again is again
    assert caught.value.__context__ is None


def test_a_secret_is_renewed_only_by_another_value() -> None:
    made, secrets, _ = vault("the-first-secret-value")
    first = made.get(NAME)
    assert made.renewed(NAME, first) is None
    secrets.values[NAME] = "the-second-secret-value"
    assert made.renewed(NAME, first) == "the-second-secret-value"
    assert made.get(NAME) == "the-second-secret-value"


def test_every_secret_that_was_read_is_hidden_and_of_an_address_its_end() -> None:
    made, secrets, _ = vault("https://hooks.slack.com/services/T0/B0/abcdefgh12345678")
    made.get(NAME)
    secrets.values[NAME] = "the-second-secret-value"
    made.renewed(NAME, "")
    said = "to abcdefgh12345678 and the-second-secret-value and more"
    assert made.hide(said) == "to [secret] and [secret] and more"
