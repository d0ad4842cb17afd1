"""Rollouts and migrations over HTTP, through the gateway and functions that the template made."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from greenlane.migrations.guarding.plans import bucket_name, plan_key
from tests.flag_api import Answer, DeployedApi
from tests.migrated import ACCOUNT, PLAN
from tests.on_record import ROLLED
from tests.region_town import regions_file

WANTED = {"service": "shop", "version": "1.4.2", "regions": json.loads(regions_file(3))["regions"]}
PHASE = {"database": "people", "phase": "migrate", "reason": "release 2.4"}


def keyed(api: DeployedApi, path: str, content: Any, key: str) -> Answer:
    return api.manage("POST", path, content, headers={"Idempotency-Key": key})


def executions(api: DeployedApi, machine: str) -> list[str]:
    client = api.cloud.client("stepfunctions")
    (arn,) = [
        one["stateMachineArn"]
        for one in client.list_state_machines()["stateMachines"]
        if one["name"] == machine
    ]
    found = client.list_executions(stateMachineArn=arn)["executions"]
    return [one["name"] for one in found]


def test_many_who_send_the_same_at_once_begin_one_rollout(api: DeployedApi) -> None:
    assert api.manage("GET", "/v1/rollouts").status == 200  # what follows is no cold start
    with ThreadPoolExecutor(4) as threads:
        sent = [threads.submit(keyed, api, "/v1/rollouts", WANTED, "build-17") for _ in range(8)]
        answers = [one.result() for one in sent]
    again = keyed(api, "/v1/rollouts", WANTED, "build-17")
    other = keyed(api, "/v1/rollouts", WANTED | {"version": "1.4.3"}, "build-17")
    view = api.manage("GET", "/v1/rollouts/shop").json["rollout"]

    done = [one for one in answers if one.status != 503]  # nobody is told otherwise
    wrong = [(one.status, one.body) for one in done if one.status not in (200, 201)]
    assert wrong == []
    assert {one.json["rollout_id"] for one in done} == {"shop-build-17"}
    assert (again.status, again.json["plan"]) == (200, view_of(done)["plan"])
    assert (other.status, other.json["title"]) == (422, "IdempotencyKeyReused")
    assert executions(api, "greenlane-regions").count("shop-build-17-v0") == 1
    assert (view["rollout_id"], view["request"]["version"]) == ("shop-build-17", "1.4.2")


def view_of(answers: list[Answer]) -> Any:
    """What all of them say."""
    first = {**answers[0].json, "already": False}
    assert all({**one.json, "already": False} == first for one in answers)
    return first


def test_a_wish_is_kept_with_whoever_signed_it(api: DeployedApi) -> None:
    service = next(name for name, phase in ROLLED.items() if phase == "succeeded")

    taken = api.manage("POST", f"/v1/rollouts/{service}/rollback", {"reason": "wrong prices"})
    view = api.manage("GET", f"/v1/rollouts/{service}").json

    assert (taken.status, taken.json["asked"]) == (200, "rollback")
    assert (view["wish"]["name"], view["wish"]["reason"]) == ("rollback", "wrong prices")
    assert view["wish"]["by"].startswith(f"arn:aws:iam::{ACCOUNT}:")
    assert executions(api, "greenlane-regions")  # nobody was at work on it any more


def test_a_phase_of_a_kept_plan_is_started_once(api: DeployedApi) -> None:
    manifest = {**cast(dict[str, Any], PLAN["manifest"]), "database": "people"}
    sha = "c" * 64
    api.cloud.client("s3").put_object(
        Bucket=bucket_name(ACCOUNT, "eu-west-1"),
        Key=plan_key(sha),
        Body=json.dumps({**PLAN, "manifest": manifest}).encode(),
    )

    first = keyed(api, "/v1/migrations", PHASE | {"plan": sha}, "r-1")
    again = keyed(api, "/v1/migrations", PHASE | {"plan": sha}, "r-1")
    unknown = keyed(api, "/v1/migrations", PHASE | {"plan": "d" * 64}, "r-2")

    assert (first.status, again.status) == (201, 200), first.json
    assert first.json == again.json
    assert first.json["files"] == ["0002_fill_name"]
    assert executions(api, "greenlane-migration") == ["people-migrate-r-1"]
    assert unknown.status == 400
    assert "no such plan" in unknown.json["detail"]
