"""Tables, queues, topics, buckets, keys and parameters."""

import json
from typing import Any

from greenlane.local.resolve import Live
from greenlane.local.resources.kinds import Properties, ResourceType, Site, chosen, given_tags


def _table(site: Site, properties: Properties) -> Live:
    client = site.client("dynamodb")
    encryption = properties.get("SSESpecification")
    table = client.create_table(
        **{"TableName": site.name(255), **chosen(properties, "TableName")},
        **chosen(
            properties,
            "AttributeDefinitions",
            "BillingMode",
            "DeletionProtectionEnabled",
            "GlobalSecondaryIndexes",
            "KeySchema",
            "LocalSecondaryIndexes",
            "ProvisionedThroughput",
        ),
        **({"SSESpecification": _encryption(encryption)} if encryption else {}),
        **_stream(properties),
        **given_tags(properties),
    )["TableDescription"]
    name = table["TableName"]
    _table_settings(site, name, {}, properties)
    attributes = {"Arn": table["TableArn"], "StreamArn": table.get("LatestStreamArn", "")}
    return Live(name, attributes)


def _encryption(given: Properties) -> dict[str, Any]:
    return {"Enabled": given["SSEEnabled"], **chosen(given, "SSEType", "KMSMasterKeyId")}


def _stream(properties: Properties) -> dict[str, Any]:
    stream = properties.get("StreamSpecification")
    return {"StreamSpecification": {"StreamEnabled": True, **stream}} if stream else {}


def _table_settings(site: Site, name: str, old: Properties, new: Properties) -> None:
    """What CreateTable does not take: expiry and point-in-time recovery."""
    client = site.client("dynamodb")
    expiry, recovery = "TimeToLiveSpecification", "PointInTimeRecoverySpecification"
    if new.get(expiry) and new[expiry] != old.get(expiry):
        client.update_time_to_live(TableName=name, TimeToLiveSpecification=new[expiry])
    if new.get(recovery) and new[recovery] != old.get(recovery):
        client.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification=new[recovery]
        )


def _global_table(site: Site, properties: Properties) -> Live:
    """A table in several Regions: made here, the others are asked for as the API has it."""
    live = _table(site, {key: properties[key] for key in properties if key != "Replicas"})
    others = [one["Region"] for one in properties["Replicas"] if one["Region"] != site.region]
    if others:
        site.client("dynamodb").update_table(
            TableName=live.physical_id,
            ReplicaUpdates=[{"Create": {"RegionName": region}} for region in others],
        )
    return live


