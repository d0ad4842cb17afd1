"""Every function of the product: its module, its limits, its permissions."""

from infra.catalog_experiments import EXPERIMENTS
from infra.catalog_flags import FLAGS
from infra.catalog_pipelines import PIPELINES
from infra.function_spec import FunctionSpec
from infra.permissions import Permissions
from infra.permissions_releases import migrate_with_release, see_release_plans
from infra.roles import Allow


def _nothing(_: Permissions) -> list[Allow]:
    return []


READ = ("GetItem",)
WRITE = ("GetItem", "PutItem", "UpdateItem")
REVISIONS = ("DescribeTaskDefinition", "ListTaskDefinitions")

FORWARD = (
    FunctionSpec(
        "plan_deployment",
        "forward",
        lambda may: [
            may.table(*WRITE, "Query"),
            may.see_traffic("Rules", "TargetHealth", "TargetGroupAttributes"),
            may.write_rule("ModifyRule", "AddTags"),
            may.see_services(),
            may.see_task_definitions("DescribeTaskDefinition"),
            may.see_images(),
            *may.see_scans(),
            may.see_alarms(),
            may.see_metrics(),
            may.query_prometheus(),
            may.read_workloads(),
            *see_release_plans(may.migrations),
            may.tell(),
        ],
        # Metrics, a Prometheus and scans may each be slow; nothing has been touched yet.
        timeout_seconds=120,
    ),
    FunctionSpec(
        "expand_database",
        "forward",
        lambda may: [may.table("GetItem", "PutItem"), *migrate_with_release(may.migrations)],
    ),
    FunctionSpec(
        "prepare_slot",
        "forward",
        lambda may: [
            may.table(*WRITE),
            may.see_services(),
            may.change_services("UpdateService"),
            may.see_task_definitions(*REVISIONS),
            *may.register_task_definitions(),
            may.pass_task_roles(),
            may.see_scaling(),
            may.change_scaling(),
        ],
    ),
    FunctionSpec(
        "check_stability",
        "forward",
        lambda may: [
            may.table(*WRITE),
            may.see_services(),
            may.change_services("UpdateService"),
            may.change_scaling(),
            may.list_tasks(),
            may.see_tasks(),
            may.see_traffic("TargetHealth"),
        ],
    ),
    FunctionSpec(
        "run_pre_traffic",
        "forward",
        lambda may: [
            may.table(*WRITE, "Query"),
            *may.see_scans(),
            may.see_metrics(),
            may.query_prometheus(),
            may.see_services(),
            may.run_tasks(),
            may.see_tasks(),
            may.pass_task_roles(),
            may.call_hooks(),
        ],
        timeout_seconds=300,  # hooks, one after the other
    ),
    # Makes no AWS calls: a public balancer is not reachable from its network, nor is AWS.
    FunctionSpec("validate_slot", "forward", _nothing, timeout_seconds=300, in_vpc=True),
    FunctionSpec(
        "shift_traffic",
        "forward",
        lambda may: [
            may.table(*WRITE),
            may.see_traffic("Rules", "TargetHealth"),
            may.write_rule("ModifyRule"),
            may.see_services(),
            may.change_services("UpdateService"),
            may.see_alarms(),
        ],
        # A write that is stuck must end before the rollback stops re-asserting its own.
        timeout_seconds=15,
    ),
    FunctionSpec(
        "start_bake",
        "forward",
        lambda may: [
            may.table("GetItem", "UpdateItem"),
            may.answer("SendTaskSuccess"),
            may.see_alarms(),
        ],
    ),
    FunctionSpec(
        "judge_step",
        "forward",
        lambda may: [
            may.table(*WRITE),
            may.see_metrics(),
            may.query_prometheus(),
            may.see_alarms(),
            may.see_traffic("Rules", "TargetHealth"),
            may.call_hooks(),
        ],
        timeout_seconds=300,
    ),
    FunctionSpec(
        "promote",
        "forward",
        lambda may: [may.table(*WRITE), may.see_traffic("Rules"), may.tell()],
    ),
    FunctionSpec(
        "drain_slot",
        "forward",
        lambda may: [may.table(*READ), may.see_traffic("Rules"), may.see_metrics()],
    ),
    FunctionSpec(
        "finish_deployment",
        "forward",
        lambda may: [
            may.table(*WRITE),
            may.see_services(),
            may.change_services("UpdateService", "TagResource"),
            may.see_task_definitions(*REVISIONS),
            may.forget_task_definitions(),
            may.change_scaling(),
            may.see_traffic("Rules"),
            may.write_rule("RemoveTags"),
            may.tell(),
        ],
    ),
    FunctionSpec(
        "judge_tick",
        "forward",
        lambda may: [
            may.table(*WRITE, "Query"),
            may.see_services(),
            may.change_services("UpdateService"),
            may.see_metrics(),
            may.query_prometheus(),
            may.see_alarms(),
            may.see_traffic("Rules", "TargetHealth"),
            may.answer("SendTaskSuccess", "SendTaskFailure"),
        ],
        tick=True,
    ),
    # Makes no AWS calls: it is in the network for a Prometheus that only answers there.
    FunctionSpec("query_prometheus", "forward", _nothing, timeout_seconds=15, in_vpc=True),
)

