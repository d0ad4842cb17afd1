"""Alarms, dashboards and log groups."""

from greenlane.local.resolve import Live
from greenlane.local.resources.kinds import Properties, ResourceType, Site, chosen


def _alarm(site: Site, properties: Properties) -> Live:
    name = properties.get("AlarmName") or site.name(255)
    _put_alarm(site, name, properties)
    arns = site.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return Live(name, {"Arn": arns[0]["AlarmArn"]})


def _put_alarm(site: Site, name: str, properties: Properties) -> None:
    given = {key: value for key, value in properties.items() if key != "Tags"}
    site.client("cloudwatch").put_metric_alarm(**{**given, "AlarmName": name})


def _update_alarm(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    _put_alarm(site, live.physical_id, new)
    return live


def _delete_alarm(site: Site, live: Live, properties: Properties) -> None:
    site.client("cloudwatch").delete_alarms(AlarmNames=[live.physical_id])


def _dashboard(site: Site, properties: Properties) -> Live:
    name = properties.get("DashboardName") or site.name(255)
    site.client("cloudwatch").put_dashboard(
        DashboardName=name, DashboardBody=properties["DashboardBody"]
    )
    return Live(name)


def _update_dashboard(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    site.client("cloudwatch").put_dashboard(
        DashboardName=live.physical_id, DashboardBody=new["DashboardBody"]
    )
    return live


def _delete_dashboard(site: Site, live: Live, properties: Properties) -> None:
    site.client("cloudwatch").delete_dashboards(DashboardNames=[live.physical_id])


def _log_group(site: Site, properties: Properties) -> Live:
    logs = site.client("logs")
    name = properties.get("LogGroupName") or site.name(512)
    logs.create_log_group(logGroupName=name)
    if "RetentionInDays" in properties:
        logs.put_retention_policy(
            logGroupName=name, retentionInDays=int(properties["RetentionInDays"])
        )
    (group,) = [
        one
        for one in logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        if one["logGroupName"] == name
    ]
    return Live(name, {"Arn": group["arn"]})


def _update_log_group(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    for retention in chosen(new, "RetentionInDays").values():
        site.client("logs").put_retention_policy(
            logGroupName=live.physical_id, retentionInDays=int(retention)
        )
    return live


def _delete_log_group(site: Site, live: Live, properties: Properties) -> None:
    site.client("logs").delete_log_group(logGroupName=live.physical_id)


TYPES = {
    "AWS::CloudWatch::Alarm": ResourceType(
        _alarm, _delete_alarm, _update_alarm, frozenset({"AlarmName"}), "AlarmName"
    ),
    "AWS::CloudWatch::Dashboard": ResourceType(
        _dashboard,
        _delete_dashboard,
        _update_dashboard,
        frozenset({"DashboardName"}),
        "DashboardName",
    ),
    "AWS::Logs::LogGroup": ResourceType(
        _log_group,
        _delete_log_group,
        _update_log_group,
        frozenset({"LogGroupName"}),
        "LogGroupName",
    ),
}
