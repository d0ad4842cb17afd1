"""The functions that look at A/B tests and end them."""

from infra.function_spec import FunctionSpec
from infra.permissions import Permissions
from infra.roles import Allow


def _ends_experiments(may: Permissions) -> list[Allow]:
    """What the end of a test asks for: the record, the winning flag, the report, the news."""
    return [
        may.experiments("GetItem", "PutItem", "UpdateItem", "Query"),
        may.flags("GetItem", "PutItem", "Query"),
        may.table("GetItem", "Query"),
        may.write_experiment_reports(),
        may.tell(),
    ]


EXPERIMENTS = (
    FunctionSpec(
        "judge_experiment",
        "experiments",
        lambda may: [may.experiments("GetItem", "PutItem", "UpdateItem", "Query")],
        # A look after hundreds walks through all of them; memory buys CPU.
        memory_mb=1024,
    ),
    FunctionSpec("conclude_experiment", "experiments", _ends_experiments),
    FunctionSpec(
        "stop_experiments",
        "experiments",
        lambda may: [
            *_ends_experiments(may),
            may.end_experiments(),
            may.read_workloads(),
            may.see_metrics(),
            may.query_prometheus(),
            may.see_alarms(),
        ],
    ),
    FunctionSpec(
        "tick_experiments",
        "experiments",
        lambda may: [
            *_ends_experiments(may),
            *may.run_experiments(),
            may.read_workloads(),
            may.see_metrics(),
            may.query_prometheus(),
            may.see_alarms(),
        ],
        tick=True,
    ),
)
