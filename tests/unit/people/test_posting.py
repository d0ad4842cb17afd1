"""One POST: limited in time and size, certificates checked, no redirect followed."""

import contextlib
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from greenlane import __version__
from greenlane.people import posting
from greenlane.people.channel import Untold
from tests.unit.people.server import Server

SECRET = "T000-very-secret-part"


def refused(url: str) -> Untold:
    with pytest.raises(Untold) as caught:
        posting.post(url, b"{}", {})
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None, "an exception behind it may quote the address"
    return caught.value


def test_body_headers_path_and_query_arrive_as_given(server: Server) -> None:
    answer = posting.post(f"{server.url}/a/b?c=d", b'{"x": 1}', {"Greenlane-Signature": "t=1"})
    (got,) = server.got
    assert (answer.status, answer.body) == (200, b"ok")
    assert (got.path, got.body) == ("/a/b?c=d", b'{"x": 1}')
    assert got.headers["Greenlane-Signature"] == "t=1"
    assert got.headers["Content-Type"] == "application/json; charset=utf-8"
    assert got.headers["User-Agent"] == f"greenlane/{__version__}"


def test_a_redirect_is_an_answer(server: Server) -> None:
    server.answer = 307
    assert posting.post(f"{server.url}/here", b"{}", {}).status == 307
    assert [got.path for got in server.got] == ["/here"]


def test_a_large_answer_is_read_in_part(server: Server) -> None:
    server.answer = (200, b"x" * 1_000_000)
    assert len(posting.post(server.url, b"{}", {}).body) == posting.LARGEST_ANSWER


def test_a_server_that_says_nothing_is_left_in_time(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "ANSWER_SECONDS", 0.4)
    server.answer = "hang"
    began = time.monotonic()
    error = refused(f"{server.url}/{SECRET}")
    assert time.monotonic() - began < 5
    assert error.again


def test_a_server_that_drips_is_left_in_time_with_what_it_said(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "ANSWER_SECONDS", 0.4)
    server.answer = "drip"
    began = time.monotonic()
    answer = posting.post(server.url, b"{}", {})
    assert time.monotonic() - began < 5
    assert answer.status == 200
    assert answer.body.strip(b".") == b""


def test_the_deadline_is_over_the_handshake_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that drips what is no TLS yet: no time-out of a socket ends that."""
    monkeypatch.setattr(posting, "ANSWER_SECONDS", 0.4)
    over = threading.Event()

    def drip(listening: socket.socket) -> None:
        taken, _ = listening.accept()
        with taken, contextlib.suppress(OSError):
            taken.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KiB, byte by byte
            while not over.wait(0.05):
                taken.sendall(b"\x02")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening,))
        thread.start()
        began = time.monotonic()
        error = refused(f"https://127.0.0.1:{listening.getsockname()[1]}/{SECRET}")
        assert time.monotonic() - began < 5
        over.set()
        thread.join()
    assert error.again


def test_the_deadline_is_over_the_look_up_of_the_name_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(posting, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(posting, "CUT_SECONDS", 0.1)
    over = threading.Event()

    def look_up(*_: object, **__: object) -> list[object]:
        over.wait(10)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    error = refused(f"https://example.com/{SECRET}")
    over.set()
    assert (error.again, error.why) == (True, "no answer from example.com: TimeoutError")


def test_a_server_that_is_not_there_may_be_later() -> None:
    error = refused(f"http://127.0.0.1:9/{SECRET}")
    assert error.again
    assert error.why == "no answer from 127.0.0.1: ConnectionRefusedError"


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://example.com/{SECRET}",
        f"//example.com/{SECRET}",
        f"http:///{SECRET}",
        f"http://example.com:port/{SECRET}",
        f"http://[::1/{SECRET}",
        f"http://example.com/{SECRET} x",
        f"http://example.com/{SECRET}\r\nX: y",
        f"http://example.com/é{SECRET}",
    ],
)
def test_what_is_no_address_is_refused_for_good(url: str) -> None:
    assert not refused(url).again


def test_a_header_that_is_none_names_nothing(server: Server) -> None:
    with pytest.raises(Untold) as caught:
        posting.post(server.url, b"{}", {"Authorization": f"Bearer {SECRET}\n"})
    assert caught.value.why == "no answer from 127.0.0.1: ValueError"
    assert caught.value.__context__ is None


def certificate(folder: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain
    ) + made.public_bytes(serialization.Encoding.PEM)
    (folder / "server.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    server = Server(certificate(tmp_path))
    try:
        error = refused(f"https://127.0.0.1:{server.port}/{SECRET}")
    finally:
        server.stop()
    assert "SSLCertVerificationError" in error.why
    assert server.got == []
