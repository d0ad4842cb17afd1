"""A/A replays: they find what chance finds, and notice when a test finds more."""

import csv
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlane.errors import InvalidInput, Refused
from greenlane.experiments.aa import replaying
from greenlane.experiments.aa.events_file import TimedEvent, read_events
from greenlane.experiments.aa.replaying import looks_of, prepare, replay_all, replay_one
from greenlane.experiments.aa.running import of_events, of_stored
from greenlane.experiments.aa.traffic import traffic_of_events, traffic_of_store
from greenlane.experiments.aa.verdict import judged, rate_of
from greenlane.experiments.counting.people import Person, Total
from greenlane.experiments.dealing import bucket
from greenlane.experiments.model import Experiment
from greenlane.experiments.statistics.moments import UNIT
from tests.effort import examples
from tests.experiment_store import Laboratory
from tests.unit.experiments.experimenting import START, experiment

METRICS = [
    "conversion_rate",
    "revenue_per_visitor",
    {"name": "pages_per_visit", "kind": "ratio", "direction": "higher"}
    | {"numerator": "pages", "denominator": "visits"},
    {"name": "wait", "kind": "quantile", "direction": "lower", "quantile": 0.9},
]

SALTS = examples(60, 400)
"""Of a replay; 400 is what the command takes."""


def aa_test(**keys: Any) -> Experiment:
    guardrails = ["error_rate < 0.05", {"name": "cart_abandonment_rate", "margin": 0.1}]
    return experiment(
        **{
            "metrics": METRICS,
            "guardrail_metrics": guardrails,
            "minimum_sample_size": 100,
            "maximum_duration": "7d",
            **keys,
        }
    )


def people(count: int, seed: int = 1) -> list[tuple[str, Person]]:
    """Users as the table has them; revenue is skewed, and most have none."""
    chance, found = random.Random(seed), []
    for number in range(count):
        totals = {
            "error_rate": Total(UNIT if chance.random() < 0.01 else 0, 1),
            "cart_abandonment_rate": Total(UNIT if chance.random() < 0.6 else 0, 1),
            "pages": Total(chance.randrange(1, 9) * UNIT, 3),
            "visits": Total(chance.randrange(1, 3) * UNIT, 1),
            "wait": Total(round(chance.expovariate(0.2) * UNIT) + 1, 1),
        }
        if chance.random() < 0.1:
            totals["conversion_rate"] = Total(UNIT, 1)
            totals["revenue_per_visitor"] = Total(round(chance.lognormvariate(3, 1) * UNIT), 1)
        at = START + timedelta(seconds=chance.random() * 7 * 86400)
        found.append((f"{number:032x}", Person(variant="control", exposed_at=at, totals=totals)))
    return found


def replays(test: Experiment, users: list[tuple[str, Person]], salts: int = SALTS) -> Any:
    prepared = prepare(test, traffic_of_store(test, users, looks_of(test)))
    return prepared, replay_all(prepared, salts)


def test_a_sound_test_finds_no_more_than_chance_does() -> None:
    prepared, found = replays(aa_test(), people(1200))
    result = judged("checkout", "the table", prepared, found)
    assert result.ok
    assert (result.users, result.salts, result.looks) == (1200, SALTS, 7)
    names = [rate.name for rate in result.rates]
    assert names[:4] == [
        "conversion_rate: an effect at any look",
        "called invalid: a wrong split, at any look",
        "the split, by chi-square at the end",
        "stopped for harm, at any look",
    ]
    assert "pages_per_visit: p at one look" in names
    assert any("its exposure on" in note or "exposure on" in note for note in result.notes)


