"""The page on keeping A/B tests shows what happens."""

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from greenlane.experiments.counting.events import Result
from greenlane.experiments.counting.people import MOST_PENDING
from greenlane.experiments.counting.recording import LONGEST_ID, MOST_EVENTS
from greenlane.experiments.counting.transacting import MOST_USERS, TRIES
from greenlane.experiments.lints import MOST_COUNTERS, MOST_SUMS
from greenlane.experiments.names import TABLE
from greenlane.experiments.storing.editing import MOST_EPOCHS, MOST_SHARDS
from greenlane.experiments.storing.state import SHARDS
from greenlane.experiments.storing.store import MOST_CHANGED
from tests.docs.pages import ROOT, blocks
from tests.fakes import client

PAGE = "experiments-operating.md"


@pytest.fixture
def cloud() -> Iterator[None]:
    with mock_aws():
        keys = [("pk", "HASH"), ("sk", "RANGE")]
        client("dynamodb").create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name, _ in keys
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        yield


def test_the_example_prints_what_stands_below_it(
    cloud: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = [b.text for b in blocks("python") if b.page.name == PAGE]
    (printed,) = [b.text for b in blocks("text") if b.page.name == PAGE]

    exec(compile(example, PAGE, "exec"), {})

    assert capsys.readouterr().out.strip() == printed.strip()


def test_all_that_can_become_of_an_event_is_explained() -> None:
    text = (ROOT / "docs" / PAGE).read_text()
    results: Any = Result

    assert [name for name in results.__args__ if f"| `{name}` |" not in text] == []


def test_the_limits_are_those_of_the_code() -> None:
    text = (ROOT / "docs" / PAGE).read_text()

    assert f"| {SHARDS}; 1 to {MOST_SHARDS}, chosen at the start" in text
    assert f"| {MOST_SUMS}: 6 for a ratio" in text
    assert f"is at most {MOST_COUNTERS} |" in text
    assert f"| {MOST_EPOCHS - 1} |" in text
    assert f"transaction | {MOST_EVENTS};" in text
    assert f"exposure | {MOST_PENDING} for each user" in text
    assert f"| {LONGEST_ID} characters |" in text
    assert f"| Tests in one change | {MOST_CHANGED} |" in text
    assert (MOST_USERS + 1, TRIES) == (10**8, 10)
