import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.local.balancer_health import matches
from greenlane.local.balancer_http import BadMessage, Body, Head, head_bytes

CHUNKED = b"4\r\nWiki\r\n6;x=y\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nTrailer: 1\r\n\r\n"


def head(*lines: str) -> Head:
    return Head.parse("\r\n".join(lines).encode())


@given(st.lists(st.integers(1, len(CHUNKED)), max_size=30))
def test_a_chunked_body_ends_at_its_end_however_it_is_cut(cuts: list[int]) -> None:
    body = Body(chunked=True)
    data = CHUNKED + b"HTTP/1.1 200 OK"
    edges = sorted({0, len(data), *cuts})
    taken = 0
    for start, end in zip(edges, edges[1:], strict=False):
        if not body.done:
            taken += body.take(data[start:end])

    assert body.done
    assert taken == len(CHUNKED)


def test_a_body_of_known_length_leaves_what_follows() -> None:
    body = Body.of_request(head("POST / HTTP/1.1", "Content-Length: 5"))

    assert body.take(b"hel") == 3
    assert not body.done
    assert body.take(b"loGET /") == 2
    assert body.done


@pytest.mark.parametrize(
    ("status", "method", "headers", "done", "until_close"),
    [
        ("200 OK", "HEAD", ["Content-Length: 5"], True, False),
        ("204 No Content", "GET", [], True, False),
        ("304 Not Modified", "GET", ["Content-Length: 5"], True, False),
        ("200 OK", "GET", ["Content-Length: 0"], True, False),
        ("200 OK", "GET", [], False, True),
        ("200 OK", "GET", ["Transfer-Encoding: chunked"], False, False),
    ],
)
def test_where_a_response_ends_follows_from_its_head(
    status: str, method: str, headers: list[str], done: bool, until_close: bool
) -> None:
    body = Body.of_response(head(f"HTTP/1.1 {status}", *headers), method)

    assert (body.done, body.until_close) == (done, until_close)


@pytest.mark.parametrize("raw", [b"", b"GET", b"GET / HTTP/1.1\r\nno colon"])
def test_a_malformed_head_is_refused(raw: bytes) -> None:
    with pytest.raises(BadMessage):
        Head.parse(raw)


def test_a_forwarded_head_loses_its_connection_headers_and_replaces_what_is_added() -> None:
    given_head = head(
        "GET / HTTP/1.1", "Host: a", "Connection: close", "X-Forwarded-For: 1.1.1.1", "Accept: b"
    )

    assert head_bytes(given_head, [b"X-Forwarded-For: 1.1.1.1, 2.2.2.2"]) == (
        b"GET / HTTP/1.1\r\nHost: a\r\nAccept: b\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("matcher", "status", "expected"),
    [
        ("200", "200", True),
        ("200", "201", False),
        ("200,302", "302", True),
        ("200-299", "204", True),
        ("200-299", "300", False),
        ("200", "20x", False),
    ],
)
def test_a_health_check_passes_on_the_codes_of_its_matcher(
    matcher: str, status: str, expected: bool
) -> None:
    assert matches(matcher, status) is expected