def test_a_test_that_finds_too_much_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that peeks at the level of a single look."""
    from greenlane.experiments import looking
    from greenlane.experiments.statistics.boundaries import Bounded

    def peeking(looks: Any, tau: float, information: float, alpha: float) -> Bounded:
        return Bounded(tau, information, 1.645)

    monkeypatch.setattr(looking, "next_bound", peeking)
    prepared, found = replays(aa_test(), people(1200))
    result = judged("checkout", "the table", prepared, found)
    assert not result.ok
    assert not result.rates[0].ok


def test_dealing_that_is_not_even_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def tilted(salt: str, unit: str) -> int:
        return bucket(salt, unit) * 92 // 100

    monkeypatch.setattr(replaying, "bucket", tilted)
    prepared, found = replays(aa_test(), people(1500))
    rates = {rate.name: rate for rate in judged("x", "the table", prepared, found).rates}
    assert not rates["the split, by chi-square at the end"].ok


def test_events_of_users_taken_for_users_are_found_out() -> None:
    """Ten copies of each user's visit, dealt as if each were somebody: it is not one look's p."""
    users = people(400)
    test = aa_test(guardrail_metrics=[])
    sound = prepare(test, traffic_of_store(test, users, looks_of(test)))
    # Each user adds ten times to the sums and to the users: the variance is too small.
    wrong = prepare(test, traffic_of_store(test, users, looks_of(test)))
    wrong.entries = [entry for entry in wrong.entries for _ in range(10)]
    for prepared, ok in ((sound, True), (wrong, False)):
        result = judged("x", "y", prepared, replay_all(prepared, SALTS))
        rates = {rate.name: rate.ok for rate in result.rates}
        assert rates["conversion_rate: p at one look"] is ok


def test_guardrails_that_the_traffic_breaks_by_itself_are_no_false_alarm() -> None:
    test = aa_test(guardrail_metrics=["cart_abandonment_rate < 0.3"])
    prepared, found = replays(test, people(1500))
    result = judged("x", "y", prepared, found)
    assert [rate for rate in result.rates if rate.name.startswith("stopped for harm")] == []
    assert any("break cart_abandonment_rate by themselves" in note for note in result.notes)


def test_the_same_replay_again_is_the_same_in_one_process_or_in_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepared, found = replays(aa_test(), people(400), 6)
    assert found == [replay_one(prepared, number) for number in range(6)]
    monkeypatch.setattr(replaying, "WORTH_PROCESSES", 0)
    assert replay_all(prepared, 6) == found


def test_all_users_are_in_the_sums_of_the_last_look_whatever_the_salt() -> None:
    users = people(300)
    prepared = prepare(aa_test(), traffic_of_store(aa_test(), users, 7))
    for salt in ("a", "b"):
        last = replaying._dealt(prepared, salt)[-1]
        assert sum(last.epochs[0].users.values()) == 300
        revenue = sum(
            one[0].y for variant, one in last.moments["revenue_per_visitor"].items() if variant
        )
        wanted = sum(person.totals.get("revenue_per_visitor", Total()).sum for _, person in users)
        assert revenue == wanted
        waits = last.histograms["wait"].values()
        assert sum(sum(parts[0].values()) for parts in waits) == 300


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.sampled_from(["conversion_rate", "revenue_per_visitor", "pages", "visits", "wait"]),
            st.integers(1, 9),
            st.integers(0, 6 * 86400),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_events_look_by_look_come_to_what_they_come_to_at_once(events: Any) -> None:
    """Sums of several looks add up to those of one look over everything."""
    lines = [
        TimedEvent(n, f"u{user}", metric, str(value), START + timedelta(seconds=second))
        for n, (user, metric, value, second) in enumerate(events)
    ]
    lines += [
        TimedEvent(0, f"filler-{n}", "", "", START + timedelta(seconds=n)) for n in range(200)
    ]
    ends = []
    for looks in (1, 7):
        prepared = prepare(aa_test(), traffic_of_events(aa_test(), lines, looks, 10_000))
        last = replaying._dealt(prepared, "salt")[-1]
        ends.append((last.moments, last.histograms, last.epochs))
    assert ends[0] == ends[1]


def test_the_users_of_a_test_are_replayed_out_of_the_table_by_their_digests() -> None:
    lab = Laboratory()
    lab.begin(minimum_sample_size=50)
    chance = random.Random(5)
    for number in range(260):
        lab.clock.go(minutes=30)
        lab.expose(f"user-{number}")
        if chance.random() < 0.3:
            lab.record(f"user-{number}")
    lab.record("never-exposed")
    test = lab.store.test("checkout")
    result = of_stored(Scanned(lab.table), "greenlane-experiments", test, salts=SALTS)
    assert (result.users, result.source, result.ok) == (260, "the table", True)
    assert result.recorded_split is not None
    few = of_stored(Scanned(lab.table), "greenlane-experiments", test, users=220, salts=SALTS)
    assert few.users == 220


def test_a_split_that_really_was_wrong_is_told_whatever_the_replays_say() -> None:
    lab = Laboratory()
    lab.begin()
    for number in range(900):
        unit = f"user-{number}"
        if lab.recorder.assign("checkout", {"targetingKey": unit}).variant == "control":
            lab.expose(unit)
    test = lab.store.test("checkout")
    result = of_stored(Scanned(lab.table), "greenlane-experiments", test, salts=SALTS)
    assert result.recorded_split is not None
    assert result.recorded_split < 0.01
    assert not result.ok


def test_too_few_users_are_refused() -> None:
    with pytest.raises(Refused, match="wait for more, or give a file with --events"):
        traffic_of_store(aa_test(), people(50), 7)


@pytest.mark.parametrize(
    ("count", "of", "allowed", "ok"),
    [(0, 400, 0.05, True), (30, 400, 0.05, True), (45, 400, 0.05, False), (12, 400, 0.01, False)],
)
def test_a_rate_is_too_high_when_chance_would_hardly_give_it(
    count: int, of: int, allowed: float, ok: bool
) -> None:
    rate = rate_of("x", count, of, allowed)
    assert rate.ok is ok
    assert rate.low <= count / of <= rate.high


class Scanned:
    """The table, with the scan that a test's users are read by; a page has 50 items."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def get_paginator(self, operation: str) -> "Scanned":
        assert operation == "scan"
        return self

    def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:
        assert given["FilterExpression"] == "begins_with(pk, :prefix)"
        prefix = given["ExpressionAttributeValues"][":prefix"]["S"]
        rows = [row for row in self._table.items() if row["pk"]["S"].startswith(prefix)]
        part = rows[given["Segment"] :: given["TotalSegments"]]
        for first in range(0, len(part), 50):
            yield {"Items": part[first : first + 50]}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["user", "metric", "value", "at"])
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


