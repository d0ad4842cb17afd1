import json

import pytest
from botocore.exceptions import ClientError

from greenlane.people.announcement import Announcement
from greenlane.people.red_warnings import RedWarning, tell_warning

EVENT = {
    "service": "claude-manager",
    "name": "greenlane.claude-manager.warning.green.0123456789ab",
    "reason": "Threshold Crossed",
    "at": "2026-11-23T12:00:00.000+0000",
    "configuration": {
        "description": "cpu_usage > 85: warning of claude-manager green, from a.yaml. Kept by us.",
        "metrics": [],
    },
}


def told(world, **changes):
    tell_warning(RedWarning.model_validate(EVENT | changes), world.runtime)
    published = world.topic.published[-1]
    return published, Announcement.model_validate_json(json.loads(published["Message"])["lambda"])


def test_people_hear_what_is_red_and_where(world):
    published, news = told(world)
    assert published["Subject"] == "Warning: cpu_usage > 85 on claude-manager green"
    assert (news.service, news.severity, news.kind) == (
        "claude-manager",
        "warning",
        "warning_alert",
    )
    assert news.facts["reason"] == "Threshold Crossed"
    assert published["MessageAttributes"]["service"]["StringValue"] == "claude-manager"


def test_an_event_that_comes_twice_is_one_piece_of_news(world):
    assert told(world)[1].id == told(world)[1].id
    later = told(world, at="2026-11-23T13:00:00.000+0000")[1]
    assert later.id != told(world)[1].id


def test_an_alarm_of_the_whole_service_or_without_a_description_is_told_too(world):
    published, _ = told(world, name="greenlane.claude-manager.warning.service.01", configuration={})
    assert published["Subject"] == (
        "Warning: greenlane.claude-manager.warning.service.01 on claude-manager"
    )


def test_what_the_topic_does_not_take_is_repeated(world):
    world.fail("sns", "publish")
    with pytest.raises(ClientError):
        told(world)
