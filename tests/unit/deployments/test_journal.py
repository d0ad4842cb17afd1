import pytest
from botocore.exceptions import ClientError

from greenlane.deployments.phases import TERMINAL, Phase
from greenlane.deployments.storing.journal import note, note_best_effort, summarise, tell
from tests.builders import NOW, SERVICE, plan, record
from tests.fakes import timeout


def test_a_line_says_when_who_and_what_and_leaves_out_what_is_unknown(world):
    note(world.runtime, "d-1", "shifted", weight=10, phase=Phase.SHIFTING, reason=None)
    (line,) = world.store.history("d-1")
    assert (line.at, line.actor, line.kind) == (NOW, "test", "shifted")
    assert line.detail == {"weight": 10, "phase": "shifting"}


def test_a_line_that_cannot_be_written_stops_a_forward_step_but_no_other(world):
    world.fail("dynamodb", "put_item", times=2)
    with pytest.raises(ClientError):
        note(world.runtime, "d-1", "shifted")
    assert note_best_effort(world.runtime, "d-1", "rolled back") is False
    assert note_best_effort(world.runtime, "d-1", "rolled back") is True


@pytest.mark.parametrize("phase", sorted(Phase))
def test_only_an_outcome_has_an_end(world, phase):
    summarise(world.runtime, plan(), record(phase=phase, reason="why"))
    (line,) = world.store.deployments(SERVICE)
    assert (line.phase, line.reason, line.requested_by) == (phase, "why", "ada")
    assert line.version == plan().request.version
    assert (line.ended_at is not None) == (phase in TERMINAL)


def test_a_summary_that_cannot_be_written_changes_nothing(world):
    world.fail("dynamodb", "update_item", timeout())
    summarise(world.runtime, plan(), record())
    assert world.store.deployments(SERVICE) == []


def test_people_are_told_in_a_subject_that_sns_takes(world):
    tell(world.runtime, "Two\nlines and " + "much " * 40, SERVICE, reason="why")
    (subject,) = world.topic.told
    assert subject.startswith("Two lines and much")
    assert len(subject) < 100


def test_nobody_listening_changes_nothing(world):
    world.fail("sns", "publish", timeout())
    tell(world.runtime, "Hello", SERVICE)
    assert world.topic.told == []