@pytest.mark.parametrize("name", ["events.csv", "events.jsonl"])
def test_a_file_of_events_is_replayed(tmp_path: Path, name: str) -> None:
    chance = random.Random(3)
    rows: list[dict[str, Any]] = []
    for number in range(300):
        at = (START + timedelta(hours=chance.random() * 100)).isoformat()
        rows.append({"user": f"u{number}", "metric": "", "value": "", "at": at})
        if chance.random() < 0.2:
            row = {"user": f"u{number}", "metric": "conversion_rate", "value": 1, "at": at}
            rows.append(row)
    result = of_events("x", experiment(), write(tmp_path / name, rows), salts=SALTS)
    assert (result.users, result.ok, result.recorded_split) == (300, True, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("user,metric,value\nu,m,1\n", "it has no column at"),
        ("user,metric,value,at,valeu\n", "there is no such column, did you mean value"),
        ("user,metric,value,at\n,m,1,2026-03-02\n", "line 2: user"),
        ("user,metric,value,at\nu,m,,2026-03-02\n", "line 2: value"),
        ("user,metric,value,at\nu,m,1,yesterday\n", "write a time such as"),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "events.csv"
    path.write_text(text)
    with pytest.raises(InvalidInput) as raised:
        list(read_events(path))
    assert said.replace(",", "").split()[0] in str(raised.value)
    assert all(word in str(raised.value).replace(",", "") for word in said.replace(",", "").split())


def test_times_without_a_zone_are_utc(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("user,metric,value,at\nu,m,1,2026-03-02T01:00:00\nu,m,1,2026-03-02T01:00Z\n")
    first, second = read_events(path)
    assert first.at == second.at == datetime(2026, 3, 2, 1, tzinfo=UTC)
