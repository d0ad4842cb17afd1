from greenlane.deployments.phases import (
    DIES_BACKWARD,
    DIES_FORWARD,
    FOLLOWS,
    FREE,
    LEASED,
    REVERSIBLE,
    TERMINAL,
    WITHOUT_TRAFFIC,
    Phase,
)


def reachable(start):
    seen, ahead = set(), [start]
    while ahead:
        phase = ahead.pop()
        if phase not in seen:
            seen.add(phase)
            ahead += FOLLOWS[phase]
    return seen


def test_the_table_names_every_phase_and_no_other():
    assert set(FOLLOWS) == set(Phase)
    assert set().union(*FOLLOWS.values()) <= set(Phase)


def test_every_phase_is_reachable_from_planning():
    assert reachable(Phase.PLANNING) == set(Phase)


def test_the_end_of_a_deployment_is_an_end():
    assert FOLLOWS[Phase.REFUSED] == FOLLOWS[Phase.ROLLED_BACK] == frozenset()


def test_an_outcome_is_left_only_towards_the_end_of_the_watch_or_a_rollback():
    for phase in TERMINAL:
        assert FOLLOWS[phase] <= {Phase.RETIRED, Phase.ROLLING_BACK}


def test_every_deployment_that_does_not_run_can_be_left_to_the_next():
    assert set(Phase) == FREE | LEASED
    assert not FREE & LEASED
    assert FREE == TERMINAL


def test_a_rollback_may_begin_exactly_where_the_table_lets_it():
    begins = {phase for phase, after in FOLLOWS.items() if Phase.ROLLING_BACK in after}
    assert begins - {Phase.ROLLING_BACK} == set(REVERSIBLE)


def test_from_every_phase_traffic_can_end_on_one_version():
    good_ends = {Phase.ROLLED_BACK, Phase.RETIRED, Phase.REFUSED}
    assert all(reachable(phase) & good_ends for phase in Phase)


def test_a_dead_execution_is_answered_in_every_phase_that_has_one():
    running = LEASED - {Phase.ROLLING_BACK}
    assert running == DIES_BACKWARD | DIES_FORWARD
    assert not DIES_BACKWARD & DIES_FORWARD
    assert Phase.SHIFTING not in WITHOUT_TRAFFIC
    assert WITHOUT_TRAFFIC <= DIES_BACKWARD
