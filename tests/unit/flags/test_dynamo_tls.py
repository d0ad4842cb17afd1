"""Over TLS: a certificate that is vouched for is trusted, any other is not."""

import http.server
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from greenlane.flags.reading.dynamo_http import StdlibSource, StoreUnreadable

KEYS = {"AWS_REGION": "r-1", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
ANSWER = b'{"Item": {"version": {"N": "7"}}}'


def certificate(folder: Path, address: str) -> Path:
    """A key and a certificate that it has signed itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "store")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / f"{address}.pem"
    file.write_bytes(private + made.public_bytes(pem))
    return file


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *arguments: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    accepted = 0

    def get_request(self) -> Any:
        self.accepted += 1
        return super().get_request()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever does not trust it hangs up."""


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Any]:
    servers: list[tuple[Server, threading.Thread]] = []

    def serve(address: str) -> tuple[Server, Path]:
        file = certificate(tmp_path, address)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        server = Server(("127.0.0.1", 0), Handler)
        # The handshake is its own thread's: one that fails must not end the server.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return server, file

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def reading(server: Server, **more: str) -> StdlibSource:
    url = f"https://127.0.0.1:{server.server_port}"
    environ = KEYS | {"AWS_ENDPOINT_URL": url} | more
    # Time is not what is promised here, and a busy machine may be late.
    return StdlibSource("t", environ=environ, connect_seconds=60, read_seconds=60)


def test_a_certificate_that_the_bundle_vouches_for_is_trusted(serving: Any) -> None:
    server, file = serving("127.0.0.1")
    source = reading(server, AWS_CA_BUNDLE=str(file))

    assert [source.version("production"), source.version("production")] == [7, 7]
    source.close()
    assert server.accepted == 1


def test_the_certificate_of_a_stranger_is_not_trusted_and_not_tried_again(serving: Any) -> None:
    server, _ = serving("127.0.0.1")

    with pytest.raises(StoreUnreadable, match="SSLCertVerificationError"):
        reading(server).version("production")
    assert server.accepted == 1


def test_the_certificate_of_another_host_is_not_trusted(serving: Any) -> None:
    server, file = serving("127.0.0.2")

    with pytest.raises(StoreUnreadable, match="IP address mismatch"):
        reading(server, AWS_CA_BUNDLE=str(file)).version("production")
