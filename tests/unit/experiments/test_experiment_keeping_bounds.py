"""What could not be counted is refused before a test begins."""

from typing import Any

import pytest

from greenlane.errors import InvalidInput, UnknownTest
from greenlane.experiments.storing import keeping
from greenlane.problems import InvalidDocument
from tests.experiment_store import NOW, Laboratory, definition


@pytest.mark.parametrize("shards", [0, 65, True])
def test_a_number_of_shards_that_cannot_be_is_refused(shards: int) -> None:
    lab = Laboratory()
    keeping.create(lab.store, "checkout", definition(), by="ada", at=NOW)

    with pytest.raises(InvalidInput, match="choose 1 to 64"):
        keeping.start(lab.store, "checkout", by="ada", at=NOW, shards=shards)
    with pytest.raises(UnknownTest, match="did you mean checkout"):
        keeping.start(lab.store, "chekout", by="ada", at=NOW)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {
                "metrics": [
                    {"name": f"m{n}", "kind": "quantile", "direction": "lower", "quantile": 0.9}
                    for n in range(8)
                ],
                "segments": {f"s{n}": {"device": "x"} for n in range(5)},
            },
            "with 8 quantiles at most 4 segments",
        ),
        (
            {
                "metrics": [
                    {"name": f"m{n}", "kind": "mean", "direction": "lower", "covariate": "c"}
                    for n in range(43)
                ]
            },
            "they need 258 sums, and 250 can be counted",
        ),
        (
            {"winner_flag": {"name": "f", "environment": "production", "variant": "control"}},
            "there is no treatment of that name",
        ),
        (
            {"winner_flag": {"name": "f", "environment": "production", "interval": 0}},
            "interval: it must be more than 0",
        ),
    ],
)
def test_what_could_not_be_counted_is_refused_before_it_begins(
    keys: dict[str, Any], said: str
) -> None:
    with pytest.raises((InvalidDocument, ValueError), match=said):
        keeping.create(Laboratory().store, "t", definition(**keys), by="ada", at=NOW)
