import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.incidents.log_patterns import LISTED, kind_of, looks_like_an_error, new_messages
from greenlane.incidents.report_model import LogLine, LogsRead


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("order 4711 failed after 3.5 s", "order <n> failed after <n> s"),
        ("2026-11-23T12:00:01.123Z ERROR x", "<time> ERROR x"),
        ("[23/Nov/2026:12:00:01 +0000] fail", "[<time>] fail"),
        ("id 6f1c1f0e-7a52-4f0e-9d5e-2f6f9a1b2c3d lost", "id <uuid> lost"),
        ("trace 5f2c9a77de01 error", "trace <hex> error"),
        ("at 0x7ffe12ab", "at <hex>"),
        ("from 10.0.3.17:8080 refused", "from <address> refused"),
        ("ada.l@example.com not found", "<email> not found"),
        ("key dGhpc0lzQUxvbmdLZXk5OTk5 bad", "key <id> bad"),
        ('{"level":"error","message":"no table 7"}', "no table <n>"),
        ('{"level": "error", "count": 7}', '{"level": "error", "count": <n>}'),
        ("{not json 7", "{not json <n>"),
        ("\x1b[31mERROR\x1b[0m red", "ERROR red"),
        (
            "GET https://api.x/v1/things?token=abc failed",
            "GET https://api.x/v1/things?<query> failed",
        ),
        ("postgres://ada:pw@db:5432/x refused", "postgres://<secret>@db:<n>/x refused"),
        ("password=hunter2 rejected", "password=<secret> rejected"),
        ('"api_key": "abc def", failed', '"api_key": <secret>, failed'),
        ("Authorization: Bearer abcdef123456", "Authorization: <secret> <secret>"),
        ("bad eyJhbGciOi.eyJzdWIi.c2ln", "bad <token>"),
        ("AKIAIOSFODNN7EXAMPLE denied", "<key> denied"),
        ("session timeout of http2 v3", "session timeout of http2 v3"),
    ],
)
def test_what_differs_or_is_secret_is_replaced_by_its_kind(line, kind):
    assert kind_of(line) == kind


@given(st.text(max_size=500))
def test_any_line_has_a_kind_on_one_line(line):
    kind = kind_of(line)
    assert "\n" not in kind
    assert len(kind) <= 300


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_lines_that_differ_in_numbers_only_are_one_kind(one, two):
    assert kind_of(f"order {one} failed") == kind_of(f"order {two} failed")


def lines(*messages, stream="web/a"):
    return tuple(LogLine(stream=stream, message=message) for message in messages)


def read(candidate, reference=()):
    return LogsRead(groups=("g",), compared_with="it", candidate=candidate, reference=reference)


def test_only_what_the_other_side_did_not_write_is_new_the_most_frequent_first():
    found = new_messages(
        read(
            lines("error a 1", "error b", "error b", "error known 7", "all is well"),
            lines("error known 9", stream="web/z"),
        )
    )
    assert [(message.text, message.count) for message in found.new] == [
        ("error b", 2),
        ("error a <n>", 1),
    ]
    assert (found.lines_read, found.known_messages) == (5, 1)


def test_messages_are_counted_over_tasks():
    found = new_messages(read(lines("error") + lines("error", stream="web/b")))
    assert (found.new[0].count, found.new[0].tasks) == (2, 2)


def test_no_more_than_some_are_listed_and_the_rest_is_counted():
    found = new_messages(read(lines(*(f"error {chr(97 + n)}x" for n in range(LISTED + 3)))))
    assert (len(found.new), found.more) == (LISTED, 3)


@pytest.mark.parametrize(
    ("line", "worth"),
    [("ERROR", True), ("Traceback (most", True), ("request failed", True), ("GET / 200", False)],
)
def test_what_is_worth_reading(line, worth):
    assert looks_like_an_error(line) is worth
