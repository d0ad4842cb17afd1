"""The winning flag is ramped: recorded once, by the way on which people ramp flags."""

from greenlane.durations import format_seconds
from greenlane.errors import FlagConflict, InvalidInput, Refused
from greenlane.experiments.model import WinnerFlag
from greenlane.experiments.running.runtime import ExperimentRuntime
from greenlane.experiments.storing.state import StoredTest
from greenlane.flags.ramps.ramp import percent
from greenlane.flags.storing.ramp_records import start_ramp


def flag_to_ramp(test: StoredTest) -> WinnerFlag | None:
    """The flag that this end ramps; None where it ramps none."""
    flag = test.definition.winner_flag
    if test.verdict != "ship" or flag is None or flag.on_ship != "ramp":
        return None
    return flag if flag.variant in (None, test.serve) else None


def ramp_winner(runtime: ExperimentRuntime, test: StoredTest) -> str:
    """Record the ramp of the winning flag, unless that was done; what became of it, in words.

    A flag that cannot be ramped (it is off, it has a ramp, nobody knows it) is told of and left to
    people: trying again would undo what they decided about it.

    Raises:
        FlagConflict: others change the flag without end; nothing was recorded.
        ClientError: the table of flags did not answer.
    """
    flag = flag_to_ramp(test)
    if flag is None:
        return left_to_people(test)
    if found := begun_before(runtime, test):
        return found
    try:
        kept = start_ramp(
            runtime.flags,
            flag.name,
            flag.environment,
            flag.percentage,
            flag.increment,
            flag.interval,
            _by(test),
            at=runtime.clock.now(),
            reason=f"{test.serve} won the A/B test {test.name}",
        )
    except FlagConflict:
        raise
    except (Refused, InvalidInput) as error:
        return f"{flag.name} is not ramped: {error}"
    if kept.proposal is not None:
        return _waits(flag, kept.proposal.id)
    return _begun(flag)


def left_to_people(test: StoredTest) -> str:
    """What is told of a flag that this end does not ramp; nothing where there is none."""
    named = test.definition.winner_flag
    if named is None or test.verdict != "ship":
        return ""
    way = f"greenlane flags ramp {named.name} --environment {named.environment} --to PERCENT"
    return f"{named.name} is left to you: {way}"


def begun_before(runtime: ExperimentRuntime, test: StoredTest) -> str:
    """What an earlier try recorded; nothing where it recorded none."""
    flag, by = flag_to_ramp(test), _by(test)
    if flag is None:
        return ""
    for entry in runtime.flags.audit(flag.name, limit=200):
        if by in (entry.by, entry.author):
            return _begun(flag)
    for proposal in runtime.flags.proposals():
        if proposal.by == by:
            return _waits(flag, proposal.id)
    return ""


def _by(test: StoredTest) -> str:
    """Who the audit of flags says it was: this end of this run, and no other."""
    return f"greenlane, A/B test {test.name} run {test.run}"


def _begun(flag: WinnerFlag) -> str:
    to, step = percent(flag.percentage), percent(flag.increment)
    each = format_seconds(flag.interval.total_seconds())
    return f"{flag.name} is ramped to {to} in {flag.environment}, {step} each {each}"


def _waits(flag: WinnerFlag, proposal: str) -> str:
    return (
        f"the ramp of {flag.name} in {flag.environment} waits for a second person: greenlane flags "
        f"approve {proposal}"
    )
