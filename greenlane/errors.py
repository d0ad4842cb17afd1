"""Every error that Greenlane raises on purpose.

::

    GreenlaneError
    ├── InvalidInput            a request or a file is wrong; nothing was changed
    │   ├── InvalidDocument     everything that is wrong with one file (greenlane.problems)
    │   ├── UnknownService      no service of that name was applied
    │   ├── UnknownDeployment   no deployment of that id
    │   ├── UnknownFlag         no flag of that key is stored
    │   ├── UnknownProposal     no change of flags waits under that id
    │   ├── UnknownTest         no A/B test of that name is stored
    │   ├── UnknownDatabase     no database of that name was applied
    │   ├── UnknownMigration    no run of a migration of that id
    │   ├── UnknownRestore      no restore of a database of that id
    │   ├── UnknownRollout      no rollout of that service through several Regions
    │   ├── IdempotencyKeyReused  the key of an HTTP request was sent with another request
    │   └── FlagsTooLarge       the flags, or one change of them, do not fit where they are stored
    ├── Refused                 plan looked at the live system and said no; nothing was changed
    │   ├── DeploymentInFlight  another deployment holds the service's lease
    │   ├── MigrationInFlight   another migration holds the database's lease
    │   ├── FlagConflict        somebody else changed the same flag in between
    │   ├── ApprovalRefused     this person may not decide about this change, or it is decided
    │   ├── DataLoss            undoing would lose what nobody has said may be lost
    │   ├── PreconditionFailed  what `If-Match` or `If-None-Match` names is not so
    │   └── Unsigned            nobody is known to have asked over the HTTP API
    ├── NotYet                  come back later: a workflow retries these
    │   ├── NotStable           the candidate's tasks are not all running and healthy
    │   ├── NotFinished         the task or hook before traffic, or a backup, still runs
    │   ├── NotDrained          the slot still receives requests
    │   ├── NotSettled          the rollback still watches over the weights it wrote
    │   ├── OwnerUnknown        nobody can say whether the rollback that was elected still lives
    │   ├── LeaseLingers        the migration that held the lease is dead; its last slice may not be
    │   └── CountersBusy        too many write the same counters of an A/B test; send it again
    ├── DeploymentFailed        the deployment must go back
    │   ├── UnstableCandidate   the candidate did not become stable within its deadline
    │   ├── ValidationFailed    a test, a warm-up, a hook or the task before traffic failed
    │   ├── JudgedBad           the evidence says fail
    │   ├── NoEvidence          the hold ended without enough evidence
    │   ├── DeadlineExceeded    `max_duration` passed
    │   ├── ApprovalMissing     nobody approved in time
    │   ├── CapacityShort       the slot's healthy tasks would not carry the next weight
    │   ├── WeightsDrifted      somebody else changed the live weights
    │   └── Aborted             a person said abort
    ├── MigrationFailed         a statement of a migration failed; what is exact to undo is undone
    ├── IncompleteRead          metrics came in part only: nothing may be concluded from them
    ├── FenceLost               the record moved on (a rollback began); write nothing more
    ├── NotTold                 a channel did not take a message; Lambda tries again
    ├── NotReconciled           a service could not be looked at; an alarm counts these
    ├── SignalRefused           a late, repeated or misplaced signal; it did nothing
    └── Held                    going back is not possible without a person; somebody was paged

The class names are part of the contract: state machines catch and retry by them.
"""

from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches


class GreenlaneError(Exception):
    """The root of every error that Greenlane raises on purpose."""


class InvalidInput(GreenlaneError):
    """A request, a file or an event is wrong; nothing was changed.

    Args:
        field: the dotted path of what is wrong, such as `deployment.steps.2`.
        value: the value found there.
        way_out: what would be accepted.
    """

    def __init__(self, field: str, value: object, way_out: str, *, line: int | None = None) -> None:
        self.field = field
        self.value = value
        self.way_out = way_out
        self.line = line
        where = f"line {line}: " if line is not None else ""
        super().__init__(f"{where}{field}: {value!r} is not accepted: {way_out}")


