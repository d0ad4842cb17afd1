from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.errors import ApprovalRefused, FlagConflict, UnknownProposal
from greenlane.flags.definitions.document import read_flags
from greenlane.flags.names import TABLE
from greenlane.flags.storing import keeping
from greenlane.flags.storing.proposals import only_less
from tests.fakes import timeout
from tests.flag_store import NOW, Failing, memory_store
from tests.table import Table

BASE = """
approvals: {environments: [production]}
segments: {staff: {plan: staff}}
feature_flags:
  a: {percentage: 5, environments: [staging, production]}
  b: {rules: [{id: r, when: {segment: staff}, serve: "on"}], environments: [staging]}
"""


def put(store, text, by="ada", **more):
    return keeping.put(store, read_flags(text), by=by, at=NOW, **more)


@pytest.fixture
def client():
    return Failing(Table(TABLE))


@pytest.fixture
def store(client):
    made = memory_store(client)
    put(made, BASE)
    return made


def raised(text=BASE):
    return text.replace("percentage: 5", "percentage: 50")


def share(store, environment="production"):
    return store.read().compiled(environment)["flags"]["a"]["rules"][0]["share"]


def test_a_change_of_a_protected_environment_waits_and_changes_nothing(store):
    kept = put(store, raised(), reason="more of it")
    assert (kept.changed, kept.version, share(store)) == (False, 1, 5000)
    (waiting,) = store.proposals()
    assert waiting == kept.proposal
    assert (waiting.by, waiting.reason, waiting.environments) == (
        "ada",
        "more of it",
        ("production",),
    )


def test_another_person_approves_and_the_audit_names_both(store):
    proposal = put(store, raised()).proposal
    kept = keeping.approve(store, proposal.id, by="bob", at=NOW, reason="looked at it")
    assert (kept.version, share(store)) == (2, 50_000)
    entry = store.audit()[0]
    assert (entry.by, entry.author, entry.proposal) == ("bob", "ada", proposal.id)
    assert store.proposal(proposal.id).status == "approved"
    assert store.verify().problems == ()


def test_the_author_cannot_approve_but_may_take_it_back(store):
    proposal = put(store, raised()).proposal
    with pytest.raises(ApprovalRefused, match="somebody else has to approve it"):
        keeping.approve(store, proposal.id, by="ada", at=NOW)
    assert keeping.reject(store, proposal.id, by="ada", at=NOW).status == "rejected"
    with pytest.raises(ApprovalRefused, match="ada rejected it"):
        keeping.approve(store, proposal.id, by="bob", at=NOW)
    assert share(store) == 5000


def test_what_is_based_on_something_that_moved_has_to_be_proposed_anew(store):
    proposal = put(store, raised()).proposal
    keeping.set_keys(store, "a", {"percentage": 7}, environment="staging", by="eve", at=NOW)
    with pytest.raises(ApprovalRefused, match=r"propose it anew: a was changed by eve in version"):
        keeping.approve(store, proposal.id, by="bob", at=NOW)
    assert share(store) == 5000


def test_another_flags_change_overtakes_nothing(store):
    proposal = put(store, raised()).proposal
    keeping.set_keys(store, "b", {"percentage": 7}, by="eve", at=NOW)
    keeping.approve(store, proposal.id, by="bob", at=NOW)
    assert share(store) == 50_000


def test_a_change_elsewhere_goes_in_at_once(store):
    kept = keeping.set_keys(store, "a", {"percentage": 60}, environment="staging", by="ada", at=NOW)
    assert (kept.proposal, kept.environments) == (None, ("staging",))


@pytest.mark.parametrize(
    "change",
    [
        lambda store: keeping.disable(store, "a", "production", by="ada", at=NOW),
        lambda store: keeping.disable(store, "a", by="ada", at=NOW),
        lambda store: put(store, BASE.replace("{percentage: 5", "{enabled: false, percentage: 5")),
    ],
)
def test_switching_a_flag_off_is_never_held_up(store, change):
    assert change(store).proposal is None
    assert store.read().compiled("production")["flags"]["a"]["on"] is False


