"""Looking after what is stored: environments that are gone."""

from datetime import datetime

from greenlane.errors import Refused
from greenlane.flags.storing.state import ANYWHERE, StoredFlags, named_environments, same
from greenlane.flags.storing.store import FlagStore
from greenlane.flags.storing.submitting import Kept, known, submit


def forget(store: FlagStore, environment: str, *, by: str, reason: str = "", at: datetime) -> Kept:
    """Take out the snapshot of an environment that nothing names any more.

    Who still asks there gets the snapshot of `*`, so that one must say the same: nothing changes
    for anybody.

    Args:
        store: where flags are kept.
        environment: its name.
        by: who.
        reason: for the audit.
        at: when.

    Raises:
        InvalidInput: there is no such environment.
        Refused: a flag or the approvals name it, or a flag is otherwise there than in `*`.
    """

    def edit(flags: StoredFlags) -> StoredFlags:
        known(flags, environment)
        if environment in named_environments(flags):
            raise Refused(f"{environment}: {_naming(flags, environment)}")
        here, elsewhere = (flags.compiled(name)["flags"] for name in (environment, ANYWHERE))
        if other := [key for key in here if not same(here[key], elsewhere[key])]:
            raise Refused(
                f"{environment}: {', '.join(other[:5])} would change for who still asks there; "
                "see `greenlane flags get`, and make it the same in * first"
            )
        kept = {
            key: one.model_copy(
                update={
                    "states": {
                        name: state for name, state in one.states.items() if name != environment
                    }
                }
            )
            if environment in one.states
            else one
            for key, one in flags.flags.items()
        }
        left = tuple(name for name in flags.environments if name != environment)
        return flags.model_copy(update={"flags": kept, "environments": left})

    return submit(store, edit, by=by, reason=reason, at=at)


def _naming(flags: StoredFlags, environment: str) -> str:
    if environment == ANYWHERE:
        return "it is for all that no flag names, and stays"
    for key, one in sorted(flags.flags.items()):
        if environment in (*one.flag.environments, *one.flag.per_environment):
            return f"the flag {key} names it; take it out there first"
    return "the approvals name it; take it out there first"
