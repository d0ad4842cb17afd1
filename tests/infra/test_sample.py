"""What the sample's template promises: a blue/green environment that Greenlane can deploy to."""

import json
from typing import Any

import pytest

from greenlane.deployments.workload import SlotName, Workload
from infra.nag import as_finding
from tests.infra.conftest import Resource, Template, Vary

SLOTS: tuple[SlotName, ...] = ("blue", "green")


def test_production_has_one_listener_that_answers_503_where_no_rule_matches(
    sample: Template,
) -> None:
    listener = sample.only("AWS::ElasticLoadBalancingV2::Listener", Port=80).properties

    assert listener["Protocol"] == "HTTP"
    (action,) = listener["DefaultActions"]
    assert (action["Type"], action["FixedResponseConfig"]["StatusCode"]) == (
        "fixed-response",
        "503",
    )


def test_a_certificate_moves_production_to_https_and_http_redirects(vary: Vary) -> None:
    certificate = "arn:aws:acm:eu-west-1:123456789012:certificate/1"
    template = vary(sample={"certificate_arn": certificate}).sample

    https = template.only("AWS::ElasticLoadBalancingV2::Listener", Port=443)
    http = template.only("AWS::ElasticLoadBalancingV2::Listener", Port=80)
    rule = template.only("Custom::ListenerRule")

    assert https.properties["Certificates"] == [{"CertificateArn": certificate}]
    assert https.properties["DefaultActions"][0]["FixedResponseConfig"]["StatusCode"] == "503"
    assert http.properties["DefaultActions"][0]["RedirectConfig"]["StatusCode"] == "HTTP_301"
    assert rule.properties["ListenerArn"] == {"Ref": https.logical_id}


def test_the_production_rule_is_made_by_our_function_and_by_no_template(sample: Template) -> None:
    rule = sample.only("Custom::ListenerRule").properties
    function = sample.only("AWS::Lambda::Function")
    listener = sample.only("AWS::ElasticLoadBalancingV2::Listener", Port=80)

    assert rule["ServiceToken"] == {"Fn::GetAtt": [function.logical_id, "Arn"]}
    assert function.properties["Handler"] == "functions.own_listener_rule.handler"
    assert rule["Priority"] == 100
    assert rule["Paths"] == ["/*"]
    assert set(rule["TargetGroups"]) == set(SLOTS)
    assert "Weight" not in json.dumps(sample.body)
    assert [
        resource.logical_id
        for resource in sample.resources("AWS::ElasticLoadBalancingV2::ListenerRule")
        if resource.properties["ListenerArn"] == {"Ref": listener.logical_id}
    ] == []


def test_the_test_listener_reaches_either_slot_by_a_header(sample: Template) -> None:
    listener = sample.only("AWS::ElasticLoadBalancingV2::Listener", Port=9000)
    reached = {}
    for rule in sample.resources("AWS::ElasticLoadBalancingV2::ListenerRule"):
        assert rule.properties["ListenerArn"] == {"Ref": listener.logical_id}
        (condition,) = rule.properties["Conditions"]
        assert condition["HttpHeaderConfig"]["HttpHeaderName"] == "X-Greenlane-Slot"
        (value,) = condition["HttpHeaderConfig"]["Values"]
        reached[value] = rule.properties["Actions"][0]["TargetGroupArn"]["Ref"]

    assert reached == {slot: target_group(sample, slot).logical_id for slot in SLOTS}


def test_nobody_reaches_the_test_listener_unless_the_settings_say_who(vary: Vary) -> None:
    def sources(template: Template) -> list[Any]:
        return [
            rule["CidrIp"]
            for group in template.resources("AWS::EC2::SecurityGroup")
            for rule in group.properties.get("SecurityGroupIngress", [])
            if rule["FromPort"] <= 9000 <= rule["ToPort"]
        ]

    assert sources(vary().sample) == []
    opened = vary(sample={"test_listener_cidr": "192.0.2.0/24"}).sample
    assert sources(opened) == ["192.0.2.0/24"]


def target_group(template: Template, slot: str) -> Resource:
    return template.only("AWS::ElasticLoadBalancingV2::TargetGroup", Name=f"claude-manager-{slot}")


