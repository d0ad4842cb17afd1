"""Ask people about a restore, and keep the token of the workflow that waits."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.restoring.asking import AskEvent, ask_about_restore
from greenlane.migrations.restoring.runtime import RestoreRuntime


@entrypoint
def handler(event: AskEvent, runtime: RestoreRuntime) -> None:
    """The callback of the state machine of restores; it ends when somebody answers."""
    ask_about_restore(event, runtime)
