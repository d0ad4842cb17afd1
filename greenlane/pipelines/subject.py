"""What can be done with the five things that a request may be about: begin, look, abort."""

from greenlane.deployments.client import Greenlane
from greenlane.deployments.model import DeploymentRequest
from greenlane.pipelines.book import End, Entry
from greenlane.pipelines.changing import change_experiment, change_flag
from greenlane.pipelines.deploying import abort_deployment, begin_deployment, look_at_deployment
from greenlane.pipelines.migrating import abort_migration, begin_migration, look_at_migration
from greenlane.pipelines.model import (
    ExperimentAsked,
    FlagAsked,
    MigrationAsked,
    RolloutAsked,
    Subject,
)
from greenlane.pipelines.rolling_out import abort_rollout, begin_rollout, look_at_rollout
from greenlane.pipelines.seen import Seen


def begin(greenlane: Greenlane, subject: Subject, entry: Entry) -> End | None:
    """Begin what is asked, or find that it has begun; its end, for what is done at once.

    Raises:
        InvalidInput, Refused: it cannot be; nothing was changed.
    """
    match subject:
        case DeploymentRequest():
            begin_deployment(greenlane, subject, entry)
        case RolloutAsked():
            begin_rollout(greenlane, subject, entry)
        case MigrationAsked():
            begin_migration(greenlane, subject, entry)
        case FlagAsked():
            return change_flag(greenlane, subject, entry)
        case ExperimentAsked():
            return change_experiment(greenlane, subject, entry)
    return None


def look(greenlane: Greenlane, entry: Entry) -> Seen:
    """Where it stands."""
    match entry.kind:
        case "deployment":
            return look_at_deployment(greenlane, entry)
        case "rollout":
            return look_at_rollout(greenlane, entry)
        case "migration":
            return look_at_migration(greenlane, entry)
    return Seen(End(name="failed", reason=f"a change of a {entry.kind} ends when it begins"))


def abort(greenlane: Greenlane, entry: Entry) -> str:
    """Have it go back, as far as it has not been found good; what became of that, in words.

    Raises:
        NotFinished: it cannot be said yet; ask again.
    """
    match entry.kind:
        case "deployment":
            return abort_deployment(greenlane, entry)
        case "rollout":
            return abort_rollout(greenlane, entry)
        case "migration":
            return abort_migration(greenlane, entry)
    return "it was done at once; nothing is under way"
