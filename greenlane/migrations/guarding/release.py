"""Whether a contract may run: nothing that needs the old shape runs or may come back. Pure; no I/O.

A contract takes away what versions before `min_app` read or write. It is refused while a task of
such a version runs, and while a way back leads to one: the other slot, or a version that `undo` may
still bring back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from greenlane.migrations.guarding.versions import is_older

WAIVED_BY = "rollback-target-too-old"
"""The rule that a named person overrides to give up the ways back; what runs is never waived."""

_MOST_NAMED = 10


@dataclass(frozen=True)
class InUse:
    """A version that runs, or that a way back leads to.

    Args:
        version: None where nobody knows which it is.
        standing: whether it `runs`, or `may come back`.
        where: what runs it, or would: a task, a slot, a deployment.
        way_out: what a person does about it.
    """

    version: str | None
    standing: Literal["runs", "may come back"]
    where: str
    way_out: str


def refusals(
    min_app: str, in_use: Sequence[InUse], shipped: Sequence[str], *, waived: bool = False
) -> tuple[str, ...]:
    """Why a contract may not run; empty when it may.

    Args:
        min_app: the first version that no longer needs the old shape.
        in_use: everything that runs or may come back.
        shipped: the service's versions, in the order in which they were first shipped.
        waived: whether a named person gave up the ways back to older versions.
    """
    found = [
        one
        for one in in_use
        if is_older(one.version, min_app, shipped) and (one.standing == "runs" or not waived)
    ]
    said = [
        f"{one.where} {_VERBS[one.standing]} {one.version or 'a version that nobody knows'}, "
        f"older than {min_app}: {one.way_out}"
        for one in found[:_MOST_NAMED]
    ]
    if len(found) > _MOST_NAMED:
        said.append(f"and {len(found) - _MOST_NAMED} more")
    return tuple(said)


_VERBS = {"runs": "runs", "may come back": "may bring back"}
