"""What people do behind Greenlane's back, and the seeds that showed what came of it."""

import pytest

from greenlane.deployments.phases import Phase
from tests.faults.account import Account
from tests.faults.following import image
from tests.faults.hands import Hands
from tests.faults.moments import at_phase
from tests.faults.scenes import Scene
from tests.faults.schedules import play

HALF = {"blue": 50, "green": 50}
ALL_ON_GREEN = {"blue": 0, "green": 100}


@pytest.mark.parametrize(
    "seed",
    [
        28,  # traffic by hand to a slot that is being abandoned: nobody was told for three hours
        58,  # the bad version's traffic by hand while it drains: it kept it, and the lease
        88,  # the same in preparing, which is why it was abandoned
        179,  # in the very moment in which its tasks are stopped
        843,  # a person puts the weights right before Greenlane does
        2641,  # stickiness comes back over weights that a person wrote
    ],
)
def test_seeds_that_were_broken_once(seed: int) -> None:
    assert play(seed).broken == []


def test_weights_written_in_a_bake_are_not_built_upon() -> None:
    def drift(account: Account) -> None:
        account.kernel.after(100, lambda: account.hands.write_weights(HALF))

    verdict, account = Scene().play(also=drift)
    assert (verdict.outcome, verdict.broken) == ("rolled_back", [])
    assert account.weights() == {"blue": 100, "green": 0}


def test_weights_written_while_the_bad_slot_drains_are_put_back_within_a_minute() -> None:
    back: list[float] = []

    def drift(account: Account) -> None:
        def write() -> None:
            began = account.kernel.seconds
            account.hands.write_weights(HALF)

            def look(caller: str, operation: str, sent: float) -> None:
                if operation == "modify_rule" and not account.weights()["green"]:
                    back.append(sent - began)

            account.looks.append(look)

        at_phase(account, Phase.ROLLING_BACK, write, after=70)

    verdict, _ = Scene(bad=True).play(also=drift)
    assert (verdict.outcome, verdict.broken) == ("rolled_back", [])
    assert back[0] <= 60


def test_traffic_given_to_a_slot_that_is_abandoned_does_not_hold_the_lease_for_hours() -> None:
    def drift(account: Account) -> None:
        account.kernel.after(40, lambda: account.hands.write_weights(ALL_ON_GREEN))

    verdict, account = Scene().play(also=drift)
    assert (verdict.outcome, verdict.broken) == ("rolled_back", [])
    assert account.weights() == {"blue": 100, "green": 0}
    assert verdict.seconds < 1800


def test_weights_written_after_the_end_stand_and_are_told() -> None:
    def drift(account: Account) -> None:
        at_phase(account, Phase.WATCHING, lambda: account.hands.write_weights(HALF), after=30)

    verdict, account = Scene().play(also=drift)
    assert verdict.broken == []
    assert account.weights() == HALF
    assert [text for text in account.topic.messages if "the live weights are" in text]


@pytest.mark.parametrize("bad", [False, True])
def test_a_next_deployment_is_refused_in_flight_and_admitted_after(bad: bool) -> None:
    def start(account: Account) -> None:
        account.kernel.after(100, lambda: _ask(account, "d-2", "c"))
        at_phase(account, Phase.WATCHING, lambda: _ask(account, "d-3", "d"), after=0.5)
        at_phase(account, Phase.ROLLED_BACK, lambda: _ask(account, "d-3", "d"), after=0.5)

    verdict, account = Scene(bad=bad).play(also=start)
    ended = {arn.rsplit(":", 1)[1]: one for arn, one in account.executions.items()}
    assert ended["d-2"].error == "DeploymentInFlight"
    assert (ended["d-3"].status, verdict.outcome) == ("SUCCEEDED", "retired")
    assert verdict.broken == []


def _ask(account: Account, name: str, letter: str) -> None:
    account.deploy(name, image=image(letter))


def test_hands_are_known_by_what_they_did() -> None:
    account = Account()
    hands = Hands(account)
    hands.resize("blue", 1)
    assert hands.resized == {"blue"}
    assert hands.wrote_at is None
    hands.write_weights(HALF)
    assert (hands.wrote_at, account.weights()) == (0.0, HALF)
