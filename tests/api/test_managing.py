"""Flags managed over HTTP as people do it, and that lookups see what came of it."""

from typing import Any

import pytest

from tests.api.conftest import FLAGS
from tests.flag_api import Answer, DeployedApi


@pytest.fixture(autouse=True)
def _as_at_first(api: DeployedApi) -> None:
    api.put(FLAGS)


def test_a_flag_is_put_looked_up_switched_off_and_taken_out(api: DeployedApi) -> None:
    put = api.manage("PUT", "/v1/flags/dark_mode", {"flag": {}, "reason": "for the launch"})
    assert (put.status, put.json["keys"]) == (200, ["dark_mode"])
    assert api.look_up_fresh("/dark_mode")["value"] is True

    off = api.manage("POST", "/v1/flags/dark_mode/disable", {"environment": "production"})
    assert off.status == 200
    assert api.look_up_fresh("/dark_mode").get("value") is None
    seen = api.manage("GET", "/v1/flags/dark_mode").json
    assert seen["on"] == {"*": True, "production": False}

    assert api.manage("DELETE", "/v1/flags/dark_mode?reason=over").status == 200
    assert api.manage("GET", "/v1/flags/dark_mode").status == 404


def test_who_changed_it_is_whoever_signed(api: DeployedApi) -> None:
    ada = user(api, "ada")
    api.manage("PATCH", "/v1/flags/new_checkout", {"changes": {"percentage": 30}}, **ada)

    (entry,) = api.manage("GET", "/v1/flags/new_checkout/audit?limit=1").json["entries"]

    assert entry["by"] == "arn:aws:iam::123456789012:user/ada"
    (change,) = entry["changes"]
    assert change["after"]["flag"]["percentage"] == 30


def user(api: DeployedApi, name: str) -> dict[str, Any]:
    """Somebody of this account, as `manage` signs for them."""
    iam = api.cloud.client("iam")
    if name not in [one["UserName"] for one in iam.list_users()["Users"]]:
        iam.create_user(UserName=name)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return {"key": made["AccessKeyId"], "secret": made["SecretAccessKey"]}


def test_a_protected_environment_takes_two_people(api: DeployedApi) -> None:
    ada, bob = user(api, "ada"), user(api, "bob")
    api.put(FLAGS + "approvals: {environments: [production]}\n")
    change = {"changes": {"percentage": 80}, "reason": "all is well"}

    waits = api.manage("PATCH", "/v1/flags/new_checkout", change, **ada)
    proposal = waits.json["proposal"]["id"]
    alone = api.manage("POST", f"/v1/flag-proposals/{proposal}/approve", {}, **ada)
    agreed = api.manage("POST", f"/v1/flag-proposals/{proposal}/approve", {"reason": "yes"}, **bob)

    assert (waits.status, waits.json["keys"]) == (202, [])
    assert (alone.status, alone.json["title"]) == (409, "ApprovalRefused")
    assert (agreed.status, agreed.json["keys"]) == (200, ["new_checkout"])
    listed = api.manage("GET", "/v1/flag-proposals").json["proposals"]
    (mine,) = [one for one in listed if one["id"] == proposal]
    assert (mine["status"], mine["decided_by"][-3:]) == ("approved", "bob")

    again = api.manage("PATCH", "/v1/flags/new_checkout", {"changes": {"percentage": 90}}, **ada)
    refused = api.manage(
        "POST", f"/v1/flag-proposals/{again.json['proposal']['id']}/reject", {}, **bob
    )
    assert (refused.status, refused.json["proposal"]["status"]) == (200, "rejected")
    # The kill switch waits for nobody.
    assert api.manage("POST", "/v1/flags/new_checkout/disable", {}, **ada).status == 200
    open_again = api.manage("DELETE", "/v1/flags/new_checkout", **ada)
    assert open_again.status == 202
    lifted = api.store.read().approvals.environments
    assert lifted == ("production",)


def test_a_ramp_is_recorded_and_stopped(api: DeployedApi) -> None:
    begun = {"environment": "production", "target": 60, "increment": 10, "interval": "10m"}

    first = api.manage("POST", "/v1/flags/new_checkout/ramp", begun)
    second = api.manage("POST", "/v1/flags/new_checkout/ramp", begun)
    ramp = api.manage("GET", "/v1/flags/new_checkout").json["states"]["production"]["ramp"]
    stop = api.manage("DELETE", "/v1/flags/new_checkout/ramp?environment=production&reason=enough")
    after = api.manage("GET", "/v1/flags/new_checkout").json["states"]["production"]["ramp"]

    assert (first.status, second.status, stop.status) == (200, 409, 200)
    assert (ramp["target"], ramp["increment"], ramp["status"]) == ("60", "10", "running")
    assert (after["status"], after["reason"]) == ("stopped", "enough")


def test_the_audit_comes_in_pages_without_a_gap(api: DeployedApi) -> None:
    for percentage in (1, 2, 3, 4, 5):
        api.manage("PATCH", "/v1/flags/new_checkout", {"changes": {"percentage": percentage}})

    whole = api.manage("GET", "/v1/flag-audit?limit=100").json["entries"]
    pages: list[Any] = []
    before: int | None = None
    while True:
        more = f"&before={before}" if before else ""
        page = api.manage("GET", f"/v1/flag-audit?limit=2{more}").json
        pages += page["entries"]
        before = page["next"]
        if before is None or len(pages) >= len(whole):
            break

    versions = [one["version"] for one in pages]
    assert versions[: len(whole)] == [one["version"] for one in whole][: len(versions)]
    assert versions == sorted(set(versions), reverse=True)


def refused(answer: Answer, status: int) -> Any:
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == status
    return answer.json


def test_what_is_wrong_names_the_field_the_value_and_the_way_out(api: DeployedApi) -> None:
    told = refused(
        api.manage("PUT", "/v1/flags/x", {"flag": {"percentag": 5, "enabled": "yes"}}), 400
    )

    by_field = {one["field"]: one for one in told["problems"]}
    assert set(by_field) == {"flag.percentag", "flag.enabled"}
    assert "did you mean percentage?" in by_field["flag.percentag"]["way_out"]
    assert by_field["flag.enabled"]["value"] == "'yes'"


def test_a_misspelt_flag_is_a_404_with_a_suggestion(api: DeployedApi) -> None:
    told = refused(api.manage("POST", "/v1/flags/new_chekout/disable", {}), 404)

    assert "did you mean new_checkout?" in told["detail"]