@pytest.mark.parametrize(
    "change",
    [
        lambda store: keeping.set_keys(store, "a", {"percentage": 1}, by="ada", at=NOW),
        lambda store: put(store, "feature_flags: {new: {}}"),
        lambda store: keeping.delete(store, ["a"], by="ada", at=NOW),
        lambda store: put(store, BASE.replace("plan: staff", "plan: free")),
        lambda store: keeping.start_ramp(store, "a", "production", Decimal(50), by="ada", at=NOW),
    ],
)
def test_anything_else_waits(store, change):
    assert change(store).proposal is not None
    assert store.read().version == 1


def test_a_flag_that_is_not_for_the_protected_environment_is_nobody_elses_business(store):
    assert keeping.set_keys(store, "b", {"percentage": 7}, by="ada", at=NOW).proposal is None
    assert put(store, "feature_flags: {c: {environments: [staging]}}").proposal is None
    into = {"environments": ["staging", "production"]}
    assert keeping.set_keys(store, "c", into, by="ada", at=NOW).proposal is not None
    assert keeping.delete(store, ["b", "c"], by="ada", at=NOW).proposal is None


def test_a_flag_that_was_switched_off_is_not_changed_behind_the_approvers_back(store):
    keeping.disable(store, "a", by="ada", at=NOW)
    assert keeping.set_keys(store, "a", {"percentage": 99}, by="ada", at=NOW).proposal is not None


def test_enabling_again_waits_too(store):
    keeping.disable(store, "a", by="ada", at=NOW)
    assert keeping.enable(store, "a", by="ada", at=NOW).proposal is not None


def test_nobody_lifts_the_protection_alone(store):
    text = BASE.replace("[production]}\nseg", "[]}\nseg")
    proposal = put(store, text).proposal
    assert proposal.environments == ("production",)
    keeping.approve(store, proposal.id, by="bob", at=NOW)
    assert put(store, raised(text)).proposal is None


def test_a_proposed_ramp_runs_from_its_approval(store):
    proposal = keeping.start_ramp(store, "a", "production", Decimal(50), by="ada", at=NOW).proposal
    state = keeping.approve(store, proposal.id, by="bob", at=NOW).flags["a"].state("production")
    assert (state.ramp.target, state.ceiling) == (50, 5)
    assert keeping.stop_ramp(store, "a", "production", "ada", at=NOW, back=True).proposal is None


@pytest.mark.parametrize("back", [False, True], ids=["where it is", "at 0"])
def test_a_ramp_that_was_stopped_is_not_begun_again_alone(store, back):
    """It has the same target, so nothing of the snapshot moves until the ceiling is raised."""
    first = keeping.start_ramp(store, "a", "production", Decimal(50), by="ada", at=NOW).proposal
    keeping.approve(store, first.id, by="bob", at=NOW)
    keeping.stop_ramp(store, "a", "production", "ada", at=NOW, back=back)
    again = keeping.start_ramp(store, "a", "production", Decimal(50), by="ada", at=NOW)
    assert again.proposal is not None
    assert again.proposal.environments == ("production",)
    assert store.read().flags["a"].state("production").ramp.status == "stopped"
    done = keeping.approve(store, again.proposal.id, by="bob", at=NOW).flags["a"]
    assert done.state("production").ramp.status == "running"


def test_a_ramp_of_a_schedule_waits_though_it_begins_with_less(store):
    started = "scheduled_rollout: {start_date: 2026-11-20T00:00:00Z, increment: 10, interval: 1d}"
    text = BASE.replace("percentage: 5", started)
    keeping.approve(store, put(store, text).proposal.id, by="bob", at=NOW)
    ramp = keeping.start_ramp(store, "a", "production", Decimal(90), by="ada", at=NOW)
    assert ramp.proposal is not None