@pytest.mark.parametrize("slot", SLOTS)
def test_a_target_group_checks_health_each_10_s_and_drains_for_30_s(
    sample: Template, slot: str
) -> None:
    group = target_group(sample, slot).properties
    attributes = {item["Key"]: item["Value"] for item in group["TargetGroupAttributes"]}

    assert (group["TargetType"], group["Port"], group["Protocol"]) == ("ip", 8000, "HTTP")
    assert (group["HealthCheckPath"], group["HealthCheckIntervalSeconds"]) == ("/health", 10)
    assert group["HealthCheckTimeoutSeconds"] == 5
    assert (group["HealthyThresholdCount"], group["UnhealthyThresholdCount"]) == (2, 2)
    assert attributes == {
        "deregistration_delay.timeout_seconds": "30",
        "stickiness.enabled": "false",
    }


def service(template: Template, slot: str) -> Resource:
    return template.only("AWS::ECS::Service", ServiceName=f"claude-manager-{slot}")


@pytest.mark.parametrize("slot", SLOTS)
def test_a_slot_keeps_all_its_tasks_and_does_not_roll_back_by_itself(
    sample: Template, slot: str
) -> None:
    deployment = service(sample, slot).properties["DeploymentConfiguration"]

    assert (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]) == (100, 200)
    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": False}


@pytest.mark.parametrize("slot", SLOTS)
def test_a_slot_serves_its_own_target_group_on_port_8000(sample: Template, slot: str) -> None:
    (balancer,) = service(sample, slot).properties["LoadBalancers"]

    assert balancer == {
        "ContainerName": "claude-manager",
        "ContainerPort": 8000,
        "TargetGroupArn": {"Ref": target_group(sample, slot).logical_id},
    }


@pytest.mark.parametrize("slot", SLOTS)
def test_a_slot_waits_for_the_rules_that_tie_its_target_group_to_the_balancer(
    sample: Template, slot: str
) -> None:
    rules = sample.resources("Custom::ListenerRule", "AWS::ElasticLoadBalancingV2::ListenerRule")

    assert {rule.logical_id for rule in rules} <= set(service(sample, slot).body["DependsOn"])


@pytest.mark.parametrize("slot", SLOTS)
def test_a_slot_follows_cpu_and_requests(sample: Template, slot: str) -> None:
    resource_id = f"service/claude-manager/claude-manager-{slot}"
    target = sample.only("AWS::ApplicationAutoScaling::ScalableTarget", ResourceId=resource_id)
    policies = {
        policy.properties["PolicyName"]: policy.properties[
            "TargetTrackingScalingPolicyConfiguration"
        ]["PredefinedMetricSpecification"]
        for policy in sample.resources("AWS::ApplicationAutoScaling::ScalingPolicy")
        if policy.properties["ScalingTargetId"] == {"Ref": target.logical_id}
    }

    assert policies[f"claude-manager-{slot}-cpu"] == {
        "PredefinedMetricType": "ECSServiceAverageCPUUtilization"
    }
    requests = policies[f"claude-manager-{slot}-requests"]
    assert requests["PredefinedMetricType"] == "ALBRequestCountPerTarget"
    group = target_group(sample, slot).logical_id
    assert as_finding(requests["ResourceLabel"]).endswith(f"/<{group}.TargetGroupFullName>")


def test_tasks_admit_the_balancer_and_validation_only(sample: Template) -> None:
    admitted = [
        (rule.properties["FromPort"], rule.properties["SourceSecurityGroupId"]["Fn::GetAtt"][0])
        for rule in sample.resources("AWS::EC2::SecurityGroupIngress")
    ]
    groups = {
        group.properties["GroupDescription"]: group
        for group in sample.resources("AWS::EC2::SecurityGroup")
    }

    assert sorted(admitted) == sorted(
        (8000, groups[who].logical_id)
        for who in ("The load balancer of the sample", "Validation of the idle slot")
    )
    assert "SecurityGroupIngress" not in groups["The tasks of both slots"].properties


def alarm(template: Template, slot: str, kind: str) -> dict[str, Any]:
    return dict(
        template.only(
            "AWS::CloudWatch::Alarm", AlarmName=f"claude-manager-{slot}-{kind}"
        ).properties
    )