class UnknownService(InvalidInput):
    """No service of that name was applied."""

    def __init__(self, service: str, known: Sequence[str] = ()) -> None:
        names = f"known: {', '.join(known)}" if known else "none is known yet"
        super().__init__("service", service, f"{names}; register it with `greenlane apply -f FILE`")


class UnknownDeployment(InvalidInput):
    """No deployment of that id is on record."""

    def __init__(self, deployment_id: str) -> None:
        way_out = "see `greenlane history SERVICE` for the ids on record"
        super().__init__("deployment", deployment_id, way_out)


class UnknownFlag(InvalidInput):
    """No flag of that key is stored."""

    def __init__(self, flag: str, known: Sequence[str] = ()) -> None:
        close = get_close_matches(flag, known, n=1)
        near = f"; did you mean {close[0]}?" if close else ""
        super().__init__("flag", flag, f"there is no such flag{near}; see `greenlane flags list`")


class UnknownProposal(InvalidInput):
    """No change of flags waits under that id."""

    def __init__(self, proposal: str) -> None:
        way_out = "there is no such proposal; see `greenlane flags proposals`"
        super().__init__("proposal", proposal, way_out)


class UnknownTest(InvalidInput):
    """No A/B test of that name is stored."""

    def __init__(self, test: str, known: Sequence[str] = ()) -> None:
        close = get_close_matches(test, known, n=1)
        near = f"; did you mean {close[0]}?" if close else ""
        way_out = f"there is no such test{near}; see `greenlane experiments list`"
        self.known = tuple(known)
        super().__init__("ab_test", test, way_out)


class UnknownDatabase(InvalidInput):
    """No database of that name was applied."""

    def __init__(self, database: str, known: Sequence[str] = ()) -> None:
        close = get_close_matches(database, known, n=1)
        near = f"; did you mean {close[0]}?" if close else ""
        names = f"known: {', '.join(known)}{near}" if known else "none is known yet"
        super().__init__(
            "database", database, f"{names}; describe it with `greenlane apply -f FILE`"
        )


class UnknownMigration(InvalidInput):
    """No run of a migration of that id is on record."""

    def __init__(self, run: str) -> None:
        super().__init__("migration", run, "see `greenlane migrations list` for the ids on record")


class UnknownRestore(InvalidInput):
    """No restore of a database of that id is on record."""

    def __init__(self, restore: str) -> None:
        super().__init__("restore", restore, "see `greenlane migrations restore list` for the ids")


class UnknownRollout(InvalidInput):
    """No rollout of that service was begun in this Region."""

    def __init__(self, service: str) -> None:
        way_out = (
            "it never had a rollout in this Region; ask in the home Region of its coordinator, or "
            "begin one"
        )
        super().__init__("service", service, way_out)


class IdempotencyKeyReused(InvalidInput):
    """The `Idempotency-Key` was sent with another request before; nothing was changed."""

    def __init__(self, key: str) -> None:
        super().__init__(
            "Idempotency-Key",
            key,
            "it was sent with another request of this operation before; send that request for its "
            "answer, or another key to begin something new",
        )


class FlagsTooLarge(InvalidInput):
    """The flags, or one change of them, do not fit where they are stored; nothing was changed."""


class Refused(GreenlaneError):
    """Plan looked at the live system and said no; nothing was changed."""


class DeploymentInFlight(Refused):
    """Another deployment holds the service's lease."""


class MigrationInFlight(Refused):
    """Another migration holds the database's lease."""


