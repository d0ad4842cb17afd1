"""`@openfeature/ofrep-provider` and `-web-provider` against the API of the local cloud.

Without node or the packages these fail: what they promise would not have been shown.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flag_api import DeployedApi
from tests.ofrep_clients.conftest import FLAGS
from tests.ofrep_clients.node_packages import NODE, installed

WRONG = "x" * 40
PATIENCE_SECONDS = 60

ASKS: dict[str, tuple[str, str, Any, dict[str, Any]]] = {
    "boolean": ("boolean", "premium", False, {"targetingKey": "u", "plan": "premium"}),
    "string": ("string", "text", "mine", {"country": "de"}),
    "whole": ("number", "whole", -1, {"plan": "premium"}),
    "fraction": ("number", "fraction", -1, {"plan": "free"}),
    "object": ("object", "object", {}, {}),
    "off": ("boolean", "off", True, {}),
    "elsewhere": ("boolean", "elsewhere", False, {}),
    "unknown": ("boolean", "unknown", True, {}),
    "keyless": ("boolean", "half", True, {}),
    "mismatch": ("boolean", "text", True, {}),
}


@pytest.fixture(scope="module")
def packages() -> Path:
    return installed()


@pytest.fixture(scope="module")
def server(api: DeployedApi, packages: Path) -> dict[str, Any]:
    """What the server provider was told."""
    api.put(FLAGS)
    given = {"url": api.url, "key": api.key, "wrongKey": WRONG, "asks": list(ASKS.values())}
    done = subprocess.run(
        [str(NODE), "server.cjs", json.dumps(given)],
        cwd=packages,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    told = dict(zip(ASKS, found["told"], strict=True))
    return told | {"refused": found["refused"][0]}


def test_the_server_provider_gets_every_type(server: dict[str, Any]) -> None:
    told = {name: server[name]["value"] for name in list(ASKS)[:5]}

    assert told == {
        "boolean": True,
        "string": "hallo",
        "whole": 3,
        "fraction": 1.0,
        "object": {"title": "Neu", "sizes": [1, 2.5], "on": True},
    }
    assert server["boolean"]["variant"] == "on"
    assert server["boolean"]["reason"] == "TARGETING_MATCH"
    assert server["boolean"]["flagMetadata"] == {
        "owner": "checkout",
        "tier": 2,
        "ruleId": "rollout",
    }
    assert [name for name in list(ASKS)[:5] if server[name].get("errorCode")] == []


def test_the_server_provider_gives_the_codes_default_for_what_is_off(
    server: dict[str, Any],
) -> None:
    assert server["off"]["value"] is True
    assert server["elsewhere"]["value"] is False


def test_the_server_provider_keeps_the_codes_of_errors(server: dict[str, Any]) -> None:
    codes = {name: server[name]["errorCode"] for name in ("unknown", "keyless", "mismatch")}

    assert codes == {
        "unknown": "FLAG_NOT_FOUND",
        "keyless": "TARGETING_KEY_MISSING",
        "mismatch": "TYPE_MISMATCH",
    }
    assert all(server[name]["value"] is True for name in codes)


def test_the_server_provider_with_another_api_key_gets_nothing(server: dict[str, Any]) -> None:
    assert server["refused"]["value"] is False
    assert server["refused"]["errorCode"] == "GENERAL"


@pytest.fixture(scope="module")
def web(api: DeployedApi, packages: Path) -> Iterator[dict[str, Any]]:
    """What the web provider was told; in the middle of it the flags change."""
    api.put(FLAGS)
    given = {"url": api.url, "key": api.key, "wrongKey": WRONG}
    node = subprocess.Popen(
        [str(NODE), "web.cjs", json.dumps(given)],
        cwd=packages,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert node.stdout is not None
        said = node.stdout.readline().strip()
        if said == "change":
            api.put(FLAGS.replace("en: hello", "en: neu"))
        told, errors = node.communicate("go\n", timeout=PATIENCE_SECONDS)
        assert (said, node.returncode) == ("change", 0), errors
    finally:
        node.kill()
        node.wait()
    yield json.loads(told)
    api.put(FLAGS)


def test_the_web_provider_gets_every_type_by_one_request(web: dict[str, Any]) -> None:
    first = web["first"]

    assert {name: first[name]["value"] for name in ("boolean", "string", "whole", "fraction")} == {
        "boolean": True,
        "string": "hello",
        "whole": 3,
        "fraction": 2.5,
    }
    assert first["object"]["value"] == {"title": "Neu", "sizes": [1, 2.5], "on": True}
    assert (first["share"]["value"], first["share"]["reason"]) == (True, "SPLIT")
    assert first["boolean"]["flagMetadata"]["owner"] == "checkout"
    assert web["wire"][0]["status"] == 200


def test_the_web_provider_gives_the_codes_default_where_there_is_no_value(
    web: dict[str, Any],
) -> None:
    first = web["first"]

    assert (first["off"]["value"], first["off"]["reason"]) == (True, "DISABLED")
    assert first["off"].get("errorCode") is None
    assert (first["unknown"]["value"], first["unknown"]["errorCode"]) == (True, "FLAG_NOT_FOUND")
    assert (first["mismatch"]["value"], first["mismatch"]["errorCode"]) == ("mine", "TYPE_MISMATCH")


def test_polls_without_a_change_are_304s(web: dict[str, Any]) -> None:
    assert len(web["polls"]) >= 2
    for one in web["polls"]:
        assert one["status"] == 304
        assert one["sent"] == one["etag"]


def test_other_attributes_of_the_same_user_are_asked_with_the_old_tag_and_told_anew(
    web: dict[str, Any],
) -> None:
    assert web["otherAttributes"]["value"] is False
    moved = [one for one in web["wire"] if one["sent"] and one["etag"] != one["sent"]]
    assert moved, "the provider sends the tag of the old attributes"
    assert {one["status"] for one in moved} == {200}


def test_another_targeting_key_is_another_user(web: dict[str, Any]) -> None:
    """By the golden vectors: user-2 is in the first half, user-3 is not."""
    assert web["first"]["share"]["value"] is True
    assert web["otherUser"]["value"] is False


def test_a_change_of_a_flag_reaches_the_page_at_a_poll(web: dict[str, Any]) -> None:
    assert web["changed"]["value"] == "neu"


def test_the_web_provider_with_another_api_key_does_not_start(web: dict[str, Any]) -> None:
    assert web["refused"] != "it was let in"
    assert web["refusedValue"]["value"] is False