def _update_table(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    names = ("BillingMode", "DeletionProtectionEnabled", "ProvisionedThroughput")
    given = chosen(new, *names)
    if given != chosen(old, *names):
        site.client("dynamodb").update_table(TableName=live.physical_id, **given)
    _table_settings(site, live.physical_id, old, new)
    return live


def _delete_table(site: Site, live: Live, properties: Properties) -> None:
    site.client("dynamodb").delete_table(TableName=live.physical_id)


def _queue(site: Site, properties: Properties) -> Live:
    sqs = site.client("sqs")
    name = properties.get("QueueName") or site.name(80)
    url = sqs.create_queue(QueueName=name, Attributes=_queue_attributes(properties))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    return Live(url, {"Arn": arn["QueueArn"], "QueueName": name, "QueueUrl": url})


def _queue_attributes(properties: Properties) -> dict[str, str]:
    names = (
        "ContentBasedDeduplication",
        "DelaySeconds",
        "FifoQueue",
        "MaximumMessageSize",
        "MessageRetentionPeriod",
        "ReceiveMessageWaitTimeSeconds",
        "RedrivePolicy",
        "VisibilityTimeout",
    )
    given = chosen(properties, *names)
    return {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()
    }


def _update_queue(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    attributes = _queue_attributes(new)
    if attributes:
        site.client("sqs").set_queue_attributes(QueueUrl=live.physical_id, Attributes=attributes)
    return live


def _delete_queue(site: Site, live: Live, properties: Properties) -> None:
    site.client("sqs").delete_queue(QueueUrl=live.physical_id)


def _topic(site: Site, properties: Properties) -> Live:
    sns = site.client("sns")
    attributes = {key: str(value) for key, value in chosen(properties, "DisplayName").items()}
    arn = sns.create_topic(
        Name=properties.get("TopicName") or site.name(256),
        Attributes=attributes,
        **given_tags(properties),
    )["TopicArn"]
    for one in properties.get("Subscription", []):
        sns.subscribe(TopicArn=arn, Protocol=one["Protocol"], Endpoint=one["Endpoint"])
    return Live(arn, {"TopicArn": arn, "TopicName": arn.rsplit(":", 1)[1]})


def _update_topic(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    if old.get("DisplayName") != new.get("DisplayName"):
        site.client("sns").set_topic_attributes(
            TopicArn=live.physical_id,
            AttributeName="DisplayName",
            AttributeValue=new.get("DisplayName", ""),
        )
    return live


def _delete_topic(site: Site, live: Live, properties: Properties) -> None:
    site.client("sns").delete_topic(TopicArn=live.physical_id)


def _subscription(site: Site, properties: Properties) -> Live:
    policies = chosen(properties, "RedrivePolicy", "FilterPolicy")
    arn = site.client("sns").subscribe(
        **chosen(properties, "TopicArn", "Protocol", "Endpoint"),
        Attributes={name: json.dumps(policy) for name, policy in policies.items()},
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    return Live(arn, {"Arn": arn})


def _delete_subscription(site: Site, live: Live, properties: Properties) -> None:
    site.client("sns").unsubscribe(SubscriptionArn=live.physical_id)


def make_bucket(s3: Any, name: str, region: str) -> None:
    """Make a bucket in a Region; us-east-1 is named by leaving it out."""
    place = {} if region == "us-east-1" else {"LocationConstraint": region}
    s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": place} if place else {}))


def _bucket(site: Site, properties: Properties) -> Live:
    name = properties.get("BucketName") or site.name(63).lower()
    make_bucket(site.client("s3"), name, site.region)
    attributes = {"Arn": f"arn:aws:s3:::{name}", "DomainName": f"{name}.s3.amazonaws.com"}
    return Live(name, attributes)


def _same(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    return live  # what can change of it has no local effect


def _delete_bucket(site: Site, live: Live, properties: Properties) -> None:
    site.client("s3").delete_bucket(Bucket=live.physical_id)


def _key(site: Site, properties: Properties) -> Live:
    key = site.client("kms").create_key(**chosen(properties, "Description"))["KeyMetadata"]
    return Live(key["KeyId"], {"Arn": key["Arn"], "KeyId": key["KeyId"]})


def _delete_key(site: Site, live: Live, properties: Properties) -> None:
    site.client("kms").schedule_key_deletion(KeyId=live.physical_id)


def _parameter(site: Site, properties: Properties) -> Live:
    name = properties.get("Name") or site.name(1011)
    _put_parameter(site, name, properties)
    return _live_parameter(name, properties)


def _put_parameter(site: Site, name: str, properties: Properties) -> None:
    site.client("ssm").put_parameter(
        Name=name,
        Overwrite=True,
        **chosen(properties, "Type", "Value", "Description", "Tier"),
    )


def _live_parameter(name: str, properties: Properties) -> Live:
    return Live(name, {"Type": properties["Type"], "Value": properties["Value"]})


def _update_parameter(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    _put_parameter(site, live.physical_id, new)
    return _live_parameter(live.physical_id, new)


def _delete_parameter(site: Site, live: Live, properties: Properties) -> None:
    site.client("ssm").delete_parameter(Name=live.physical_id)


TYPES = {
    "AWS::DynamoDB::Table": ResourceType(
        _table,
        _delete_table,
        _update_table,
        frozenset({"TableName", "KeySchema", "LocalSecondaryIndexes"}),
        "TableName",
    ),
    "AWS::DynamoDB::GlobalTable": ResourceType(
        _global_table,
        _delete_table,
        _update_table,
        frozenset({"TableName", "KeySchema", "LocalSecondaryIndexes", "Replicas"}),
        "TableName",
    ),
    "AWS::SQS::Queue": ResourceType(
        _queue, _delete_queue, _update_queue, frozenset({"QueueName", "FifoQueue"}), "QueueName"
    ),
    "AWS::SNS::Topic": ResourceType(
        _topic, _delete_topic, _update_topic, frozenset({"TopicName", "FifoTopic"}), "TopicName"
    ),
    "AWS::SNS::Subscription": ResourceType(_subscription, _delete_subscription),
    "AWS::S3::Bucket": ResourceType(
        _bucket, _delete_bucket, _same, frozenset({"BucketName"}), "BucketName"
    ),
    "AWS::KMS::Key": ResourceType(_key, _delete_key, _same),
    "AWS::SSM::Parameter": ResourceType(
        _parameter, _delete_parameter, _update_parameter, frozenset({"Name", "Type"}), "Name"
    ),
}
