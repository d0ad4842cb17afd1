"""What a cold start of the lookup function costs, beside a lookup as it is usually written.

Each runs in fresh processes, in turns, with what Lambda's runtime client has imported before any
handler. Timed are the import of the handler's module, and that with the first lookup, out of a
table of 100 flags that a process beside it plays over plain HTTP. TLS, the network and Lambda
itself are not in these numbers: only ratios within one run mean anything.
"""

import base64
import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from greenlane.flags.definitions.compiling import compile_snapshot
from greenlane.flags.definitions.document import read_flags

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "build" / "bench" / "cold_start.json"
OURS, TYPICAL = "functions.look_up_flags", "benchmarks.typical_lookup"
ROUNDS = 15
FLAGS = 100

# The imports of the first line are awslambdaric's own, before it imports a handler.
MEASURED = """
import json, logging, sys, time, traceback
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20
before, memory = len(sys.modules), resident()
sys.path.insert(0, sys.argv[2])
began = time.perf_counter()
import importlib
module = importlib.import_module(sys.argv[1])
imported = time.perf_counter()
answer = module.handler(json.loads(sys.argv[3]), type("Context", (), {
    "function_name": "f", "memory_limit_in_mb": 256, "invoked_function_arn": "arn",
    "aws_request_id": "1"})())
answered = time.perf_counter()
assert answer["statusCode"] == 200, answer
print(json.dumps({
    "import_ms": (imported - began) * 1000,
    "first_ms": (answered - began) * 1000,
    "modules": len(sys.modules) - before,
    "memory_mb": resident() - memory,
}))
"""

EVENT = {
    "resource": "/ofrep/v1/evaluate/flags/{key+}",
    "path": "/ofrep/v1/evaluate/flags/flag-7",
    "httpMethod": "POST",
    "headers": {"content-type": "application/json"},
    "queryStringParameters": None,
    "multiValueQueryStringParameters": None,
    "multiValueHeaders": {},
    "pathParameters": {"key": "flag-7"},
    "requestContext": {"stage": "production", "path": "/", "identity": {}},
    "body": '{"context": {"targetingKey": "user-1", "country": "de"}}',
    "isBase64Encoded": False,
}


def main() -> int:
    """Measure both, print a table and write the figures."""
    figures = compared(ROUNDS)
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n")
    Console().print(shown(figures))
    return 0


def compared(rounds: int) -> dict[str, dict[str, float]]:
    """The fastest of some cold starts of each handler, by the handler's module."""
    with played_table() as endpoint:
        runs: dict[str, list[dict[str, float]]] = {OURS: [], TYPICAL: []}
        for name in runs:
            measured(name, endpoint)  # so that neither has to compile its modules
        for _ in range(rounds):
            # In turns, so that a busy moment of the machine meets both.
            for name, found in runs.items():
                found.append(measured(name, endpoint))
    return {name: fastest(found) for name, found in runs.items()}


def measured(module: str, endpoint: str) -> dict[str, float]:
    """One cold start in a process of its own."""
    environ = {
        "PATH": os.environ.get("PATH", os.defpath),
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": endpoint,
        "FLAGS_TABLE": "greenlane-flags",
        "EXPERIMENTS_TABLE": "greenlane-experiments",
        "POWERTOOLS_SERVICE_NAME": "flags",
        # With this Powertools' tracer takes itself to be on Lambda, and patches as it does there.
        "LAMBDA_TASK_ROOT": str(ROOT),
        "AWS_XRAY_CONTEXT_MISSING": "IGNORE_ERROR",
    }
    done = subprocess.run(
        [sys.executable, "-I", "-c", MEASURED, module, str(ROOT), json.dumps(EVENT)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{module} did not run:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def fastest(runs: list[dict[str, float]]) -> dict[str, float]:
    """The least of each figure, which the machine's other work has disturbed least."""
    return {name: min(one[name] for one in runs) for name in runs[0]}


def shown(figures: dict[str, dict[str, float]]) -> Table:
    """Both, and what ours is of the typical one."""
    table = Table(title=f"Cold start, the fastest of {ROUNDS}", title_justify="left")
    titles = ("Handler", "import, ms", "with first lookup, ms", "modules", "memory, MB")
    for title in titles:
        table.add_column(title, justify="left" if title == "Handler" else "right")
    for name, found in figures.items():
        table.add_row(name, *(f"{value:.0f}" for value in found.values()))
    ours, typical = figures[OURS], figures[TYPICAL]
    table.add_row("share", *(f"{ours[name] / typical[name]:.2f}" for name in ours))
    return table


@contextmanager
def played_table() -> Iterator[str]:
    """A DynamoDB that has one snapshot; the endpoint's URL."""
    answers = {"version": {"version": {"N": "1"}}, "snapshot": _snapshot()}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet an answer, as DynamoDB sends it

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps({"Item": answers[asked["Key"]["sk"]["S"]]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, format: str, *args: Any) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _snapshot() -> dict[str, Any]:
    flags = "".join(
        f"  flag-{number}:\n    targeting: {{user_attributes: [{{country: [de, fr]}}]}}\n"
        f"    percentage: {number % 100}\n    metadata: {{owner: team-{number % 7}}}\n"
        for number in range(1, FLAGS + 1)
    )
    snapshot = compile_snapshot(read_flags(f"feature_flags:\n{flags}"), "production")
    body = base64.b64encode(gzip.compress(json.dumps(snapshot).encode())).decode()
    return {"version": {"N": "1"}, "body": {"B": body}}


if __name__ == "__main__":
    sys.exit(main())
