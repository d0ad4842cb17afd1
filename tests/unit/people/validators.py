"""The vendors' documented limits, written down apart from the code that must keep to them.

Lengths are counted in UTF-16 units, sizes in bytes of UTF-8: the strictest reading of each.
"""

import json
import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from botocore.validate import validate_parameters

from tests.fakes import client


def length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def size(document: Any) -> int:
    return len(json.dumps(document).encode())


def within(text: str, most: int, least: int = 1) -> None:
    assert isinstance(text, str)
    assert least <= length(text) <= most


def instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    assert found.tzinfo is not None
    return found


def link(text: str) -> None:
    parts = urlsplit(text)
    assert parts.scheme in ("http", "https")
    assert parts.hostname


def check_publication(arguments: dict[str, Any]) -> dict[str, Any]:
    """SNS `Publish`; returns what its `lambda` subscribers get."""
    model = client("sns").meta.service_model.operation_model("Publish").input_shape
    validate_parameters({"TopicArn": "arn:aws:sns:eu-west-1:1:t"} | arguments, model)
    subject, message = arguments["Subject"], arguments["Message"]
    assert 1 <= len(subject) < 100
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", subject)
    attributes = json.dumps(arguments["MessageAttributes"])
    assert len(message.encode()) + len(attributes.encode()) <= 256 * 1024
    for attribute in arguments["MessageAttributes"].values():
        assert attribute["StringValue"]
    parts = json.loads(message)
    assert arguments["MessageStructure"] == "json"
    assert set(parts) == {"default", "lambda"}
    assert parts["default"].strip()
    return dict(json.loads(parts["lambda"]))


def check_slack(message: dict[str, Any]) -> None:
    """Block Kit, https://docs.slack.dev/reference/block-kit/blocks."""
    within(message["text"], 4000)
    _safe(message["text"])
    assert 1 <= len(message["blocks"]) <= 50
    written = []
    for block in message["blocks"]:
        texts = {"header": _header, "section": _section, "context": _context}[block["type"]](block)
        written += [text["text"] for text in texts]
        for text in texts:
            assert text["type"] in ("plain_text", "mrkdwn")
            assert text["type"] == "plain_text" or text["verbatim"] is True
            _safe(text["text"])
    # Measured: https://github.com/slackapi/bolt-js/issues/2509.
    assert sum(length(text) for text in written) < 13_000


def _header(block: dict[str, Any]) -> list[dict[str, Any]]:
    assert block["text"]["type"] == "plain_text"
    within(block["text"]["text"], 150)
    return [block["text"]]


def _section(block: dict[str, Any]) -> list[dict[str, Any]]:
    texts: list[dict[str, Any]] = block.get("fields", [])
    assert ("text" in block) or 1 <= len(texts) <= 10
    for field in texts:
        within(field["text"], 2000)
    if "text" in block:
        within(block["text"]["text"], 3000)
        return [*texts, block["text"]]
    return texts


def _context(block: dict[str, Any]) -> list[dict[str, Any]]:
    elements: list[dict[str, Any]] = block["elements"]
    assert 1 <= len(elements) <= 10
    for element in elements:
        within(element["text"], 3000)
    return elements


def _safe(text: str) -> None:
    """Nothing in it is a control sequence but links of our own."""
    rest = re.sub(r"^<https?://[^<>|\s]+\|[^<>|]+>$", "", text)
    assert "<" not in rest
    assert ">" not in rest
    assert not re.search(r"&(?!amp;|lt;|gt;)", rest)


def check_pagerduty(event: dict[str, Any]) -> None:
    """https://developer.pagerduty.com/docs/send-alert-event."""
    assert set(event) <= {
        "routing_key",
        "event_action",
        "dedup_key",
        "payload",
        "images",
        "links",
        "client",
        "client_url",
    }
    assert event["event_action"] in ("trigger", "acknowledge", "resolve")
    within(event["dedup_key"], 255)
    assert size(event) <= 512 * 1024
    if event["event_action"] != "trigger":
        assert set(event) <= {"routing_key", "event_action", "dedup_key"}
        return
    payload = event["payload"]
    within(payload["summary"], 1024)
    within(payload["source"], 1024)
    assert payload["severity"] in ("critical", "error", "warning", "info")
    instant(payload["timestamp"])
    assert isinstance(payload["custom_details"], dict)
    for one in event["links"]:
        link(one["href"])
        assert one["text"]


def check_ops_item(arguments: dict[str, Any]) -> None:
    """`CreateOpsItem`, from botocore's model and the words of its documentation."""
    model = client("ssm").meta.service_model.operation_model("CreateOpsItem").input_shape
    validate_parameters(arguments, model)
    within(arguments["Title"], 1024)
    assert re.fullmatch(r"(?!\s*$).+", arguments["Title"])
    within(arguments["Description"], 2048)
    assert re.search(r"\S", arguments["Description"])
    within(arguments["Source"], 128)
    assert not re.search("aws|amazon|amzn", arguments["Source"], re.IGNORECASE)
    assert arguments["Severity"] in ("1", "2", "3", "4")
    for key, data in arguments["OperationalData"].items():
        within(key, 128)
        if key != "/aws/dedup":
            assert not re.match("/?(amazon|aws|amzn|ssm)", key, re.IGNORECASE)
        assert data["Type"] in ("String", "SearchableString")
        assert 1 <= len(data["Value"].encode()) <= 20 * 1024
    dedup = json.loads(arguments["OperationalData"]["/aws/dedup"]["Value"])
    assert list(dedup) == ["dedupString"]
    assert dedup["dedupString"]


def check_alerts(alerts: list[dict[str, Any]]) -> None:
    """Alertmanager's `postableAlerts`, from its openapi.yaml and its checks of labels."""
    assert alerts
    for alert in alerts:
        assert set(alert) <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
        assert alert["labels"]["alertname"]
        for name, value in (alert["labels"] | alert["annotations"]).items():
            assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name)
            assert isinstance(value, str)
            value.encode()
        assert all(alert["labels"].values())
        assert instant(alert["startsAt"]) <= instant(alert["endsAt"])
        if "generatorURL" in alert:
            link(alert["generatorURL"])