class FlagConflict(Refused):
    """Somebody else changed the same flag in between; nothing was changed.

    Args:
        what: the flag's key, or `segment:<name>`.
        by: who changed it.
        at: when, aware.
        version: of the flags with that change.
    """

    def __init__(self, what: str, by: str, at: datetime | None, version: int) -> None:
        self.what, self.by, self.at, self.version = what, by, at, version
        when = f" at {at:%Y-%m-%d %H:%M:%S} UTC" if at is not None else ""
        super().__init__(
            f"{what.rstrip(':')}: {by or 'somebody'} changed it{when} (version {version}) while "
            "you did; look at it again and repeat your change"
        )


class ApprovalRefused(Refused):
    """This person may not decide about this change, or it was decided or overtaken before."""


class DataLoss(Refused):
    """Undoing migrations would lose data, or cannot be done; nothing was changed.

    Args:
        objects: what would be lost, such as `public.orders.note`, or `0007_expand:3` for a
            statement by its line; each has to be accepted by that name.
        reasons: for each of them, why.
    """

    def __init__(self, objects: Sequence[str], reasons: Sequence[str]) -> None:
        self.objects = tuple(objects)
        self.reasons = tuple(reasons)
        told = "; ".join(
            f"{name}: {why}" for name, why in zip(self.objects, self.reasons, strict=True)
        )
        named = " ".join(f"--accept-data-loss {name}" for name in self.objects)
        super().__init__(f"undoing would lose data ({told}); to do so all the same: {named}")


class PreconditionFailed(Refused):
    """What `If-Match` or `If-None-Match` names is not so; nothing was changed."""


class Unsigned(Refused):
    """Nobody is known to have asked over the HTTP API; nothing was changed."""


class NotYet(GreenlaneError):
    """Come back later: a workflow retries these."""


class NotStable(NotYet):
    """The candidate's tasks are not all running and healthy yet."""


class NotFinished(NotYet):
    """The task or hook before traffic, or a backup, still runs."""


class NotDrained(NotYet):
    """The slot still receives requests."""


class NotSettled(NotYet):
    """The rollback still watches over the weights it wrote."""


class OwnerUnknown(NotYet):
    """Another rollback was elected, and nobody can say whether it still lives."""


class LeaseLingers(NotYet):
    """The migration that held the lease is dead, and a slice of it may still run until it ends."""


class CountersBusy(NotYet):
    """Too many others write the same counters of an A/B test, or the table does not answer.

    Whatever was sent may be sent once more: what got in before does not count twice.
    """


class DeploymentFailed(GreenlaneError):
    """The deployment must go back."""


class UnstableCandidate(DeploymentFailed):
    """The candidate did not become stable within its deadline."""


class ValidationFailed(DeploymentFailed):
    """A validation test, a warm-up, a hook or the task before traffic failed."""


class JudgedBad(DeploymentFailed):
    """The evidence says fail."""


class NoEvidence(DeploymentFailed):
    """The hold ended without enough evidence."""


class DeadlineExceeded(DeploymentFailed):
    """The deployment's `max_duration` passed."""


class ApprovalMissing(DeploymentFailed):
    """Nobody approved in time."""


class CapacityShort(DeploymentFailed):
    """The slot's healthy tasks would not carry the next weight."""


class WeightsDrifted(DeploymentFailed):
    """Somebody else changed the live weights."""


class Aborted(DeploymentFailed):
    """A person said abort."""


class MigrationFailed(GreenlaneError):
    """A statement of a database migration failed."""


class IncompleteRead(GreenlaneError):
    """Metrics came in part only: nothing may be concluded from them."""


class FenceLost(GreenlaneError):
    """The record moved on, so this deployment may write nothing more."""


class NotTold(GreenlaneError):
    """A channel that tells people did not take a message, and may later."""


class NotReconciled(GreenlaneError):
    """A service could not be looked at, so what events lost stays lost until somebody acts."""


class SignalRefused(GreenlaneError):
    """A late, repeated or misplaced signal; it did nothing."""


class Held(GreenlaneError):
    """Going back is not possible without a person; somebody was paged."""
