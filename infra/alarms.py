"""What says that a slot is bad: six alarms for each target group, and a dashboard.

The base alarms only; alarms that come from an applied configuration file belong to `apply`.
"""

import re

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from greenlane.deployments.workload import SlotName
from infra.balancer import SLOTS, Balancer
from infra.settings import AlarmThresholds, ServiceSettings

KINDS = ("error-rate", "unanswered", "p95", "p99", "unhealthy-hosts", "connection-errors")
PERIOD_SECONDS = 60
NAMESPACE = "AWS/ApplicationELB"

# Percent of requests that failed for certain: answered with 5xx by the target, or refused by it.
# Where fewer than `floor` requests came in the minute, 0: one error in three says nothing.
# `r` is not filled: a minute whose requests are not published yet must not look like a fault.
ERROR_RATE = "IF(r >= {floor}, 100 * (FILL(c5, 0) + FILL(k, 0)) / r, 0)"

# The same with requests that the target did not answer at all (the balancer's own 502 and 504 have
# no target group, so hangs and resets show only here). In one minute these may be answers that
# come in the next, or that are not published yet: it takes two minutes, see ADR 0012.
UNANSWERED = (
    "IF(r >= {floor}, 100 * (FILL(c5, 0) + MAX([r - (FILL(c2, 0) + FILL(c3, 0) + FILL(c4, 0)"
    " + FILL(c5, 0)), FILL(k, 0)])) / r, 0)"
)
ERROR_METRICS = {
    "r": "RequestCount",
    "c2": "HTTPCode_Target_2XX_Count",
    "c3": "HTTPCode_Target_3XX_Count",
    "c4": "HTTPCode_Target_4XX_Count",
    "c5": "HTTPCode_Target_5XX_Count",
    "k": "TargetConnectionErrorCount",
}


def alarm_names(service: str, slot: SlotName) -> tuple[str, ...]:
    """The alarms of one slot, by their full names."""
    return tuple(f"{service}-{slot}-{kind}" for kind in KINDS)


def _construct_id(slot: SlotName, kind: str) -> str:
    return f"{slot.title()}{kind.title().replace('-', '')}"


class Alarms(Construct):
    """The alarms of both slots, named after service, slot and kind.

    No alarm has actions: EventBridge sees every change of state, and its rule decides.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        service: ServiceSettings,
        thresholds: AlarmThresholds,
        balancer: Balancer,
    ) -> None:
        super().__init__(scope, id)
        self._service = service.name
        self._balancer = balancer
        for slot in SLOTS:
            self._errors(slot, "error-rate", ERROR_RATE, thresholds, "failed", minutes=1)
            self._errors(
                slot, "unanswered", UNANSWERED, thresholds, "failed or went unanswered", minutes=2
            )
            for kind, seconds in (("p95", thresholds.p95_seconds), ("p99", thresholds.p99_seconds)):
                self._simple(slot, kind, "TargetResponseTime", kind, above=seconds, minutes=2)
            self._simple(
                slot, "unhealthy-hosts", "UnHealthyHostCount", "Maximum", least=1, minutes=2
            )
            self._simple(
                slot,
                "connection-errors",
                "TargetConnectionErrorCount",
                "Sum",
                least=thresholds.connection_errors,
                minutes=1,
            )
        self._dashboard(thresholds)

    def _metric(
        self, slot: SlotName, name: str, statistic: str, *, label: str | None = None
    ) -> cloudwatch.Metric:
        """A metric of one slot; a label, for graphs only, makes an alarm on it metric math."""
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            statistic=statistic,
            period=Duration.seconds(PERIOD_SECONDS),
            dimensions_map={
                "LoadBalancer": self._balancer.full_name,
                "TargetGroup": self._balancer.target_groups[slot].attr_target_group_full_name,
            },
            label=label,
        )

    def _percent(self, slot: SlotName, expression: str, floor: int) -> cloudwatch.MathExpression:
        """Percent of the slot's requests that failed, 0 below `floor` requests a minute."""
        return cloudwatch.MathExpression(
            expression=expression.format(floor=floor),
            using_metrics={
                id: self._metric(slot, name, "Sum")
                for id, name in ERROR_METRICS.items()
                if re.search(rf"\b{id}\b", expression)
            },
            period=Duration.seconds(PERIOD_SECONDS),
            label=f"{slot} error rate (percent)",
        )

    def _errors(
        self,
        slot: SlotName,
        kind: str,
        expression: str,
        thresholds: AlarmThresholds,
        what: str,
        *,
        minutes: int,
    ) -> None:
        """More than the permitted percent of errors in all of `minutes` minutes."""
        cloudwatch.Alarm(
            self,
            _construct_id(slot, kind),
            alarm_name=f"{self._service}-{slot}-{kind}",
            alarm_description=f"Percent of requests to {slot} that {what}",
            metric=self._percent(slot, expression, thresholds.request_floor),
            threshold=thresholds.error_rate_percent,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=minutes,
            datapoints_to_alarm=minutes,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )

    def _simple(
        self,
        slot: SlotName,
        kind: str,
        metric: str,
        statistic: str,
        *,
        minutes: int,
        above: float | None = None,
        least: float | None = None,
    ) -> None:
        """One metric, all of `minutes` minutes `above` a bound, or at it as the `least`."""
        operator = cloudwatch.ComparisonOperator
        percentile = statistic.startswith("p")
        cloudwatch.Alarm(
            self,
            _construct_id(slot, kind),
            alarm_name=f"{self._service}-{slot}-{kind}",
            alarm_description=f"{metric} ({statistic}) of {slot}",
            metric=self._metric(slot, metric, statistic),
            threshold=above if above is not None else least,
            comparison_operator=(
                operator.GREATER_THAN_THRESHOLD
                if above is not None
                else operator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
            ),
            evaluation_periods=minutes,
            datapoints_to_alarm=minutes,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            # A percentile of a handful of requests is no evidence.
            evaluate_low_sample_count_percentile="ignore" if percentile else None,
        )

    def _dashboard(self, thresholds: AlarmThresholds) -> None:
        def graph(title: str, metric: str, statistic: str) -> cloudwatch.GraphWidget:
            return cloudwatch.GraphWidget(
                title=title,
                width=12,
                left=[self._metric(slot, metric, statistic, label=slot) for slot in SLOTS],
            )

        # One graph a slot: the ids inside an expression are shared by all of a graph.
        error_rates = [
            cloudwatch.GraphWidget(
                title=f"Error rate of {slot} (percent)",
                width=12,
                left=[self._percent(slot, UNANSWERED, thresholds.request_floor)],
                left_annotations=[
                    cloudwatch.HorizontalAnnotation(
                        value=thresholds.error_rate_percent, label="goes back"
                    )
                ],
            )
            for slot in SLOTS
        ]
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=self._service,
            widgets=[
                [
                    graph("Requests per minute", "RequestCount", "Sum"),
                    graph("Healthy tasks", "HealthyHostCount", "Minimum"),
                ],
                error_rates,
                [
                    graph("Response time, p95 (s)", "TargetResponseTime", "p95"),
                    graph("Response time, p99 (s)", "TargetResponseTime", "p99"),
                ],
                [
                    graph("Connection errors", "TargetConnectionErrorCount", "Sum"),
                    graph("Unhealthy tasks", "UnHealthyHostCount", "Maximum"),
                ],
            ],
        )
