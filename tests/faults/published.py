"""What is published beside the matrix: what a gone permission may leave, and what has no row.

Everything that is not on these lists must end whole, whatever is struck. The page of the matrix
prints them; the cases are those of "When it is held" in docs/rollback.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.faults.faults import Kind

Call = tuple[str, str]
"""A function's module, and a call as `service.operation`."""


@dataclass(frozen=True)
class Denied:
    """What may be left when a function may not make these calls any more.

    Args:
        function: its module.
        calls: each as `service.operation`.
        ends: the phases in which it may end besides those of a whole end.
        why: what follows, in words.
        case: the row of the list in docs/rollback.md.
        leaves: whether auto scaling, tasks or stickiness may be left as they are.
        splits: whether traffic may be left split, since nobody goes on.
    """

    function: str
    calls: tuple[str, ...]
    ends: tuple[str, ...]
    why: str
    case: int
    leaves: bool = False
    splits: bool = False


STAYED = "stayed"
"""The end of a version that should have gone back, and that serves on as if nobody had asked."""

_STUCK = (STAYED, "planning", "preparing", "shifting", "promoted", "rolling_back", "watching")

DENIED = (
    Denied(
        "take_traffic_back",
        ("elbv2.modify_rule",),
        ("held",),
        "the traffic stays where it was",
        case=2,
    ),
    Denied(
        "take_traffic_back",
        ("elbv2.describe_target_health",),
        ("held",),
        "a good slot that was let go gets no traffic unseen; any other does",
        case=2,
    ),
    Denied(
        "take_traffic_back",
        ("dynamodb.update_item",),
        (STAYED, "watching", "promoted", "shifting", "preparing", "rolling_back"),
        "a person's rollback, and one after the watch, know the way back from the table alone",
        case=4,
    ),
    Denied(
        "hold_traffic",
        (
            "elbv2.describe_rules",
            "elbv2.describe_target_health",
            "elbv2.modify_rule",
            "ecs.describe_services",
            "ecs.update_service",
            "application-autoscaling.register_scalable_target",
        ),
        ("held",),
        "the traffic is back as far as the good slot carries it, and nobody can keep it there",
        case=3,
    ),
    Denied(
        "hold_traffic",
        ("dynamodb.get_item", "dynamodb.update_item"),
        ("held",),
        "the traffic is back and is kept there for 900 looks",
        case=6,
    ),
    Denied(
        "empty_slot",
        ("dynamodb.update_item", "elbv2.describe_target_health", "elbv2.modify_rule"),
        ("held",),
        "somebody gave the bad slot traffic while it drained, and nobody can put it back",
        case=3,
        leaves=True,
        splits=True,
    ),
    Denied(
        "close_rollback",
        ("dynamodb.get_item", "dynamodb.update_item"),
        ("rolling_back",),
        "the traffic is back and the bad slot empty, or both slots are sick; nobody can write so",
        case=8,
        leaves=True,
    ),
    Denied(
        "judge_step",
        ("dynamodb.get_item", "dynamodb.put_item", "dynamodb.update_item"),
        ("promoted",),
        "before promotion it goes back; after it, the watch does not end",
        case=8,
    ),
    Denied(
        "start_bake",
        ("dynamodb.get_item", "dynamodb.update_item"),
        ("promoted",),
        "before promotion it goes back; after it, the watch does not end",
        case=8,
    ),
    Denied(
        "drain_slot",
        ("dynamodb.get_item", "elbv2.describe_rules"),
        ("promoted",),
        "the old slot keeps its tasks",
        case=8,
    ),
    Denied(
        "finish_deployment",
        ("dynamodb.get_item", "dynamodb.update_item"),
        ("promoted",),
        "the old slot keeps its tasks",
        case=8,
    ),
    Denied(
        "reconcile",
        ("dynamodb.get_item", "dynamodb.query", "dynamodb.update_item"),
        _STUCK,
        "no watch ends, and what events lost is not found",
        case=9,
        leaves=True,
        splits=True,
    ),
    Denied(
        "reconcile",
        ("stepfunctions.describe_execution", "stepfunctions.start_execution"),
        _STUCK,
        "what events lost is not found, or found and not acted upon",
        case=9,
        leaves=True,
        splits=True,
    ),
    Denied(
        "reconcile",
        ("cloudwatch.describe_alarms",),
        (STAYED, "watching"),
        "an alarm whose event got lost is not found",
        case=9,
        leaves=True,
    ),
    Denied(
        "reconcile",
        (
            "application-autoscaling.register_scalable_target",
            "dynamodb.put_item",
            "ecs.describe_services",
            "ecs.list_tasks",
            "ecs.stop_task",
            "ecs.update_service",
            "elbv2.describe_rules",
            "elbv2.modify_rule",
        ),
        ("watching",),
        "what it should end, such as the old slot's tasks, is left; it goes on trying",
        case=9,
        leaves=True,
    ),
)

ELSEWHERE = {
    1: "both slots sick",
    5: "tests/unit/rollback/test_take_back.py::test_both_slots_sick_holds_and_writes_nothing",
    7: "tests/unit/rollback/test_losers.py"
    "::test_one_that_went_back_without_the_table_and_wrongly_is_for_a_person",
}
"""What shows the cases that no permission leads to: a disturbed scene, or a test."""


@dataclass(frozen=True)
class GoesBack:
    """Where one fault that passes by itself takes a good version back, or keeps it from beginning.

    Args:
        function: its module.
        call: as `service.operation`.
        kinds: of faults.
        why: why that is right.
    """

    function: str
    call: str
    kinds: tuple[Kind, ...]
    why: str


_NO_ANSWER: tuple[Kind, ...] = ("after", "timeout", "late")
_HOOK = (
    "a hook of the user's that may have run and did not answer: it is not called a second time, "
    "and what it would have said is not known"
)

GOES_BACK = (
    GoesBack("judge_step", "lambda.invoke", _NO_ANSWER, _HOOK),
    GoesBack("run_pre_traffic", "lambda.invoke", _NO_ANSWER, _HOOK),
)
"""Every other fault but a permission that is gone must be absorbed: the end is the usual one."""


@dataclass(frozen=True)
class May:
    """What a cell may leave: see `tests.faults.check.judge`.

    `turn`: it may end otherwise than without the fault, though as its scene allows.
    """

    hold: bool = False
    leave: bool = False
    splits: bool = False
    turn: bool = False
    ends: tuple[str, ...] = ()

    def unlisted(self, broken: list[str], outcome: str) -> list[str]:
        """Without a split, or a version that should have gone back, that is on the list."""
        listed: tuple[str, ...] = ("traffic is split",) if self.splits else ()
        if outcome == STAYED and STAYED in self.ends:
            listed += ("all traffic is on",)
        return [one for one in broken if not one.startswith(listed)]


def denied(call: Call) -> Iterator[Denied]:
    """The entries about a call."""
    function, name = call
    return (one for one in DENIED if one.function == function and name in one.calls)


def allowed(call: Call, kind: Kind) -> May:
    """What the published lists allow a cell."""
    found = list(denied(call)) if kind == "denied" else []
    return May(
        hold=bool(found),
        turn=kind == "denied"
        or any((one.function, one.call) == call and kind in one.kinds for one in GOES_BACK),
        leave=any(one.leaves for one in found),
        splits=any(one.splits for one in found),
        ends=tuple(end for one in found for end in one.ends),
    )
