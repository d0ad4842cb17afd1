"""A scan of everything that is kept or shown, for secrets that the channels used."""

import base64
import json
import logging
from urllib.parse import quote

import pytest

from greenlane.errors import NotTold
from greenlane.people.announcement import publication
from tests.builders import SERVICE
from tests.unit.people.news import news
from tests.unit.people.town import HOSTS, Town

HOOK = "https://hooks.slack.com/services/T0123/B0123/hookhookhookhook"
VALUES = {
    "slack": "xoxb-SLACKSECRET-0123456789",
    "pagerduty": "PAGERSECRET0123456789abcdef01234",
    "webhook": "WEBHOOKSECRET-0123456789",
}
WAYS = ["echo", 200, 400, 401, 404, 429, 500, "cut", "hang", 302]


def forms(secret: str) -> set[str]:
    """A secret as it is and as it may be written."""
    plain = {secret, secret.rpartition("/")[2], json.dumps(secret)[1:-1], quote(secret, safe="")}
    return plain | {base64.b64encode(secret.encode()).decode()}


def scan(text: str) -> None:
    for secret in (*VALUES.values(), HOOK):
        for form in forms(secret):
            assert form not in text


@pytest.mark.parametrize("slack", [VALUES["slack"], HOOK], ids=["token", "hook"])
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_no_secret_is_kept_logged_raised_or_shown(
    town: Town,
    way: object,
    slack: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    if way == "hang":
        monkeypatch.setattr("greenlane.people.posting.ANSWER_SECONDS", 1.0)
    for name, value in (VALUES | {"slack": slack}).items():
        town.secrets.values[f"greenlane/{SERVICE}/{name}"] = value
    for host in (*HOSTS.values(), "hooks.slack.com"):
        town.server.answers[host] = way
    town.wants()
    raised = ""
    try:
        town.notify(publication(news("held")))
    except NotTold as error:
        raised = repr(error) + str(error.__cause__) + str(error.__context__)
    sent = b"".join(got.body + str(got.headers).encode() for got in town.server.got).decode()
    assert VALUES["pagerduty"] in sent, "they were used"

    scan(raised)
    scan(json.dumps(town.world.table.items()))
    scan(json.dumps([event.detail for event in town.world.store.history("d-1")]))
    scan(caplog.text)
    out, err = capfd.readouterr()
    scan(out + err)
    scan(json.dumps(town.world.topic.published))
    scan(json.dumps(list(town.ops.items.values())))


@pytest.mark.parametrize("before", range(240, 310, 7))
def test_half_a_secret_is_not_shown_either(town: Town, before: int) -> None:
    key = VALUES["pagerduty"]
    town.secrets.values[f"greenlane/{SERVICE}/pagerduty"] = key
    said = {"message": "x" * before, "errors": [key]}
    town.server.answers[HOSTS["pagerduty"]] = (400, json.dumps(said).encode())
    town.wants(notifications={"pagerduty_integration": True})
    town.notify(publication(news("held")))
    kept = json.dumps(town.world.table.items())
    assert "xxx" in kept
    assert key[:6] not in kept


def test_a_secret_that_no_header_can_carry_is_not_quoted(town: Town) -> None:
    town.wants()
    bad = "xoxb-SECRET\r\nX-Injected: 1"
    town.secrets.values[f"greenlane/{SERVICE}/slack"] = bad
    town.notify(publication(news("held")))
    assert town.server.to("slack.com") == []
    kept = json.dumps(town.world.table.items())
    assert "xoxb-SECRET" not in kept


def test_one_channel_does_not_get_the_secret_of_another(town: Town) -> None:
    for name, value in VALUES.items():
        town.secrets.values[f"greenlane/{SERVICE}/{name}"] = value
    town.wants()
    town.notify(publication(news("held")))
    for name, host in HOSTS.items():
        (got,) = town.server.to(host)
        said = got.body.decode() + str(got.headers)
        for other, value in VALUES.items():
            assert (value in said) == (other == name and name != "webhook")
