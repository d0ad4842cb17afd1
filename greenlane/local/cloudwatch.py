"""CloudWatch for real: a metric store, metric math, and alarms that are evaluated each minute.

moto keeps dashboards and insight rules; metrics and alarms are ours. There is no anomaly
detection. An alarm's minute is evaluated `EVALUATION_LAG_SECONDS`
virtual seconds after its end, or as soon after as the load balancer's counts of it have arrived,
but not later than `PATIENCE_SECONDS`; AWS takes about 60 seconds.
"""

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from moto.cloudwatch.responses import CloudWatchResponse

from greenlane.local.alarms import stamp
from greenlane.local.alarms_api import Alarm, Alarms
from greenlane.local.cloudwatch_queries import get_metric_data, get_metric_statistics, list_metrics
from greenlane.local.cloudwatch_store import MetricStore
from greenlane.local.context import ACCOUNT_ID, LocalContext
from greenlane.local.elb_metrics import NAMESPACE as BALANCER_NAMESPACE
from greenlane.local.operations import AwsError, Operation, Operations, Parameters

EVALUATION_LAG_SECONDS = 3
PATIENCE_SECONDS = 40
_log = logging.getLogger(__name__)


class CloudWatch:
    """The metrics and alarms of one local cloud."""

    def __init__(self, context: LocalContext) -> None:
        """See the class."""
        self.store = MetricStore()
        self._context = context
        self._clock = context.clock
        prefix = f"arn:aws:cloudwatch:{context.region}:{ACCOUNT_ID}:alarm:"
        self.alarms = Alarms(self.store, self._clock, prefix, context.put_event, self._run_action)
        self._operations = Operations(CloudWatchResponse, context.region)
        self._published = threading.Condition()
        self._published_through = 0
        self._stopping = False
        self._actions = ThreadPoolExecutor(1, "alarm-actions")
        self._evaluator = threading.Thread(target=self._evaluate, name="alarms", daemon=True)

    def start(self) -> None:
        """Answer CloudWatch's operations and begin to evaluate alarms."""
        alarms = self.alarms
        answers: dict[str, Operation] = {
            "PutMetricData": self._put_metric_data,
            "GetMetricData": lambda parameters: get_metric_data(self.store, parameters),
            "GetMetricStatistics": lambda given: get_metric_statistics(self.store, given),
            "ListMetrics": lambda parameters: list_metrics(self.store, parameters),
            "PutMetricAlarm": alarms.put_metric_alarm,
            "PutCompositeAlarm": alarms.put_composite_alarm,
            "DescribeAlarms": alarms.describe_alarms,
            "SetAlarmState": alarms.set_alarm_state,
            "DeleteAlarms": alarms.delete_alarms,
            "DescribeAlarmHistory": alarms.describe_alarm_history,
            "EnableAlarmActions": alarms.enable_alarm_actions,
            "DisableAlarmActions": alarms.disable_alarm_actions,
            "TagResource": self._tag_resource,
            "UntagResource": self._untag_resource,
            "ListTagsForResource": self._list_tags,
        }
        for operation, function in answers.items():
            self._operations.answer(operation, function)
        self._evaluator.start()

    def stop(self) -> None:
        """Stop evaluating; give the operations back to moto."""
        with self._published:
            self._stopping = True
            self._published.notify_all()
        self._evaluator.join()
        self._operations.restore()
        self._actions.shutdown(cancel_futures=True)

    def publish_minute(self, start: int, data: list[dict[str, Any]]) -> None:
        """Take the load balancer's metrics of the minute that began at `start`."""
        for datum in data:
            self.store.put(BALANCER_NAMESPACE, datum, start)
        with self._published:
            self._published_through = start + 60
            self._published.notify_all()

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _evaluate(self) -> None:
        """Evaluate each minute once, in order; after a stall, every minute that was missed."""
        end = int(self._now()) // 60 * 60
        while self._wait_for(end := end + 60):
            self.alarms.evaluate(end)

    def _wait_for(self, end: int) -> bool:
        """Wait for a minute's data; false when stopping."""
        with self._published:
            while not self._stopping:
                late = self._now() - end
                expects = self._published_through > 0
                if late >= EVALUATION_LAG_SECONDS and (
                    not expects or self._published_through >= end or late >= PATIENCE_SECONDS
                ):
                    return True
                early = late < EVALUATION_LAG_SECONDS
                left = (EVALUATION_LAG_SECONDS if early else PATIENCE_SECONDS) - late
                self._published.wait(self._clock.real_seconds(max(left, 0.1)))
        return False

    def _put_metric_data(self, parameters: Parameters) -> dict[str, Any]:
        for datum in parameters.get("MetricData") or []:
            values, counts = datum.get("Values"), datum.get("Counts")
            if values and counts and len(values) != len(counts):
                message = "Values and Counts must have the same number of entries"
                raise AwsError("InvalidParameterValue", message)
            if not values and "Value" not in datum and not datum.get("StatisticValues"):
                message = f"{datum['MetricName']} has no Value, Values or StatisticValues"
                raise AwsError("MissingParameter", message)
            self.store.put(parameters["Namespace"], datum, int(self._now()))
        return {}

    def _run_action(self, arn: str, alarm: Alarm, detail: dict[str, Any]) -> None:
        """Publish to a topic or invoke a function, in the background; others have no effect."""
        service = arn.split(":")[2]
        if service in ("sns", "lambda"):
            self._actions.submit(self._act, service, arn, alarm, detail)

    def _act(self, service: str, arn: str, alarm: Alarm, detail: dict[str, Any]) -> None:
        client: Any = boto3.client(
            service,  # type: ignore[call-overload]
            region_name=self._context.region,
            endpoint_url=self._context.endpoint_url,
            aws_access_key_id="alarms",
            aws_secret_access_key="local",
        )
        common = {"AlarmName": alarm.name, "AlarmArn": alarm.arn, "Region": self._context.region}
        try:
            if service == "sns":
                message = common | {
                    "NewStateValue": alarm.value,
                    "NewStateReason": alarm.reason,
                    "OldStateValue": detail["previousState"]["value"],
                    "StateChangeTime": detail["state"]["timestamp"],
                }
                subject = f'{alarm.value}: "{alarm.name}" in {self._context.region}'
                client.publish(TopicArn=arn, Subject=subject[:100], Message=json.dumps(message))
            else:
                payload = {
                    "source": "aws.cloudwatch",
                    "alarmArn": alarm.arn,
                    "accountId": ACCOUNT_ID,
                    "time": stamp(self._clock.now()),
                    "region": self._context.region,
                    "alarmData": detail,
                }
                client.invoke(FunctionName=arn, InvocationType="Event", Payload=json.dumps(payload))
        except client.exceptions.ClientError:
            # CloudWatch does not report actions that fail either.
            _log.exception("alarm %s could not act on %s", alarm.name, arn)

    def _tag_resource(self, parameters: Parameters) -> dict[str, Any] | None:
        alarm = self.alarms.tagged(parameters["ResourceARN"])
        if alarm is None:
            return None
        alarm.tags.update({tag["Key"]: tag["Value"] for tag in parameters["Tags"]})
        return {}

    def _untag_resource(self, parameters: Parameters) -> dict[str, Any] | None:
        alarm = self.alarms.tagged(parameters["ResourceARN"])
        if alarm is None:
            return None
        for key in parameters["TagKeys"]:
            alarm.tags.pop(key, None)
        return {}

    def _list_tags(self, parameters: Parameters) -> dict[str, Any] | None:
        alarm = self.alarms.tagged(parameters["ResourceARN"])
        if alarm is None:
            return None
        return {"Tags": [{"Key": key, "Value": value} for key, value in alarm.tags.items()]}


_running: dict[str, CloudWatch] = {}


def install(context: LocalContext) -> CloudWatch:
    """The CloudWatch of a local cloud, to be started."""
    _running[context.region] = CloudWatch(context)
    return _running[context.region]


def running(region: str) -> CloudWatch:
    """The CloudWatch installed for a region; `KeyError` if there is none."""
    return _running[region]