def test_a_ramp_elsewhere_is_nothing_to_a_protected_environment(store):
    ramp = keeping.start_ramp(store, "a", "staging", Decimal(50), by="ada", at=NOW)
    assert ramp.proposal is None
    assert ramp.changed


def test_approving_twice_at_once_carries_it_out_once(store, client):
    proposal = put(store, raised()).proposal
    other = memory_store(client.target)
    client.between = lambda: keeping.approve(other, proposal.id, by="eve", at=NOW)
    with pytest.raises(ApprovalRefused):
        keeping.approve(store, proposal.id, by="bob", at=NOW)
    assert store.read().version == 2


def test_a_rejection_in_between_wins_over_an_approval(store, client):
    proposal = put(store, raised()).proposal
    other = memory_store(client.target)
    client.between = lambda: keeping.reject(other, proposal.id, by="eve", at=NOW)
    with pytest.raises(ApprovalRefused, match="decided in between"):
        keeping.approve(store, proposal.id, by="bob", at=NOW)
    assert share(store) == 5000


@pytest.mark.parametrize("kind", ["before", "after"])
def test_an_approval_whose_answer_is_lost_is_carried_out_once(store, client, kind):
    proposal = put(store, raised()).proposal
    getattr(client, kind)[len(client.calls) + 2] = timeout()
    assert keeping.approve(store, proposal.id, by="bob", at=NOW).version == 2
    assert keeping.approve(store, proposal.id, by="bob", at=NOW).version == 2
    assert len(store.audit()) == 2


def test_what_was_looked_at_and_moved_is_a_conflict_not_a_proposal(store):
    keeping.set_keys(store, "a", {"percentage": 7}, environment="staging", by="eve", at=NOW)
    with pytest.raises(FlagConflict, match="eve"):
        put(store, raised(), touches={"a": 1})
    assert store.proposals() == []


def test_an_unknown_proposal_is_told(store):
    with pytest.raises(UnknownProposal, match="there is no such proposal"):
        keeping.approve(store, "p-1", by="bob", at=NOW)


ceilings = st.one_of(st.none(), st.integers(0, 100_000))


def compiled(on, ceiling):
    rule = {"id": "rollout", "share": 100_000, "serve": "on"}
    rule |= {} if ceiling is None else {"ceiling": ceiling}
    return {"segments": {}, "flags": {"a": {"on": on, "rules": [rule]}}}


@given(st.booleans(), ceilings, st.booleans(), ceilings)
def test_what_is_never_held_up_gives_the_flag_to_nobody_new(on, ceiling, on_after, ceiling_after):
    def reach(on, ceiling):
        return (100_000 if ceiling is None else ceiling) if on else 0

    if only_less(compiled(on, ceiling), compiled(on_after, ceiling_after)):
        assert reach(on_after, ceiling_after) <= reach(on, ceiling)
        # Even after it is switched on again, by a person, it is no more than it was.
        assert reach(True, ceiling_after) <= reach(True, ceiling)


GUARDED = """
approvals: {environments: [production]}
feature_flags:
  a: {percentage: 5, rollback_conditions: [error_rate > 0.02], service: shop}
"""


@pytest.mark.parametrize(
    ("old", "new", "waits"),
    [
        (", rollback_conditions: [error_rate > 0.02]", "", True),
        ("rollback_conditions", "signal_conditions", True),
        ("0.02", "0.5", True),
        ("service: shop", "service: other", True),
        ("> 0.02]", "> 0.02, response_time_p95 > 900]", False),
        ("service: shop", "service: shop, metadata: {owner: jo}", True),
    ],
)
def test_a_condition_that_others_counted_on_is_not_taken_away_alone(old, new, waits):
    store = memory_store(Table(TABLE))
    put(store, GUARDED)

    kept = put(store, GUARDED.replace(old, new))

    assert (kept.proposal is not None) is waits
    assert kept.changed is not waits
