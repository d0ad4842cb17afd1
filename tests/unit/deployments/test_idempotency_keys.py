"""`Idempotency-Key`: the same key and body begin once, whatever happens between."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier, Lock
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from greenlane.errors import IdempotencyKeyReused, InvalidInput, Refused, Unsigned
from greenlane.http.idempotency import Beginning, Once, digest_of
from greenlane.http.rest import Request, Response, problem
from greenlane.pipelines.book import Book
from tests.fakes import error
from tests.table import Table

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ADA, JO = "arn:aws:iam::123456789012:user/ada", "arn:aws:iam::123456789012:user/jo"
TABLE = "greenlane-deployments"


class Began(BaseModel):
    id: str
    by: str


class Doors:
    """A table, and a start that counts; `failing` are raised one after the other, None is none."""

    def __init__(self, *failing: Exception | None) -> None:
        self.book = Book(Table(TABLE), TABLE)
        self.once = Once("startDeployment", "deployment", Began)
        self.seen: list[Beginning] = []
        self.begun: dict[str, str] = {}
        self._failing, self._lock = list(failing), Lock()

    def send(
        self, asked: Any = "one", key: str | None = "k-1", by: str | None = ADA, part: str = "shop"
    ) -> Response:
        headers = {} if key is None else {"idempotency-key": key}
        request = Request("POST", "/v1/deployments", headers=headers, user=by)
        return self.once.begin(
            request, self.book, NOW, asked=asked, parts=(part,), start=self._start
        )

    def _start(self, beginning: Beginning) -> Began:
        with self._lock:
            self.seen.append(beginning)
            if self._failing and (failure := self._failing.pop(0)) is not None:
                raise failure
            name = beginning.id or f"new-{len(self.begun)}"
            self.begun.setdefault(name, beginning.by)
            return Began(id=name, by=beginning.by)


def told(response: Response) -> tuple[int, Any]:
    assert isinstance(response.content, BaseModel)
    return response.status, response.content.model_dump()


def test_the_first_is_201_and_each_repeat_200_with_the_same_answer() -> None:
    doors = Doors()
    first, second, third = doors.send(), doors.send(), doors.send(by=JO)

    assert told(first) == (201, {"id": "shop-k-1", "by": ADA})
    assert told(second) == told(third) == (200, {"id": "shop-k-1", "by": ADA})
    assert len(doors.seen) == 1


def test_without_a_key_each_request_begins_something_new() -> None:
    doors = Doors()
    assert [told(doors.send(key=None))[0] for _ in range(3)] == [201, 201, 201]
    assert len(doors.begun) == 3
    assert {one.id for one in doors.seen} == {None}


def test_the_same_key_with_another_request_is_refused_with_both_ways_out() -> None:
    doors = Doors()
    doors.send("one")
    with pytest.raises(IdempotencyKeyReused) as refused:
        doors.send("another", part="another-service")

    answer = problem(refused.value)
    assert answer.status == 422
    said = str(refused.value)
    assert "Idempotency-Key: 'k-1'" in said
    assert "send that request" in said
    assert "another key" in said
    assert len(doors.begun) == 1


def test_what_was_refused_may_be_sent_again_under_its_key() -> None:
    doors = Doors(Refused("in flight"), InvalidInput("service", "x", "apply it"))
    with pytest.raises(Refused):
        doors.send()
    with pytest.raises(InvalidInput):
        doors.send()
    assert told(doors.send(by=JO)) == (201, {"id": "shop-k-1", "by": JO}), "who begins it asked"
    assert told(doors.send())[0] == 200
    assert [one.again for one in doors.seen] == [False, True, True], "others may be at it"


def test_after_a_try_that_was_cut_off_the_same_id_is_begun_and_its_asker_is_the_first() -> None:
    doors = Doors(error("InternalServerError"))
    with pytest.raises(ClientError):
        doors.send()
    assert told(doors.send(by=JO)) == (200, {"id": "shop-k-1", "by": ADA})
    assert [one.again for one in doors.seen] == [False, True]


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 65, "a/b", "a:b"])
def test_a_key_that_is_none_is_refused_by_its_header(key: str) -> None:
    with pytest.raises(InvalidInput, match="Idempotency-Key"):
        Doors().send(key=key)


def test_nobody_begins_anything_unsigned_nor_hears_what_others_began() -> None:
    doors = Doors()
    for key in ("k-1", None):
        with pytest.raises(Unsigned):
            doors.send(key=key, by=None)
    assert doors.begun == {}
    doors.send()
    with pytest.raises(Unsigned):
        doors.send(by=None)


@settings(max_examples=40, deadline=None)
@given(
    bodies=st.lists(st.sampled_from(["one", "two", "three"]), min_size=1, max_size=8),
    failures=st.lists(st.sampled_from(["none", "refused", "cut off"]), max_size=4),
    key=st.text("abcXYZ019._-", min_size=1, max_size=64),
)
def test_one_key_begins_one_thing_however_often_and_at_once_it_is_sent(
    bodies: list[str], failures: list[str], key: str
) -> None:
    kinds = {"none": None, "refused": Refused("no"), "cut off": error("InternalServerError")}
    doors = Doors(*(kinds[name] for name in failures))
    together = Barrier(len(bodies))

    def one(body: str) -> tuple[str, int, Any]:
        together.wait(10)
        try:
            return body, *told(doors.send(body, key))
        except IdempotencyKeyReused:
            return body, 422, None
        except (Refused, ClientError):
            return body, 0, None

    with ThreadPoolExecutor(len(bodies)) as pool:
        found = list(pool.map(one, bodies))
    found += [one_after for body in bodies for one_after in [_after(doors, body, key)]]

    winners = {body for body, status, _ in found if status in (200, 201)}
    assert len(winners) <= 1
    assert len(doors.begun) <= 1
    answers = {str(answer) for _, status, answer in found if status in (200, 201)}
    assert len(answers) <= 1
    assert all(status == 422 for body, status, _ in found if winners and body not in winners)


def _after(doors: Doors, body: str, key: str) -> tuple[str, int, Any]:
    try:
        return body, *told(doors.send(body, key))
    except IdempotencyKeyReused:
        return body, 422, None
    except (Refused, ClientError):
        return body, 0, None


def test_a_request_that_no_execution_could_be_given_is_refused_before_anything_is_kept() -> None:
    doors = Doors()
    request = Request("POST", "/v1/deployments", body=b" " * 65_537, user=ADA)
    with pytest.raises(InvalidInput, match="send at most 65536"):
        doors.once.begin(request, doors.book, NOW, asked="one", parts=("shop",), start=doors._start)
    assert doors.seen == []


class Asked(BaseModel):
    service: str
    reason: str = ""


class AskedLater(Asked):
    urgent: bool = False


def test_the_same_request_is_the_same_after_an_upgrade_that_knows_a_key_more() -> None:
    before, after = Asked(service="shop"), AskedLater(service="shop")
    assert digest_of(before) == digest_of(after)
    assert digest_of(AskedLater(service="shop", urgent=True)) != digest_of(before)


def test_a_long_key_makes_an_id_that_executions_may_have() -> None:
    doors = Doors()
    _, first = told(doors.send(key="x" * 63 + "1", part="s" * 40))
    _, second = told(doors.send(key="x" * 63 + "2", part="s" * 40))
    assert first["id"] != second["id"]
    assert max(len(one["id"]) for one in (first, second)) <= 60
