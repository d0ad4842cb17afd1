"""`openfeature-provider-ofrep` against the API of the local cloud."""

from collections.abc import Iterator
from typing import Any

import pytest
from openfeature import api as openfeature
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

from tests.flag_api import DeployedApi


def client_of(url: str, key: str) -> OpenFeatureClient:
    provider = OFREPProvider(url, headers_factory=lambda: {"x-api-key": key}, timeout=60)
    openfeature.set_provider_and_wait(provider)
    return openfeature.get_client()


@pytest.fixture
def client(api: DeployedApi) -> Iterator[OpenFeatureClient]:
    yield client_of(api.url, api.key)
    openfeature.shutdown()


def user(key: str | None = "user-1", **known: Any) -> EvaluationContext:
    return EvaluationContext(key, known)


def test_booleans_with_reason_variant_and_metadata(client: OpenFeatureClient) -> None:
    found = client.get_boolean_details("premium", False, user(plan="premium"))

    assert (found.value, found.variant, found.reason) == (True, "on", "TARGETING_MATCH")
    assert found.flag_metadata == {"owner": "checkout", "tier": 2, "ruleId": "rollout"}
    assert found.error_code is None
    assert client.get_boolean_value("premium", True, user(plan="free")) is False


def test_texts(client: OpenFeatureClient) -> None:
    assert client.get_string_value("text", "mine", user(country="de")) == "hallo"
    assert client.get_string_value("text", "mine", user()) == "hello"


def test_whole_numbers_are_integers_and_fractions_floats(client: OpenFeatureClient) -> None:
    for plan, whole, fraction in (("premium", 3, 2.5), ("free", 1, 1.0)):
        numbers = client.get_integer_details("whole", -1, user(plan=plan))
        fractions = client.get_float_details("fraction", -1.0, user(plan=plan))
        assert (numbers.value, numbers.error_code) == (whole, None)
        assert (fractions.value, fractions.error_code) == (fraction, None)


def test_objects(client: OpenFeatureClient) -> None:
    found = client.get_object_details("object", {}, user())

    assert found.value == {"title": "Neu", "sizes": [1, 2.5], "on": True}
    assert found.error_code is None


def test_a_flag_that_is_off_gives_the_codes_default_without_an_error(
    client: OpenFeatureClient,
) -> None:
    for key in ("off", "elsewhere"):
        for default in (True, False):
            found = client.get_boolean_details(key, default, user())
            assert (found.value, found.reason, found.error_code) == (default, "DISABLED", None)


def test_errors_keep_their_codes_and_give_the_codes_default(client: OpenFeatureClient) -> None:
    found = {
        "unknown": client.get_boolean_details("unknown", True, user()),
        "keyless": client.get_boolean_details("half", True, user(None)),
        "mismatch": client.get_boolean_details("text", True, user()),
    }

    codes = {name: str(one.error_code and one.error_code.value) for name, one in found.items()}
    assert codes == {
        "unknown": "FLAG_NOT_FOUND",
        "keyless": "TARGETING_KEY_MISSING",
        "mismatch": "TYPE_MISMATCH",
    }
    assert all(one.value is True for one in found.values())
    assert found["keyless"].error_message == "a share of users needs context.targetingKey"


def test_without_any_context_it_is_answered(client: OpenFeatureClient) -> None:
    assert client.get_string_value("text", "mine") == "hello"


def test_other_keys_are_other_users_and_the_same_key_is_the_same(
    client: OpenFeatureClient,
) -> None:
    def served() -> list[bool]:
        return [client.get_boolean_value("half", False, user(f"user-{n}")) for n in range(40)]

    first = served()
    assert 8 <= sum(first) <= 32
    assert served() == first


def test_another_api_key_is_refused_and_gives_the_codes_default(api: DeployedApi) -> None:
    found = client_of(api.url, "x" * 40).get_boolean_details("premium", True, user())

    assert (found.value, found.error_code and found.error_code.value) == (True, "GENERAL")


def test_a_new_api_key_works_as_the_old_one(api: DeployedApi) -> None:
    gateway = api.cloud.client("apigateway")
    (plan,) = gateway.get_usage_plans()["items"]
    made = gateway.create_api_key(name="rotated", enabled=True)
    gateway.create_usage_plan_key(usagePlanId=plan["id"], keyId=made["id"], keyType="API_KEY")
    key = api.cloud.gateway.key("rotated")

    client = client_of(api.url, key)
    assert client.get_string_value("text", "mine", user()) == "hello"

    gateway.delete_api_key(apiKey=made["id"])
    assert client.get_string_value("text", "mine", user()) == "mine"