@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.parametrize(
    ("kind", "metric", "statistic", "operator", "threshold", "minutes"),
    [
        ("p95", "TargetResponseTime", "p95", "GreaterThanThreshold", 5, 2),
        ("p99", "TargetResponseTime", "p99", "GreaterThanThreshold", 8, 2),
        ("unhealthy-hosts", "UnHealthyHostCount", "Maximum", "GreaterThanOrEqualToThreshold", 1, 2),
        (
            "connection-errors",
            "TargetConnectionErrorCount",
            "Sum",
            "GreaterThanOrEqualToThreshold",
            5,
            1,
        ),
    ],
)
def test_an_alarm_watches_its_own_target_group(
    sample: Template,
    slot: str,
    kind: str,
    metric: str,
    statistic: str,
    operator: str,
    threshold: float,
    minutes: int,
) -> None:
    found = alarm(sample, slot, kind)
    dimensions = {item["Name"]: item["Value"] for item in found["Dimensions"]}

    assert (found["Namespace"], found["MetricName"]) == ("AWS/ApplicationELB", metric)
    assert found.get("ExtendedStatistic", found.get("Statistic")) == statistic
    assert (found["ComparisonOperator"], found["Threshold"]) == (operator, threshold)
    assert (found["EvaluationPeriods"], found["DatapointsToAlarm"]) == (minutes, minutes)
    assert (found["Period"], found["TreatMissingData"]) == (60, "notBreaching")
    low_sample = "ignore" if statistic.startswith("p") else None
    assert found.get("EvaluateLowSampleCountPercentile") == low_sample
    group = target_group(sample, slot).logical_id
    assert dimensions["TargetGroup"] == {"Fn::GetAtt": [group, "TargetGroupFullName"]}
    assert "LoadBalancer" in dimensions


def expression_of(
    template: Template, slot: str, kind: str, *, minutes: int
) -> tuple[str, dict[str, str]]:
    """The expression that an alarm on errors watches for so many minutes, and its metrics."""
    found = alarm(template, slot, kind)
    metrics = {item["Id"]: item for item in found["Metrics"]}
    (expression,) = [item["Expression"] for item in metrics.values() if "Expression" in item]

    assert (found["Threshold"], found["ComparisonOperator"]) == (5, "GreaterThanThreshold")
    assert (found["EvaluationPeriods"], found["DatapointsToAlarm"]) == (minutes, minutes)
    assert found["TreatMissingData"] == "notBreaching"
    assert [item["Id"] for item in metrics.values() if item.get("ReturnData", True)] == ["expr_1"]
    measured = {id: item["MetricStat"] for id, item in metrics.items() if "MetricStat" in item}
    assert {(stat["Stat"], stat["Period"]) for stat in measured.values()} == {("Sum", 60)}
    return expression, {id: stat["Metric"]["MetricName"] for id, stat in measured.items()}


@pytest.mark.parametrize("slot", SLOTS)
def test_the_error_rate_counts_at_once_what_is_certain_from_a_floor_on(
    sample: Template, slot: str
) -> None:
    expression, metrics = expression_of(sample, slot, "error-rate", minutes=1)

    assert metrics == {
        "r": "RequestCount",
        "c5": "HTTPCode_Target_5XX_Count",
        "k": "TargetConnectionErrorCount",
    }
    # requests, 5xx, connection errors, percent
    for r, c5, k, percent in [
        (100, 0, 0, 0),
        (100, 8, 0, 8),
        (100, 0, 30, 30),
        (100, 8, 2, 10),
        (19, 19, 0, 0),
        (20, 1, 0, 5),
    ]:
        assert evaluate(expression, r=r, c5=c5, k=k) == pytest.approx(percent)


@pytest.mark.parametrize("slot", SLOTS)
def test_unanswered_requests_count_when_two_minutes_show_them(sample: Template, slot: str) -> None:
    expression, metrics = expression_of(sample, slot, "unanswered", minutes=2)

    assert metrics == {
        "r": "RequestCount",
        "c2": "HTTPCode_Target_2XX_Count",
        "c3": "HTTPCode_Target_3XX_Count",
        "c4": "HTTPCode_Target_4XX_Count",
        "c5": "HTTPCode_Target_5XX_Count",
        "k": "TargetConnectionErrorCount",
    }
    # requests, 2xx, 3xx, 4xx, 5xx, connection errors, percent
    for r, c2, c3, c4, c5, k, percent in [
        (100, 100, 0, 0, 0, 0, 0),
        (100, 92, 0, 0, 8, 0, 8),
        (100, 50, 20, 20, 0, 0, 10),
        (100, 90, 0, 0, 0, 30, 30),
        (19, 0, 0, 0, 19, 0, 0),
        (20, 19, 0, 0, 1, 0, 5),
        (20, 30, 0, 0, 0, 0, 0),
    ]:
        assert evaluate(expression, r=r, c2=c2, c3=c3, c4=c4, c5=c5, k=k) == pytest.approx(percent)


