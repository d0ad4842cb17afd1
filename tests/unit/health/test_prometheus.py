import io
import json
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from greenlane.health import prometheus
from greenlane.health.declared import MetricDeclaration, known_metrics
from greenlane.health.prometheus import Queries, Query, fetch, query_prometheus
from greenlane.health.reading import read_series
from tests.builders import NOW, workload
from tests.unit.health.datapoints import Cloudwatch, failing, runtime

UNUSED: Any = None
AT = int(NOW.timestamp())


def matrix(*lines, **more):
    result = [{"metric": {}, "values": values} for values in lines]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}} | more


class Server:
    """A Prometheus with one answer for everything."""

    def __init__(self):
        self.asked = []
        self.status, self.body, self.headers = 200, b"{}", {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                parts = urlsplit(self.path)
                server.asked.append((parts.path, parse_qs(parts.query)))
                self.send_response(server.status)
                for name, value in server.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(server.body)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/"

    def says(self, answer):
        self.body = json.dumps(answer).encode()

    def close(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def asked(endpoint, *promql):
    queries = tuple(Query(id=str(n), promql=text) for n, text in enumerate(promql))
    return Queries(endpoint=endpoint, start=NOW, end=NOW + timedelta(minutes=3), queries=queries)


def answer(endpoint, promql="up", **more):
    (found,) = query_prometheus(asked(endpoint, promql), UNUSED, **more).answers
    return found


def test_a_value_belongs_to_the_minute_that_its_range_covers(server):
    server.says(matrix([[AT + 60, "0.5"], [AT + 120, "NaN"], [AT + 180, "+Inf"]]))

    found = answer(server.url, "sum(rate(failed_total[1m]))")

    assert (found.points, found.trouble) == ({AT: 0.5}, "")
    ((path, query),) = server.asked
    assert path == "/api/v1/query_range"
    assert query["query"] == ["sum(rate(failed_total[1m]))"]
    assert (query["start"], query["end"]) == ([str(AT + 60)], [str(AT + 180)])
    assert query["step"] == ["60"]


def test_no_series_is_no_data_and_no_trouble(server):
    server.says(matrix())

    assert (answer(server.url).points, answer(server.url).trouble) == ({}, "")


def test_several_series_are_not_one_value(server):
    server.says(matrix([[AT, "1"]], [[AT, "2"]]))

    assert "gives 2 series" in answer(server.url).trouble


def test_a_warning_means_that_part_of_it_may_be_missing(server):
    server.says(matrix([[AT + 60, "1"]], warnings=["a store is down"]))

    assert answer(server.url).trouble == "Prometheus warns: a store is down"


def test_a_query_that_is_wrong_says_so(server):
    server.status = 400
    server.says({"status": "error", "errorType": "bad_data", "error": "parse error: unexpected )"})

    assert answer(server.url, ")").trouble == "Prometheus answered 400: parse error: unexpected )"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"data": {"resultType": "vector", "result": []}}']
)
def test_what_is_no_matrix_is_trouble(server, body):
    server.body = body

    assert answer(server.url).trouble == "Prometheus answered something else than a matrix"


def test_a_redirect_is_not_followed(server):
    server.status, server.headers = 302, {"Location": f"{server.url}elsewhere"}

    assert answer(server.url).trouble.startswith("Prometheus answered 302")
    assert len(server.asked) == 1


def test_an_answer_too_large_is_cut(server):
    server.body = b" " * (prometheus.LARGEST_ANSWER + 1)

    with pytest.raises(OSError, match="too large"):
        fetch(server.url, 4.0)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "file:///etc", "prometheus:9090", ""])
def test_what_does_not_answer_is_trouble(endpoint):
    assert answer(endpoint).trouble.startswith("Prometheus did not answer")


def test_a_slow_one_does_not_take_the_judges_time(monkeypatch):
    seconds = iter([0.0, 1.0, 7.0, 8.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))

    def get(address, limit):
        raise TimeoutError

    found = query_prometheus(asked("http://p", "a", "b", "c"), UNUSED, get=get).answers

    assert [one.trouble for one in found] == [
        "Prometheus did not answer: TimeoutError",
        *["Prometheus is too slow: no time was left"] * 2,
    ]


class Relay:
    """Lambda: runs the function inside the VPC at once."""

    def __init__(self, body=None, *, error=None, broken=False, text=None):
        self.body, self.error, self.broken, self.text = body, error, broken, text
        self.called = []

    def invoke(self, FunctionName, Payload):  # noqa: N803
        self.called.append(FunctionName)
        if self.error:
            raise self.error
        queries = Queries.model_validate_json(Payload)
        self.queries = queries
        answers = query_prometheus(
            queries, UNUSED, get=lambda address, limit: json.dumps(self.body).encode()
        )
        text = self.text or answers.model_dump_json()
        more = {"FunctionError": "Unhandled"} if self.broken else {}
        return {"Payload": io.BytesIO(text.encode())} | more


FAILED = 'sum(rate(failed_total{slot="{slot}"}[1m]))'


def read(relay, endpoint="http://prometheus:9090", **declared):
    one = MetricDeclaration.model_validate({"promql": FAILED, "worse": "up", **declared})
    known = known_metrics({"failed": one})
    return read_series(
        runtime(Cloudwatch(), relay),
        workload(),
        [known["failed"]],
        start=NOW,
        end=NOW + timedelta(minutes=3),
        prometheus_endpoint=endpoint,
    )


def test_both_slots_are_asked_by_one_call_of_the_function_in_the_vpc():
    relay = Relay(matrix([[AT + 60, "0.5"]]))

    blue, green = read(relay)

    assert relay.called == ["greenlane-query-prometheus"]
    assert [query.promql for query in relay.queries.queries] == [
        'sum(rate(failed_total{slot="blue"}[1m]))',
        'sum(rate(failed_total{slot="green"}[1m]))',
    ]
    assert (blue.slot, green.slot) == ("blue", "green")
    assert green.complete
    assert [(minute.at, minute.parts) for minute in green.minutes] == [(NOW, {"value": 0.5})]


def test_what_counts_its_samples_is_asked_as_well():
    green = read(Relay(matrix([[AT + 60, "8"]])), samples="sum(jobs)", shape="proportion")[1]

    assert green.minutes[0].parts == {"value": 8, "n": 8}


@pytest.mark.parametrize(
    ("relay", "trouble"),
    [
        (Relay(error=failing("TooManyRequestsException")), "ClientError"),
        (Relay(matrix(), broken=True), "failed"),
        (Relay(matrix(), text="nonsense"), "answered something else"),
        (Relay(matrix(), text='{"answers": []}'), "no answer"),
    ],
)
def test_a_function_that_does_not_answer_leaves_nothing_known(relay, trouble):
    for series in read(relay):
        assert not series.complete
        assert trouble in series.trouble


def test_without_an_endpoint_nothing_is_asked():
    relay = SimpleNamespace()

    assert {one.trouble for one in read(relay, endpoint=None)} == {
        "monitoring.prometheus_endpoint is not declared"
    }
