"""Asks one library about 200,000 users and says how long it took; run by `benchmarks.flags`.

It runs with only that library installed, so each is imported in its own function.
"""

# mypy: ignore-errors
# Not checked: none of the libraries is installed where types are.

import json
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path

USERS = 200_000
BULK = 1000
SHARE = 30


def greenlane() -> Callable[[str], bool]:
    """Ours: value, variant, reason, rule and bucket."""
    from greenlane.flags.evaluating.engine import Engine

    evaluate = Engine(snapshot()).evaluate
    return lambda user: evaluate("f", {"targetingKey": user, "region": "eu"}, 0.0).value


def greenlane_decorated() -> Callable[[str], bool]:
    """Ours, as a service uses it: a function behind `@feature_flag`, and a live snapshot."""
    from greenlane.flags import FeatureFlagManager, feature_flag
    from greenlane.flags.reading.reader import Reader

    class Source:
        def version(self, environment):
            return 1

        def snapshot(self, environment):
            return 1, json.dumps(snapshot()).encode()

    manager = FeatureFlagManager(Reader(Source(), "production"))

    @feature_flag("f", lambda user_context: False, manager=manager)
    def feature(user_context):
        return True

    return lambda user: feature({"targetingKey": user, "region": "eu"})


def undecorated() -> Callable[[str], bool]:
    """The same function without a flag."""

    def feature(user_context):
        return True

    return lambda user: feature({"targetingKey": user, "region": "eu"})


def bulk() -> dict[str, float]:
    """Milliseconds of what OFREP does with 1,000 flags for a user, by step; the fastest of many."""
    from greenlane.flags.evaluating.engine import Engine
    from greenlane.flags.http.ofrep import Ofrep

    one = snapshot()["flags"]["f"]
    flags = {
        f"flag-{number}": {**one, "salt": f"flag-{number}", "meta": {"owner": "a-team"}}
        for number in range(BULK)
    }
    engine, ofrep = Engine({**snapshot(), "flags": flags}), Ofrep()
    users = iter(range(10**9))

    def event(user: int, tag: str = "") -> dict:
        context = {"targetingKey": f"user-{user}", "region": "eu"}
        return {
            "httpMethod": "POST",
            "headers": {"if-none-match": tag},
            "body": json.dumps({"context": context}),
        }

    def evaluated() -> None:
        engine.evaluate_all({"targetingKey": f"user-{next(users)}", "region": "eu"}, 0.0)

    def answered() -> None:
        answer = ofrep.answer(event(next(users)), engine, False, 0.0)
        assert answer["statusCode"] == 200

    tag = ofrep.answer(event(-1), engine, False, 0.0)["headers"]["etag"]

    def unchanged() -> None:
        assert ofrep.answer(event(-1, tag), engine, False, 0.0)["statusCode"] == 304

    def fastest(act: Callable[[], None]) -> float:
        took = []
        for _ in range(100):
            began = time.perf_counter()
            act()
            took.append((time.perf_counter() - began) * 1000)
        return min(took)

    return {act.__name__: fastest(act) for act in (evaluated, answered, unchanged)}


def untold() -> float:
    """Microseconds that telemetry adds to an evaluation while it is off."""
    from greenlane.flags.evaluating.engine import Engine
    from greenlane.flags.reading.telemetry import Telemetry

    found = Engine(snapshot()).evaluate("f", {"targetingKey": "user-1", "region": "eu"}, 0.0)
    telemetry = Telemetry("production")
    users = list(map(str, range(USERS)))
    told = timed(lambda user: telemetry.tell(found, 1), users)
    return max(0.0, told - timed(lambda user: None, users))


def snapshot() -> dict:
    """The flag as our engine is loaded with it."""
    rule = {"id": "eu", "if": ["==", "region", "eu"], "share": SHARE * 1000, "serve": "on"}
    flag = {
        "type": "boolean",
        "on": True,
        "variants": {"on": True, "off": False},
        "off": "off",
        "salt": "f",
        "by": ["targetingKey"],
        "requires": [],
        "rules": [rule],
        "meta": {},
    }
    return {"format": 1, "version": 1, "environment": "", "segments": {}, "flags": {"f": flag}}


def powertools() -> Callable[[str], bool]:
    """Powertools has no hash: its caller brings a number."""
    from aws_lambda_powertools.utilities.feature_flags import FeatureFlags
    from aws_lambda_powertools.utilities.feature_flags.base import StoreProvider

    conditions = [
        {"action": "EQUALS", "key": "region", "value": "eu"},
        {
            "action": "MODULO_RANGE",
            "key": "number",
            "value": {"BASE": 100, "START": 0, "END": SHARE - 1},
        },
    ]
    rules = {"eu": {"when_match": True, "conditions": conditions}}
    schema = {"f": {"default": False, "rules": rules}}

    class Store(StoreProvider):
        def get_configuration(self):
            return schema

        @property
        def get_raw_configuration(self):
            return schema

    evaluate = FeatureFlags(store=Store()).evaluate

    def ask(user: str) -> bool:
        context = {"number": zlib.crc32(user.encode()), "region": "eu"}
        return evaluate(name="f", context=context, default=False)

    return ask