def evaluate(expression: str, **values: float) -> float:
    """CloudWatch's functions in the expression, for one minute in which every metric has data."""
    functions: dict[str, Any] = {
        "IF": lambda condition, yes, no: yes if condition else no,
        "MAX": max,
        "FILL": lambda value, _: value,
    }
    return float(eval(expression, {"__builtins__": {}}, functions | values))


def test_no_alarm_acts_by_itself(sample: Template) -> None:
    alarms = sample.resources("AWS::CloudWatch::Alarm")

    assert len(alarms) == 12
    assert [found.logical_id for found in alarms if found.properties.get("AlarmActions")] == []


def test_the_dashboard_shows_both_slots_side_by_side(sample: Template) -> None:
    body = as_finding(sample.only("AWS::CloudWatch::Dashboard").properties["DashboardBody"])
    titles = [widget["properties"]["title"] for widget in json.loads(body)["widgets"]]

    assert {"Requests per minute", "Response time, p95 (s)", "Connection errors"} <= set(titles)


def test_the_workload_is_described_as_the_product_reads_it(sample: Template) -> None:
    parameter = sample.only("AWS::SSM::Parameter", Name="/greenlane/workloads/claude-manager")

    workload = Workload.model_validate_json(as_finding(parameter.properties["Value"]))

    assert (workload.service, workload.cluster) == ("claude-manager", "claude-manager")
    assert (workload.container, workload.port) == ("claude-manager", 8000)
    assert workload.listener_rule_arn == f"<{sample.only('Custom::ListenerRule').logical_id}>"
    names = {found.properties["AlarmName"] for found in sample.resources("AWS::CloudWatch::Alarm")}
    assert names == {name for slot in workload.slots.values() for name in slot.alarms}
    for slot in SLOTS:
        resources = workload.slots[slot]
        assert resources.service == f"claude-manager-{slot}"
        assert resources.target_group_arn == f"<{target_group(sample, slot).logical_id}>"
    assert workload.capacity is not None
    assert (workload.capacity.min_tasks, workload.capacity.max_tasks) == (2, 10)
    assert len(as_finding(parameter.properties["Value"])) < 3000  # of 4096; ARNs are longer


def test_the_values_that_templates_read_one_by_one_are_there(vary: Vary) -> None:
    written = {
        parameter.properties["Name"] for parameter in vary().sample.resources("AWS::SSM::Parameter")
    }
    read = {
        parameter["Default"]
        for parameter in vary().product.body["Parameters"].values()
        if parameter["Default"].startswith("/greenlane/")
    }

    assert read < written
    assert written - read == {"/greenlane/workloads/claude-manager"}


def test_images_are_scanned_and_tags_do_not_move(sample: Template) -> None:
    repository = sample.only("AWS::ECR::Repository", RepositoryName="claude-manager")

    assert repository.properties["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert repository.properties["ImageTagMutability"] == "IMMUTABLE"
    assert repository.body["DeletionPolicy"] == "Retain"


@pytest.mark.parametrize(
    ("setting", "port"), [("alertmanager_port", 9093), ("prometheus_port", 9090)]
)
def test_a_way_out_of_validation_to_monitoring_is_there_only_where_its_port_is_said(
    vary: Vary, sample: Template, setting: str, port: int
) -> None:
    def ways_out(template: Template) -> list[Any]:
        group = template.only(
            "AWS::EC2::SecurityGroup", GroupDescription="Validation of the idle slot"
        )
        return list(group.properties.get("SecurityGroupEgress", []))

    (way,) = ways_out(vary(sample={setting: port}).sample)
    assert (way["FromPort"], way["ToPort"], way["IpProtocol"]) == (port, port, "tcp")
    assert "Fn::GetAtt" in way["CidrIp"]
    assert not [way for way in ways_out(sample) if way.get("FromPort") == port]
