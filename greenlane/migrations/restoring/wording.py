"""What people read of a restore: what is lost, what remains, and commands. Pure; no I/O."""

from collections.abc import Iterable
from datetime import datetime

from greenlane.durations import format_seconds
from greenlane.migrations.restoring.estimating import losses, rpo_seconds, rto_said
from greenlane.migrations.restoring.model import RestorePlan, RestoreRun


def facts_of(run: RestoreRun, now: datetime) -> dict[str, str]:
    """What somebody has to know to decide, most important first.

    Args:
        run: the restore.
        now: writing goes on until now at least, unless somebody said that it is stopped.
    """
    plan, point = run.plan, run.plan.point
    until, grows = now, " until now, and more each second"
    if run.writers is not None and run.writers.says == "stopped":
        until, grows = run.writers.at, ", until what wrote was stopped"
    # Copying tables back loses nothing, and what was not cut over lost nothing.
    lost, rpo = "lost", "RPO"
    if run.request.mode == "salvage" or run.outcome not in (None, "cut_over"):
        lost, rpo = "a cutover would lose", "RPO of a cutover"
    found = {
        lost: "; ".join(losses(plan, run.looked, until)),
        rpo: f"{rpo_seconds(point, until):.0f} seconds of writes{grows}",
        "RTO": rto_said(plan.rto),
        "goes back to": f"{point.at:%Y-%m-%d %H:%M:%S} UTC, before {point.run}, by {point.source}",
        "old": f"{plan.kind} {plan.old}, which stays",
        "new": plan.new,
    }
    if run.restored is not None:
        seconds = run.restored.seconds
        took = "" if seconds is None else f"restoring took {format_seconds(seconds)}; "
        found["RTO"] = f"{took}what is left takes seconds, and then clients have to move"
        found["new"] = f"{plan.new}, {run.restored.host}:{run.restored.port}"
    if run.looked is not None:
        last = run.looked.migration or "none"
        found["last migration in it"] = f"{last} ({run.looked.phase})" if run.looked.phase else last
        if run.looked.wal_bytes is not None:
            found["WAL since"] = f"{run.looked.wal_bytes} bytes, rows, indexes, vacuum and all"
    if run.restored is not None and run.restored.unlike:
        found["otherwise in the new one"] = "; ".join(run.restored.unlike)
    if plan.not_copied:
        found["not in the new one"] = ", ".join(plan.not_copied)
    return found


def delete_commands(plan: RestorePlan) -> tuple[str, ...]:
    """What deletes the new database. Greenlane has no permission to.

    Without a final snapshot: it is a copy of what a backup holds.
    """
    what, name = f"db-{plan.kind}", f"--db-{plan.kind}-identifier {plan.new}"
    found = []
    if plan.deletion_protection:
        found.append(f"aws rds modify-{what} {name} --no-deletion-protection --apply-immediately")
    found += [
        f"aws rds delete-db-instance --db-instance-identifier {member} --skip-final-snapshot"
        for member in reversed(plan.members)
    ]
    found.append(f"aws rds delete-{what} {name} --skip-final-snapshot")
    return tuple(found)


def way_back(run: RestoreRun) -> tuple[str, ...]:
    """What takes a cutover back: the old database is as it was, without what was written since.

    All that may have been written is named, for one that died halfway has not said how far it got.
    """
    found = []
    if run.request.writes_secret and run.described.secret is not None:
        found.append(f"write {run.described.endpoint.host} into the secret {run.described.secret}")
    found.append(
        f"write {run.described.endpoint.host}:{run.described.endpoint.port} into "
        f"{endpoint_parameter(run)}"
    )
    found.append("apply the old description of the database again")
    return tuple(found)


def remains(run: RestoreRun) -> tuple[str, ...]:
    """What people still have to do after a cutover."""
    plan = run.plan
    found = [
        f"move what does not read {endpoint_parameter(run)}: DNS names, proxies, other secrets",
        f"end what still writes to {plan.old}: it is lost",
        f"name {plan.new} in the file of databases, and with its resource id in Greenlane's "
        "settings, before the next migration",
        f"make CloudFormation, or what made {plan.old}, know {plan.new}; until then an update "
        "changes the old one",
        f"point alarms, dashboards, backup plans and event subscriptions at {plan.new}",
    ]
    if plan.not_copied:
        found.append(f"add what the new one does not have: {', '.join(plan.not_copied)}")
    if not any(one.startswith("secret ") for one in run.cut) and run.described.secret is not None:
        found.append(f"the secret {run.described.secret} still names the old host, if it names one")
    found.append(f"when nobody needs it any more, take a last snapshot of {plan.old} and delete it")
    return tuple(found)


def endpoint_parameter(run: RestoreRun) -> str:
    """The SSM parameter in which applications find where the database is."""
    return f"{run.described.parameter_of(run.database)}/endpoint"


def listed(said: Iterable[str]) -> str:
    """Several things to do, numbered, one on each line."""
    return "\n".join(f"{number}. {one}" for number, one in enumerate(said, 1))
