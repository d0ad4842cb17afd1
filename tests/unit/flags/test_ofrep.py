"""OFREP answers, by the table of what its published clients accept."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.flags.http.ofrep import MAX_BODY_BYTES, Ofrep
from tests.unit.flags.flagging import NOW, engine, flag, rule
from tests.unit.flags.ofrep_asking import FLAGS, ask, context, event


def test_an_answer_has_key_value_reason_variant_and_flat_metadata() -> None:
    status, headers, body = ask(context(targetingKey="user-3"), "share")

    assert (status, headers["content-type"]) == (200, "application/json")
    assert body == {
        "key": "share",
        "value": body["value"],
        "reason": "SPLIT",
        "variant": "on",
        "metadata": {"owner": "team", "ruleId": "beta", "bucket": body["metadata"]["bucket"]},
    }
    assert body["value"] is True
    assert 0 <= body["metadata"]["bucket"] < 50_000


def test_a_flag_that_is_off_has_no_value_so_that_the_codes_default_counts() -> None:
    status, _, body = ask(key="gone")

    assert status == 200
    assert body == {"key": "gone", "reason": "DISABLED", "variant": "off", "metadata": {}}


def test_old_clients_can_be_told_the_off_variants_value() -> None:
    _, _, body = ask(key="gone", ofrep=Ofrep(off_variant=True))

    assert (body["value"], body["reason"]) == (False, "DISABLED")


def test_a_flag_that_is_off_is_never_told_as_on() -> None:
    """Whoever is not served by it may get `on`; a kill switch leaves them the code's default."""
    killed = engine({"open": flag(on=False, off="on")})

    _, _, body = ask(key="open", flags=killed, ofrep=Ofrep(off_variant=True))

    assert body["reason"] == "DISABLED"
    assert "value" not in body


def test_a_number_has_a_decimal_point_where_any_variant_is_a_fraction() -> None:
    flags = engine(
        {
            "fraction": flag(rule(), variants={"on": 1, "off": 0.5}, type="number"),
            "whole": flag(rule(), variants={"on": 1, "off": 0}, type="number"),
        }
    )
    texts = [Ofrep().answer(event(context(), k), flags, False, NOW)["body"] for k in flags.flags]

    assert '"value":1.0,' in texts[0]
    assert '"value":1,' in texts[1]


def test_texts_numbers_and_objects_are_answered_as_they_are() -> None:
    assert [ask(key=key)[2]["value"] for key in ("text", "whole", "fraction", "object")] == [
        "nein",
        0,
        0.5,
        {"a": [1]},
    ]


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        ("nothing", 404, "FLAG_NOT_FOUND"),
        ("a/b", 404, "FLAG_NOT_FOUND"),
        ("share", 400, "TARGETING_KEY_MISSING"),
        ("broken", 400, "PARSE_ERROR"),
    ],
)
def test_every_error_of_a_flag_has_key_code_and_details(key: str, status: int, code: str) -> None:
    found, _, body = ask(context(), key)

    assert (found, body["key"], body["errorCode"]) == (status, key, code)
    assert body["errorDetails"]
    assert set(body) == {"key", "errorCode", "errorDetails"}


def test_a_key_is_decoded_as_urls_encode_it() -> None:
    assert ask(key="a%20b%2Fc")[2]["key"] == "a b/c"


def test_all_flags_are_told_and_one_that_fails_is_an_item() -> None:
    status, headers, body = ask(context(plan="premium"))

    by_key = {one["key"]: one for one in body["flags"]}
    assert status == 200
    assert headers["etag"].strip('"')
    assert sorted(by_key) == sorted(FLAGS.flags)
    assert by_key["share"]["errorCode"] == "TARGETING_KEY_MISSING"
    assert by_key["broken"]["errorDetails"]
    assert (by_key["premium"]["value"], by_key["premium"]["reason"]) == (True, "TARGETING_MATCH")
    assert body["metadata"] == {"version": "7", "environment": "production"}


def test_answers_that_may_be_old_say_so_and_errors_stay_errors() -> None:
    assert ask(key="plain", stale=True)[2]["reason"] == "STALE"
    assert ask(key="nothing", stale=True)[0] == 404
    reasons = {one.get("reason") for one in ask(stale=True)[2]["flags"]}
    assert reasons == {"STALE", None}


