import threading
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest

from greenlane import aws
from greenlane.runtime import Runtime, Settings

THREADS = 10


class Session:
    """boto3's default session: it must not make two clients at the same time."""

    def __init__(self):
        self.busy, self.overlapped, self.made = threading.Lock(), False, []

    def client(self, service, config):
        if not self.busy.acquire(blocking=False):
            self.overlapped = True
            return object()
        time.sleep(0.02)
        self.made.append(service)
        self.busy.release()
        return object()


@pytest.fixture
def session(monkeypatch):
    session = Session()
    monkeypatch.setattr(boto3, "client", session.client)
    aws._client.cache_clear()
    yield session
    aws._client.cache_clear()


def at_once(*calls):
    """What the calls answer, each in a thread of its own, all begun together."""
    together = threading.Barrier(len(calls))

    def run(call):
        together.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_threads_that_ask_at_once_get_the_same_client(session):
    found = at_once(*[lambda: aws.client("elbv2")] * THREADS)
    assert len({id(client) for client in found}) == 1
    assert (session.made, session.overlapped) == (["elbv2"], False)


def test_clients_of_different_services_are_made_one_after_the_other(session):
    services = [f"service-{number}" for number in range(THREADS)]
    found = at_once(*[lambda name=name: aws.client(name) for name in services])
    assert len({id(client) for client in found}) == THREADS
    assert (sorted(session.made), session.overlapped) == (services, False)


def test_the_threads_of_one_runtime_share_its_clients(session):
    runtime = Runtime(settings=Settings("table", "topic", "deployment", "rollback"), actor="test")
    found = at_once(*[lambda: runtime.store.client] * THREADS)
    assert len({id(client) for client in found}) == 1
    assert session.made == ["dynamodb"]


def test_other_timeouts_or_attempts_are_another_client(session):
    patient, hasty = aws.client("dynamodb"), aws.client("dynamodb", attempts=1)
    assert patient is not hasty
    assert aws.client("dynamodb") is patient
