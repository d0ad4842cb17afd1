"""What people once said is kept: earlier states of 0.1 stored a reason as `why`."""

import json
from typing import Any

import pytest
from pydantic import AliasChoices

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.experiments.storing.state import AuditedChange, StoredTest
from greenlane.flags.storing.audit import AuditEntry
from greenlane.flags.storing.proposals import Proposal
from greenlane.migrations.guarding.lease import Asked as AskedOfRun
from greenlane.migrations.restoring.model import Answer
from greenlane.regions.coordinating.model import Asked as AskedOfRollout
from greenlane.regions.keeping.store import StoredRegions

AT = "2026-11-24T12:00:00Z"
FILE = {"source": "regions: {}", "file": "regions.yaml", "applied_by": "jo", "applied_at": AT}
STORED: list[tuple[type[StoredModel], dict[str, Any]]] = [
    (AuditEntry, {"version": 1, "id": "x", "at": AT, "by": "jo"}),
    (AuditedChange, {"version": 1, "id": "x", "at": AT, "by": "jo"}),
    (AskedOfRun, {"name": "abort", "at": AT, "by": "jo"}),
    (AskedOfRollout, {"name": "hold", "number": 1, "at": AT, "by": "jo"}),
    (Answer, {"question": "approve", "says": "approve", "at": AT, "by": "jo"}),
    (StoredRegions, {"service": "claude-manager", "version": 1, **FILE}),
]


@pytest.mark.parametrize(("model", "keys"), STORED, ids=[one.__qualname__ for one, _ in STORED])
@pytest.mark.parametrize("key", ["why", "reason"])
def test_a_reason_is_read_by_both_its_names_and_written_by_one(
    model: type[StoredModel], keys: dict[str, Any], key: str
) -> None:
    read: Any = model.model_validate_json(json.dumps({**keys, key: "incident 42"}))

    assert read.reason == "incident 42"
    assert "why" not in read.model_dump(mode="json")
    assert model.model_validate_json(read.model_dump_json()) == read


def test_a_proposal_that_waits_keeps_both_its_reasons() -> None:
    said = {"why": "for autumn", "decided_why": "too early"}
    read = Proposal.model_validate_json(json.dumps({"id": "p", "at": AT, "by": "jo", **said}))

    assert (read.reason, read.decided_reason) == ("for autumn", "too early")
    assert Proposal.model_validate_json(read.model_dump_json()) == read


def test_a_test_keeps_the_reason_of_its_last_change_beside_that_of_its_end() -> None:
    field = StoredTest.model_fields["change_reason"]

    assert isinstance(field.validation_alias, AliasChoices)
    assert field.validation_alias.choices == ["change_reason", "why"]