@pytest.mark.parametrize("key", [None, "plain"])
def test_without_a_snapshot_nothing_is_on_and_clients_come_back_later(key: str | None) -> None:
    status, headers, body = ask(key=key, flags=None)

    assert (status, body["errorCode"]) == (503, "GENERAL")
    assert headers["retry-after"].isdecimal()
    assert "value" not in body


@pytest.mark.parametrize("key", [None, "plain"])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "PARSE_ERROR"),
        ("{", "PARSE_ERROR"),
        ("[]", "PARSE_ERROR"),
        ("null", "PARSE_ERROR"),
        ('"text"', "PARSE_ERROR"),
        ('{"context": {"x": NaN}}', "PARSE_ERROR"),
        ("[" * 30_000, "PARSE_ERROR"),
        ("1" * 10_000, "PARSE_ERROR"),
        ('{"context": null}', "INVALID_CONTEXT"),
        ('{"context": []}', "INVALID_CONTEXT"),
        ('{"context": {"targetingKey": {}}}', "INVALID_CONTEXT"),
        ('{"context": {"targetingKey": true}}', "INVALID_CONTEXT"),
        ('{"context": {"targetingKey": 1.5}}', "INVALID_CONTEXT"),
    ],
    ids=range(13),
)
def test_a_body_that_is_wrong_is_a_400_that_says_how_it_should_be(
    body: str, code: str, key: str | None
) -> None:
    status, headers, told = ask(body, key)

    assert (status, told["errorCode"]) == (400, code)
    assert "send" in told["errorDetails"]
    assert ("key" in told) == (key is not None)
    assert headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("body", ["{}", '{"context": {}}', '{"context": {"targetingKey": null}}'])
def test_a_context_may_be_left_out(body: str) -> None:
    assert ask(body, "plain")[2]["value"] is True


def test_a_wrong_request_is_told_even_while_there_is_no_snapshot() -> None:
    assert ask("{", "plain", flags=None)[0] == 400


@pytest.mark.parametrize("encoded", [False, True])
def test_a_body_longer_than_64_kib_is_refused_and_one_as_long_is_not(encoded: bool) -> None:
    def sized(size: int) -> str:
        text = json.dumps({"context": {"x": ""}})
        return text.replace('""', f'"{"x" * (size - len(text))}"')

    def asked(size: int) -> int:
        text = sized(size)
        body = base64.b64encode(text.encode()).decode() if encoded else text
        return ask(body, "plain", isBase64Encoded=encoded)[0]

    assert [asked(MAX_BODY_BYTES + more) for more in (0, 1, MAX_BODY_BYTES * 3)] == [200, 413, 413]


def test_bytes_count_and_not_characters() -> None:
    assert ask(json.dumps(context(x="ü" * 40_000), ensure_ascii=False), "plain")[0] == 413


def test_base64_that_is_none_is_a_400() -> None:
    assert ask("a", "plain", isBase64Encoded=True)[0] == 400


def test_other_methods_are_refused_by_name() -> None:
    status, headers, body = ask(key="plain", httpMethod="GET")

    assert (status, headers["allow"]) == (405, "POST, OPTIONS")
    assert body["errorDetails"] == "use one of POST, OPTIONS"


def test_pages_may_read_the_answers_and_their_etag() -> None:
    _, headers, _ = ask(ofrep=Ofrep(origin="https://shop.example"))

    assert headers["access-control-allow-origin"] == "https://shop.example"
    assert headers["access-control-expose-headers"] == "ETag, Retry-After"


@given(st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "replace")))
def test_whatever_is_sent_is_answered(body: str) -> None:
    for key in (None, "share", body):
        status, _, told = ask(body, key)
        assert status in (200, 400, 404)
        assert told


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["targetingKey", "plan", "x"]), JSON))
def test_whatever_the_context_holds_every_flag_is_answered_in_the_protocols_words(
    known: dict[str, Any],
) -> None:
    status, _, body = ask({"context": known})

    if status == 400:
        assert body["errorCode"] == "INVALID_CONTEXT"
        return
    assert len(body["flags"]) == len(FLAGS.flags)
    for one in body["flags"]:
        if "errorCode" not in one:
            assert isinstance(one["variant"], str)
            assert one["reason"] in {"STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "DEFAULT"}
            assert all(not isinstance(value, dict | list) for value in one["metadata"].values())
