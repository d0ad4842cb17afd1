"""What a file may say about who is told."""

from pathlib import Path
from typing import Any

import pytest

from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.declaring.document import Sources, compose, read_document
from greenlane.deployments.storing.store import StoredConfig
from greenlane.people.alertmanager import Alertmanager
from greenlane.people.channel import Channel
from greenlane.people.opscenter import OpsCenter
from greenlane.people.pagerduty import PagerDuty
from greenlane.people.routing import channels_of, secrets_of
from greenlane.people.slack import Slack
from greenlane.people.webhook import WebhookChannel
from greenlane.problems import InvalidDocument
from tests.builders import NOW, SERVICE, service_config

SPEC = Path(__file__).resolve().parents[2] / "data" / "spec" / "canary-config.yaml"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:greenlane/team-AbCdEf"


def channels(**notifications: Any) -> list[Channel]:
    return channels_of(service_config(notifications=notifications))


def test_the_file_of_the_specification_asks_for_its_three_channels_as_it_stands() -> None:
    checked = read_document(SPEC.read_text(), SPEC.name)
    assert checked.canary is not None
    assert not [warning for warning in checked.warnings if "notifications" in warning]
    config, _ = compose(Sources(canary=checked.source), ServiceConfig(name=SERVICE))
    assert channels_of(config) == [
        PagerDuty(f"greenlane/{SERVICE}/pagerduty"),
        Alertmanager("http://alertmanager:9093"),
        Slack("#deployments", f"greenlane/{SERVICE}/slack"),
    ]
    assert secrets_of(config) == {
        "slack_channel": f"greenlane/{SERVICE}/slack",
        "pagerduty_integration": f"greenlane/{SERVICE}/pagerduty",
    }


def test_nothing_is_asked_for_by_default() -> None:
    assert channels() == []
    assert channels(email_list=["ada@example.com"]) == []


def test_secrets_may_be_named() -> None:
    asked = channels(
        slack_channel="C012",
        slack_secret=ARN,
        opscenter=True,
        webhook={"url": "https://example.com/x?y=1", "secret": "greenlane/all"},
    )
    assert asked == [
        OpsCenter(),
        Slack("C012", ARN),
        WebhookChannel("https://example.com/x?y=1", "greenlane/all"),
    ]


@pytest.mark.parametrize(
    ("part", "text", "said"),
    [
        ("notifications", "{slack: '#x'}", "slack"),
        ("notifications", "{slack_channel: ''}", "such as #deployments"),
        ("notifications", "{slack_channel: '#a b'}", "such as #deployments"),
        ("notifications", "{slack_channel: '<!here>'}", "such as #deployments"),
        ("notifications", "{slack_secret: other/secret}", "greenlane/"),
        ("notifications", "{pagerduty_secret: 'xoxb-a-token'}", "greenlane/"),
        ("notifications", "{pagerduty_region: mars}", "us"),
        ("notifications", "{webhook: {url: 'http://example.com'}}", "https"),
        ("notifications", "{webhook: {url: 'https://me:pw@example.com'}}", "https"),
        ("notifications", "{webhook: {}}", "url"),
        ("monitoring", "{alert_manager: alertmanager}", "base address"),
        ("monitoring", "{alert_manager: 'http://me:pw@alerts'}", "base address"),
        ("monitoring", "{alert_manager: 'http://alerts/?a=b'}", "base address"),
        ("monitoring", "{alert_manager_network: lan}", "vpc"),
    ],
)
def test_a_mistake_is_said(part: str, text: str, said: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        read_document(f"service:\n  name: shop\n  {part}: {text}\n", "shop.yaml")
    (problem,) = caught.value.problems
    assert said in f"{problem.field} {problem.way_out}"


def test_what_an_older_version_accepted_is_still_read() -> None:
    stored = StoredConfig.model_validate(
        {
            "service": "shop",
            "version": 1,
            "config": {
                "name": "shop",
                "notifications": {"slack_channel": "two words", "later": 1},
                "monitoring": {"alert_manager": "alertmanager"},
            },
            "source": "",
            "applied_by": "ada",
            "applied_at": NOW,
        }
    )
    assert len(channels_of(stored.config)) == 2