def growthbook() -> Callable[[str], bool]:
    """GrowthBook, with one client whose attributes change."""
    from growthbook import GrowthBook

    rule = {"condition": {"region": "eu"}, "force": True, "coverage": SHARE / 100}
    rule["hashAttribute"] = "id"
    client = GrowthBook(features={"f": {"defaultValue": False, "rules": [rule]}})

    def ask(user: str) -> bool:
        client.set_attributes({"id": user, "region": "eu"})
        return client.is_on("f")

    return ask


def flagd() -> Callable[[str], bool]:
    """The evaluator of flagd without its network."""
    from openfeature.contrib.tools.flagd.core import FlagdCore
    from openfeature.evaluation_context import EvaluationContext

    share = {"fractional": [["on", SHARE], ["off", 100 - SHARE]]}
    flag = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "off",
        "targeting": {"if": [{"==": [{"var": "region"}, "eu"]}, share, "off"]},
    }
    core = FlagdCore()
    core.set_flags({"flags": {"f": flag}})
    resolve = core.resolve_boolean_value
    return lambda user: resolve("f", False, EvaluationContext(user, {"region": "eu"})).value


def unleash() -> Callable[[str], bool]:
    """Unleash, from a bootstrap and without its server."""
    from UnleashClient import UnleashClient
    from UnleashClient.cache import FileCache

    constraint = {"contextName": "region", "operator": "IN", "values": ["eu"]}
    strategy = {
        "name": "flexibleRollout",
        "parameters": {"rollout": str(SHARE), "stickiness": "userId", "groupId": "f"},
        "constraints": [constraint],
    }
    feature = {"name": "f", "enabled": True, "strategies": [strategy]}
    cache = FileCache("bench", directory=tempfile.mkdtemp())
    cache.bootstrap_from_dict({"version": 2, "features": [feature]})
    client = UnleashClient(
        "http://127.0.0.1:9",
        "bench",
        cache=cache,
        disable_metrics=True,
        disable_registration=True,
    )
    client.initialize_client(fetch_toggles=False)
    ask = client.is_enabled
    return lambda user: ask("f", {"userId": user, "properties": {"region": "eu"}})


def launchdarkly() -> Callable[[str], bool]:
    """LaunchDarkly, from a file and without its server."""
    from ldclient import Context
    from ldclient.client import LDClient
    from ldclient.config import Config
    from ldclient.integrations import Files

    parts = [
        {"variation": 0, "weight": SHARE * 1000},
        {"variation": 1, "weight": (100 - SHARE) * 1000},
    ]
    clause = {"attribute": "region", "op": "in", "values": ["eu"], "contextKind": "user"}
    rule = {"id": "eu", "clauses": [clause], "rollout": {"variations": parts}}
    flag = {
        "key": "f",
        "version": 1,
        "on": True,
        "salt": "s",
        "variations": [True, False],
        "rules": [rule],
        "fallthrough": {"variation": 1},
        "offVariation": 1,
    }
    path = Path(tempfile.mkdtemp()) / "flags.json"
    path.write_text(json.dumps({"flags": {"f": flag}}))
    source = Files.new_data_source(paths=[str(path)])
    client = LDClient(Config("key", update_processor_class=source, send_events=False), 10)
    builder, detail = Context.builder, client.variation_detail
    return lambda user: detail("f", builder(user).set("region", "eu").build(), False).value


def timed(ask: Callable[[str], object], users: Iterable[str]) -> float:
    """Microseconds of one call, of the fastest of five parts."""
    parts = [list(users)[number::5] for number in range(5)]
    took = []
    for part in parts:
        began = time.perf_counter()
        for user in part:
            ask(user)
        took.append((time.perf_counter() - began) / len(part) * 1e6)
    return min(took)


def main() -> None:
    """Print the figures of the library that is named on the command line."""
    users = [f"user-{number}" for number in range(USERS)]
    ask = globals()[sys.argv[1]]()
    one_hash = timed(lambda user: blake2b(user.encode(), digest_size=8).digest(), users)
    took = timed(ask, users)
    share = sum(map(bool, map(ask, users))) / USERS
    found = {"microseconds": took, "hash_microseconds": one_hash, "on": share}
    if sys.argv[1] == "greenlane_decorated":
        # Beside it in one process: only then is a difference of fractions worth anything.
        found |= {
            "undecorated": timed(undecorated(), users),
            "engine": timed(greenlane(), users),
        }
    if sys.argv[1] == "greenlane":
        found |= {"bulk": bulk(), "untold": untold()}
    print(json.dumps(found))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
