"""A/B tests over HTTP as services and people use them: one life of a test, counted exactly once."""

import threading
from typing import Any

import pytest

from greenlane.experiments.counting.reading import read_snapshot
from greenlane.experiments.dealing import Deals
from greenlane.experiments.names import TABLE
from tests.api.conftest import FLAGS
from tests.flag_api import DeployedApi

LIFE = {
    "variants": {"control": 50, "treatment": 50},
    "metrics": ["conversion_rate"],
    "minimum_sample_size": 10,
    "maximum_duration": "14d",
}


@pytest.fixture(autouse=True)
def _flags(api: DeployedApi) -> None:
    api.put(FLAGS)


def begun(api: DeployedApi, name: str, **keys: Any) -> None:
    body = {"name": name, "experiment": {**LIFE, **keys}, "start": True, "reason": "a test"}
    answer = api.manage("POST", "/v1/experiments", body)
    assert (answer.status, answer.json["status"]) == (200, "running"), answer.json


def dealt(api: DeployedApi, name: str, variant: str, count: int) -> list[str]:
    """Users whom the stored weights give a variant."""
    deals, now = Deals(api.experiments.snapshot()), api.cloud.clock.now().timestamp()
    found: list[str] = []
    for number in range(10_000):
        one = deals.deal(name, {"targetingKey": f"user-{number}"}, now)
        if one is not None and one.variant == variant and one.takes_part:
            found.append(f"user-{number}")
        if len(found) == count:
            return found
    raise AssertionError("too few")


def event(name: str, unit: str, id: str, **more: Any) -> dict[str, Any]:
    given = {"test": name, "unit": unit, "metric": "conversion_rate", "event_id": id}
    return {**given, **more}


def looked_up(api: DeployedApi, name: str, variant: str, unit: str) -> Any:
    told = api.look_up_fresh(f"/{name}", {"targetingKey": unit})
    assert told["variant"] == variant, told
    return told


def test_one_life_of_a_test(api: DeployedApi) -> None:
    begun(api, "life")
    treated, untreated = (dealt(api, "life", one, 8) for one in ("treatment", "control"))

    told = looked_up(api, "life", "treatment", treated[0])
    assigned = api.tell("/v1/assignments/life", {"context": {"targetingKey": treated[0]}}).json
    assert told["metadata"]["takesPart"]
    assert (assigned["variant"], assigned["epoch"]) == ("treatment", told["metadata"]["epoch"])
    assert api.manage("GET", "/v1/experiments/life/results").json["users"] == {
        "control": 0,
        "treatment": 0,
    }

    units = treated + untreated
    exposures = [{"test": "life", "unit": unit} for unit in units]
    events = [event("life", unit, "e1") for unit in treated[:6] + untreated[:2]]
    for path, content in (
        ("/v1/exposures", {"exposures": exposures}),
        ("/v1/events", {"events": events}),
        ("/v1/exposures", {"exposures": exposures}),
        ("/v1/events", {"events": events}),
    ):
        assert api.tell(path, content).json["retry"] == 0
    results = api.manage("GET", "/v1/experiments/life/results").json
    effect = results["effects"]["conversion_rate"]["treatment"]
    assert results["users"] == {"control": 8, "treatment": 8}
    assert (effect["control"], effect["treatment"]) == (2 / 8, 6 / 8)

    change = {"weights": {"control": 99, "treatment": 1}, "reason": "careful"}
    etag = api.manage("GET", "/v1/experiments/life").headers["etag"]
    changed = api.manage("PATCH", "/v1/experiments/life", change, headers={"If-Match": etag})
    late = api.manage("PATCH", "/v1/experiments/life", change, headers={"If-Match": etag})
    assert (changed.status, late.status) == (200, 412)
    told = looked_up(api, "life", "treatment", treated[0])
    assert (told["metadata"]["why"], told["metadata"]["epoch"]) == ("recorded", 0)

    stop = {"reason": "enough", "serve": "treatment"}
    assert api.manage("POST", "/v1/experiments/life/stop", stop).json["verdict"] == "stopped"
    served = looked_up(api, "life", "treatment", untreated[0])
    assert (served["reason"], served["metadata"]["why"]) == ("STATIC", "served")
    audit = api.manage("GET", "/v1/experiments/life/audit").json["entries"]
    assert [one["reason"] for one in audit] == ["enough", "careful", "a test"]


def test_requests_that_overlap_count_once(api: DeployedApi) -> None:
    """Each of eight senders sends all of it, as clients do that lost an answer."""
    begun(api, "overlap")
    units = dealt(api, "overlap", "treatment", 6)
    exposures = [{"test": "overlap", "unit": unit} for unit in units]
    events = [event("overlap", unit, f"e{number}") for unit in units for number in range(3)]
    left: list[int] = []

    def sends() -> None:
        for path, content in (
            ("/v1/exposures", {"exposures": exposures}),
            ("/v1/events", {"events": events}),
        ):
            for _ in range(20):
                answer = api.tell(path, content)
                if answer.status == 200 and answer.json["retry"] == 0:
                    break
            else:
                left.append(answer.status)

    threads = [threading.Thread(target=sends) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    test = api.experiments.test("overlap")
    client = api.cloud.client("dynamodb")
    snapshot = read_snapshot(client, TABLE, test, api.cloud.clock.now())
    (arm,) = snapshot.arms("conversion_rate", "treatment")
    assert left == []
    assert (snapshot.users("treatment"), arm.moments.seen) == (6, 6)
    assert arm.moments.y == 6 * 10**6  # whether a user did it, not how often


def test_a_flag_and_a_test_of_one_name_are_refused_over_http(api: DeployedApi) -> None:
    taken = api.manage("PUT", "/v1/experiments/banner", {"experiment": LIFE})
    hidden = api.manage("PUT", "/v1/flags/checkout", {"flag": {}})

    assert (taken.status, hidden.status) == (409, 409)
    assert "A/B test of this name" in hidden.json["detail"]


def test_bulk_lookups_have_tests_beside_flags_and_one_etag(api: DeployedApi) -> None:
    user = {"targetingKey": "user-1"}
    first = api.look_up("", user)
    same = api.look_up("", user, if_none_match=first.headers["etag"])
    keys = {one["key"] for one in first.json["flags"]}

    assert {"new_checkout", "banner", "gone", "checkout", "targeted"} <= keys
    assert (same.status, same.body) == (304, b"")


def test_a_page_may_read_what_became_of_its_events(api: DeployedApi) -> None:
    answer = api.tell("/v1/events", {"events": [event("checkout", "user-1", "e1")]})

    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "no-store"
