"""Answer lookups of feature flags and A/B tests by OpenFeature's remote evaluation protocol.

Without the decorator of the other functions: that imports Powertools and pydantic, which take
longer than all that is done here. A cold start costs what this module imports, and a test keeps it
small.
"""

from __future__ import annotations

import os

# Imported now, while Lambda gives a function that starts more processor than it pays for.
import greenlane.flags.reading.dynamo_http  # noqa: F401
from greenlane.clock import current_clock
from greenlane.experiments.answering import Answers
from greenlane.flags.evaluating.evaluation import FLAG_NOT_FOUND
from greenlane.flags.http.ofrep import Ofrep
from greenlane.flags.lifecycle.noting import Noted
from greenlane.flags.lifecycle.seen import Seen
from greenlane.flags.reading.reader import Reader
from greenlane.flags.reading.sources import chosen_source, chosen_writer
from greenlane.flags.reading.telemetry import Telemetry

TYPE_CHECKING = False  # `typing` itself costs more to import than all of this module
if TYPE_CHECKING:
    from typing import Any

    from greenlane.flags.evaluating.evaluation import Evaluation

EXPERIMENTS_TABLE = "EXPERIMENTS_TABLE"
"""The variable that names the table of A/B tests; without it none are answered for."""

_environments: dict[str, tuple[Reader, Telemetry, Noted | None]] = {}
_tests: list[Answers] = []
_ofrep = Ofrep(
    origin=os.environ.get("FLAGS_ORIGIN", "*"),
    off_variant=os.environ.get("FLAGS_DISABLED_VALUE") == "off-variant",
)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer one request, with the flags of the environment that its stage is named after."""
    environment = event["requestContext"]["stage"]
    if environment not in _environments:
        _environments[environment] = _begun(environment)
    reader, telemetry, noted = _environments[environment]

    def tell(found: Evaluation, version: int) -> None:
        # Whoever asks makes such keys up, and each would be a metric of its own.
        counted = found._replace(key="*") if found.error == FLAG_NOT_FOUND else found
        telemetry.tell(counted, version)
        # Which tests are used is nobody's question: they end by themselves.
        if noted is not None and engine is not None and found.key in engine.flags:
            noted.note(found)

    engine, stale = reader.engine()
    answer = _ofrep.answer(event, engine, stale, _now(), tell, _answers())
    if noted is not None:
        noted.flush()
    return answer


def _begun(environment: str) -> tuple[Reader, Telemetry, Noted | None]:
    sampled = float(os.environ.get("FLAGS_SAMPLED", "0"))
    # Written at once, for Lambda may freeze this process after any answer.
    telemetry = Telemetry(environment, sampled=sampled, flush_seconds=0, clock=_now)
    reader = Reader(chosen_source(), environment, clock=_now)
    recorded = float(os.environ.get("FLAGS_RECORDED", "0"))
    if not recorded:
        return reader, telemetry, None
    seen = Seen(chosen_writer(), environment, sample=recorded, clock=_now)
    return reader, telemetry, Noted(seen, reader)


def _answers() -> Answers | None:
    """For A/B tests, which are the same in every environment."""
    if not _tests and os.environ.get(EXPERIMENTS_TABLE):
        source: Any = chosen_source(named=EXPERIMENTS_TABLE)
        _tests.append(Answers(source, clock=_now))
    return _tests[0] if _tests else None


def _now() -> float:
    """Unix seconds of this process's clock, which the local cloud compresses."""
    return current_clock().now().timestamp()
