"""A flag and a test of one name: whoever comes second is refused, unless nobody can know."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from greenlane.errors import Refused
from greenlane.experiments.names import TABLE
from greenlane.experiments.namesakes import check_new_flags, check_new_tests, names_of_tests
from greenlane.flags.http.admin_api import FlagsApi
from tests.experiment_store import Hands, Laboratory
from tests.flag_store import memory_store

DENIED: Any = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}


def test_the_names_of_all_tests_are_one_read() -> None:
    laboratory = Laboratory()
    assert names_of_tests(laboratory.table, TABLE) == frozenset()
    laboratory.begin("a")
    laboratory.begin("b")

    assert names_of_tests(laboratory.table, TABLE) == {"a", "b"}


def test_a_new_test_is_refused_and_one_that_was_there_first_is_not() -> None:
    with pytest.raises(Refused, match="checkout: there is a feature flag"):
        check_new_tests(["checkout", "other"], lambda: ["other"], lambda: ["checkout", "other"])

    check_new_tests(["checkout"], lambda: ["checkout"], lambda: ["checkout"])


def test_flags_are_not_read_where_no_test_is_new() -> None:
    def never() -> list[str]:
        raise AssertionError("read")

    check_new_tests(["checkout"], lambda: ["checkout"], never)


def test_a_new_flag_is_refused_and_one_that_was_there_first_is_not() -> None:
    told: list[str] = []
    with pytest.raises(Refused, match="checkout: there is an A/B test"):
        check_new_flags(["checkout", "x"], ["x"], lambda: ["checkout", "x"], told.append)

    check_new_flags(["checkout"], ["checkout"], lambda: ["checkout"], told.append)
    assert told == []


def test_flags_do_not_wait_for_tests_that_cannot_be_read() -> None:
    told: list[str] = []

    def fails() -> list[str]:
        raise ClientError(DENIED, "GetItem")

    check_new_flags(["checkout"], [], fails, told.append)

    assert "AccessDenied" in told[0]


def put_flag(api: FlagsApi, key: str) -> tuple[int, Any]:
    answer = api.answer(
        {
            "httpMethod": "PUT",
            "resource": "/v1/flags/{key}",
            "pathParameters": {"key": key},
            "body": json.dumps({"flag": {}}),
            "requestContext": {"stage": "production", "identity": {"userArn": "arn:ada"}},
        }
    )
    return answer["statusCode"], json.loads(answer["body"])


def test_over_http_a_flag_of_a_tests_name_is_a_conflict() -> None:
    store = memory_store()
    api = FlagsApi(store, Hands(), lambda: ["checkout"])

    status, told = put_flag(api, "checkout")

    assert (status, told["title"]) == (409, "Refused")
    assert put_flag(api, "banner")[0] == 200
    assert list(store.read().flags) == ["banner"]
