import pytest
from pydantic import TypeAdapter, ValidationError

from greenlane.deployments.workload import Workload
from greenlane.health.alarm_definitions import places_of
from greenlane.health.catalogue import CATALOGUE, filled
from greenlane.health.criteria import MetricRules
from greenlane.health.declared import DeclaredMetrics, MetricDeclaration, known_metrics, rules_of
from tests.builders import workload

METRICS = TypeAdapter(DeclaredMetrics)
QUEUE = {"namespace": "Mine", "metric": "QueueDepth", "worse": "up"}
PARTS = {
    "h": {"namespace": "Cache", "metric": "Hits", "statistic": "Sum"},
    "m": {"namespace": "Cache", "metric": "Misses", "statistic": "Sum"},
}


def read(**metrics):
    return METRICS.validate_python(metrics)


def metric(name="queue", **declared):
    return known_metrics(read(**{name: declared}))[name]


def test_one_metric_is_a_gauge_of_the_service_until_more_is_said():
    queue = metric(**QUEUE)

    assert (queue.shape, queue.unit, queue.worse) == ("gauge", "count", "up")
    assert not queue.per_slot
    assert queue.math in queue.parts
    assert queue.value({"value": 3.0}) == 3
    assert queue.value({}) is None
    assert queue.alarmable


@pytest.mark.parametrize("placeholder", ["{slot}", "{ecs_service}", "{target_group}", "x-{slot}"])
def test_a_dimension_of_a_slot_makes_it_a_slots_metric(placeholder):
    assert metric(**QUEUE, dimensions={"Where": placeholder}).per_slot


def test_placeholders_are_filled_in():
    queue = metric(**QUEUE, dimensions={"Service": "{service}", "Task": "{cluster}/{ecs_service}"})
    where: Workload = workload()

    (part,) = queue.parts.values()

    assert part.filled(places_of(where, "green")) == {
        "Service": "claude-manager",
        "Task": "claude-manager/claude-manager-green",
    }


def test_a_mean_of_samples_counts_them():
    rating = metric(**QUEUE, shape="mean")

    assert rating.samples == "n"
    assert {part.statistic for part in rating.parts.values()} == {"Average", "SampleCount"}


def test_a_known_name_is_read_from_elsewhere_and_stays_what_it_is():
    own = metric("conversion_rate", namespace="Shop", metric="Checkout")

    known = CATALOGUE["conversion_rate"]
    assert (own.shape, own.unit, own.worse) == (known.shape, known.unit, known.worse)
    assert own.parts["value"].namespace == "Shop"
    assert own.samples == "n"


def test_a_known_name_may_have_rules_only():
    declared = read(cpu_usage={"critical": True, "on_no_data": "pass"})

    assert known_metrics(declared)["cpu_usage"] is CATALOGUE["cpu_usage"]
    assert rules_of(declared) == {"cpu_usage": MetricRules(critical=True, on_no_data="pass")}


def test_processor_time_without_container_insights():
    usage = metric(
        "cpu_usage",
        namespace="AWS/ECS",
        metric="CPUUtilization",
        dimensions={"ClusterName": "{cluster}", "ServiceName": "{ecs_service}"},
    )

    assert usage.per_slot
    assert usage.unit == "percent"


def test_math_is_computed_by_cloudwatch_over_the_parts():
    hits = metric(parts=PARTS, math="100 * h / (h + m)", unit="percent", worse="down")

    assert hits.computed
    assert set(hits.parts) == {"h", "m"}
    assert hits.value({"value": 97.0}) == 97


def test_a_query_may_name_its_slot_and_keeps_its_own_braces():
    query = 'rate(jobs_failed_total{slot="{slot}"}[1m])'
    failed = metric(promql=query, worse="up")

    assert failed.per_slot
    assert not failed.alarmable
    assert filled(query, {"slot": "green"}) == 'rate(jobs_failed_total{slot="green"}[1m])'


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({}, "is not in the catalogue"),
        ({"namespace": "Mine", "metric": "Depth"}, "which direction harms"),
        ({"metric": "Depth", "worse": "up"}, "namespace: is missing"),
        ({"namespace": "Mine", "worse": "up"}, "namespace: belongs to metric"),
        ({"statistic": "Sum", "worse": "up"}, "statistic: belongs to metric"),
        ({**QUEUE, "promql": "up"}, "not by metric and promql"),
        ({"math": "h", "worse": "up"}, "parts and math belong together"),
        ({"parts": PARTS, "worse": "up"}, "parts and math belong together"),
        ({"parts": PARTS, "math": "h / x", "worse": "up"}, "'x' is neither one of parts"),
        ({"parts": PARTS, "math": "SEARCH(h)", "worse": "up"}, "'SEARCH' is neither"),
        (
            {"parts": PARTS, "math": "h / m", "samples": "n", "worse": "up"},
            "'n' is not one of parts",
        ),
        ({**QUEUE, "samples": "n"}, "belongs to math"),
        ({**QUEUE, "dimensions": {"Where": ""}}, "Where has no value"),
        (
            {"parts": {"value": PARTS["h"]}, "math": "value", "worse": "up"},
            "value is the result's own name",
        ),
        ({**QUEUE, "dimensions": {"Where": "{slots}"}}, "{slots} is not known"),
        ({"promql": 'up{job="{servic}"}', "worse": "up"}, "{servic} is not known"),
        ({**QUEUE, "statistic": "Mean"}, "String should match pattern"),
        ({**QUEUE, "worst": "up"}, "Extra inputs are not permitted"),
        ({**QUEUE, "max_failures": -1}, "greater than or equal to 0"),
    ],
)
def test_what_is_wrong_with_a_definition_is_said(declared, says):
    with pytest.raises(ValidationError) as raised:
        read(queue=declared)

    assert says in str(raised.value)


def test_a_query_that_counts_samples_counts_them():
    own = metric(promql="a", samples="b", shape="proportion", worse="up")

    assert (own.promql_samples, own.samples) == ("b", "n")
    assert metric(promql="a", worse="up").samples is None


def test_errors_are_counted_by_the_balancer_and_nowhere_else():
    with pytest.raises(ValidationError, match="app_error_rate"):
        read(error_rate={"namespace": "Mine", "metric": "Errors"})
    assert read(error_rate={"min_samples": 50})


def test_a_misspelt_name_of_the_catalogue_gets_a_suggestion():
    with pytest.raises(ValidationError, match=r"did you mean cpu_usage\?"):
        read(cpu_usag={"max_failures": 2})


@pytest.mark.parametrize("name", ["Queue", "queue-depth", "not", "for", "1st"])
def test_a_name_must_be_one_that_expressions_can_hold(name):
    with pytest.raises(ValidationError):
        read(**{name: QUEUE})


@pytest.mark.parametrize("statistic", ["p99", "p99.9", "tm90", "TC(2:)", "PR(:300)", "TM(2%:98%)"])
def test_statistics_of_cloudwatch_are_known(statistic):
    assert metric(**QUEUE, statistic=statistic).parts["value"].statistic == statistic


def test_what_was_stored_is_read_without_rules():
    declared = MetricDeclaration.model_validate(
        {"metric": "Depth", "later": 1}, extra="ignore", context={"stored": True}
    )

    assert declared.defined
