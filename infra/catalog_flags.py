"""The functions that ramp feature flags and switch them off."""

from infra.function_spec import FunctionSpec
from infra.permissions import Permissions
from infra.roles import Allow


def _judges_flags(may: Permissions) -> list[Allow]:
    """What judging asks for: the flags, the service behind one, its metrics; and telling of it."""
    return [
        may.flags("GetItem", "PutItem", "Query"),
        may.table("GetItem", "Query"),
        may.read_workloads(),
        may.see_metrics(),
        may.query_prometheus(),
        may.tell(),
    ]


FLAGS = (
    FunctionSpec(
        "judge_flag",
        "flags",
        _judges_flags,
    ),
    FunctionSpec("raise_flag", "flags", lambda may: [may.flags("GetItem", "PutItem", "Query")]),
    FunctionSpec(
        "stop_flags",
        "flags",
        _judges_flags,
    ),
    FunctionSpec(
        "tick_flags",
        "flags",
        lambda may: [
            *_judges_flags(may),
            may.see_alarms(),
            may.keep_flag_alarms(),
            *may.ramp_flags(),
        ],
        tick=True,
    ),
)