ROLLBACK = (
    FunctionSpec(
        "take_traffic_back",
        "rollback",
        lambda may: [
            may.table(*WRITE),
            may.see_traffic("Rules", "TargetHealth", "Tags"),
            may.write_rule("ModifyRule"),
            may.executions("DescribeExecution"),
        ],
        timeout_seconds=30,
        # Its cold start is between an alarm and the traffic's return; memory buys CPU.
        memory_mb=1024,
    ),
    FunctionSpec(
        "stop_forward",
        "rollback",
        lambda may: [may.executions("DescribeExecution", "StopExecution")],
    ),
    FunctionSpec(
        "hold_traffic",
        "rollback",
        lambda may: [
            may.table(*WRITE),
            may.see_traffic("Rules", "TargetHealth"),
            may.write_rule("ModifyRule"),
            # A rollback without the table learns late which execution to stop.
            may.executions("DescribeExecution", "StopExecution"),
            may.see_services(),
            may.change_services("UpdateService"),
            # A good slot whose revision somebody changed gets its own again.
            may.pass_task_roles(),
            may.change_scaling(),
        ],
    ),
    FunctionSpec(
        "empty_slot",
        "rollback",
        lambda may: [
            may.table(*WRITE),
            may.see_traffic("Rules", "TargetHealth"),
            # Traffic that somebody gave the bad slot while it drained.
            may.write_rule("ModifyRule"),
            may.see_metrics(),
            may.see_services(),
            may.list_tasks(),
            may.stop_tasks(),
            may.change_services("UpdateService"),
            may.change_scaling(),
        ],
    ),
    FunctionSpec(
        "close_rollback",
        "rollback",
        lambda may: [
            may.table(*WRITE),
            # Whether a bad slot that was not emptied has traffic again.
            may.see_traffic("Rules"),
            may.write_rule("RemoveTags"),
            may.see_services(),
            may.change_services("TagResource"),
            may.see_task_definitions(*REVISIONS),
            may.forget_task_definitions(),
            may.tell(),
        ],
    ),
    FunctionSpec(
        "report_incident",
        "rollback",
        lambda may: [
            may.table(*WRITE, "Query"),
            may.see_metrics(),
            may.see_alarms(),
            may.see_traffic("Rules"),
            may.see_task_definitions("DescribeTaskDefinition"),
            may.list_tasks(),
            may.see_tasks(),
            *may.query_logs(),
            may.write_reports(),
        ],
        # Each of its sources may take its time and then be left out.
        timeout_seconds=180,
    ),
    FunctionSpec(
        "reconcile",
        "rollback",
        lambda may: [
            may.table(*WRITE, "Query"),
            may.executions("DescribeExecution"),
            may.start_machines(),
            may.see_alarms(),
            may.see_metrics(),
            may.query_prometheus(),
            may.see_services(),
            may.list_tasks(),
            may.stop_tasks(),
            may.change_services("UpdateService", "TagResource"),
            may.see_task_definitions(*REVISIONS),
            may.forget_task_definitions(),
            may.see_scaling(),
            may.change_scaling(),
            may.write_rule("ModifyRule", "RemoveTags"),
            may.see_traffic("Rules"),
            may.tell(),
            may.tell_again(),
        ],
        tick=True,
    ),
    FunctionSpec(
        "normalise_trigger",
        "rollback",
        lambda may: [
            may.table("GetItem", "Query"),
            may.start_rollbacks(),
            may.keep_undelivered(),
        ],
    ),
)

PEOPLE = (
    FunctionSpec(
        "notify_people",
        "people",
        lambda may: [
            may.table("GetItem", "PutItem", "Query"),
            may.read_secrets(),
            may.read_paging_routes(),
            may.open_ops_items(),
            may.post_alerts(),
            may.keep_undelivered(),
        ],
    ),
    FunctionSpec("tell_warning", "people", lambda may: [may.tell()]),
    # Makes no AWS calls: it is in the network for an Alertmanager that only answers there.
    FunctionSpec("post_alerts", "people", _nothing, timeout_seconds=15, in_vpc=True),
)

FUNCTIONS = FORWARD + ROLLBACK + PEOPLE + FLAGS + EXPERIMENTS + PIPELINES
