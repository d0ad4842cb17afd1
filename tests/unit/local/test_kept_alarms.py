"""The alarms of conditions in a local cloud, over its API, as `apply` keeps them."""

from collections.abc import Iterator
from typing import Any

import pytest

from greenlane.deployments.declaring.applied_alarms import alarms_asked, counted_on
from greenlane.health.alarm_keeping import KeptAlarms, keep_alarms
from greenlane.local.cloud import LocalCloud
from tests.builders import SERVICE, service_config, workload

CONFIG = service_config(
    rollback_triggers=["error_rate > 0.05", "cpu_usage > 90 for 2/3"],
    alerts={"critical": ["system_unavailable"], "warning": ["cpu_usage > 80"]},
)


@pytest.fixture(scope="module")
def cloudwatch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("cloud")
    with LocalCloud(folder, parts=("cloudwatch",)) as cloud:
        yield cloud.client("cloudwatch")


def keep(cloudwatch: Any, config: Any, version: int) -> KeptAlarms:
    asked = alarms_asked(config, workload())
    return keep_alarms(cloudwatch, asked, SERVICE, version, pause=lambda _: None)


def test_what_is_applied_is_found_as_it_was_applied_and_goes_again(cloudwatch: Any) -> None:
    first = keep(cloudwatch, CONFIG, 1)
    assert first.warnings == ()
    assert len(first.written) == 6 + 2 + 2 * 5 + 2 + 2
    assert counted_on(cloudwatch, CONFIG, workload()).pulling("green")
    assert keep(cloudwatch, CONFIG, 2) == KeptAlarms()

    name = next(name for name in first.written if ".trigger.green." in name)
    (found,) = cloudwatch.describe_alarms(
        AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )["CompositeAlarms"]
    tags = cloudwatch.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
    assert {"Key": "greenlane:version", "Value": "1"} in tags

    last = keep(cloudwatch, service_config(), 3)
    assert last.warnings == ()
    assert sorted(last.deleted) == sorted(first.written)
