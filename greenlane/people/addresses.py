"""Mail: each address hears of the services whose files name it, and of no other.

Who should hear of everything is subscribed without a filter: by the template, or by hand. Such a
subscription is never touched here, for it is also the only mail about Greenlane's own alarms.
CloudWatch publishes those without attributes, and no filter accepts a message without any: see
https://docs.aws.amazon.com/sns/latest/dg/attribute-key-matching.html.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from greenlane.people.announcement import UNKNOWN

PENDING = "PendingConfirmation"


def policy_of(services: Collection[str]) -> str:
    """The filter of an address that these services name, as JSON."""
    return json.dumps({"service": [*sorted(services), UNKNOWN]})


def services_in(policy: str | None) -> frozenset[str] | None:
    """The services in a filter that `policy_of` made; None if somebody else made it."""
    try:
        document = json.loads(policy or "null")
    except ValueError:
        return None
    if not isinstance(document, dict) or set(document) != {"service"}:
        return None
    names = document["service"]
    ours = isinstance(names, list) and UNKNOWN in names and all(isinstance(it, str) for it in names)
    return frozenset(names) - {UNKNOWN} if ours else None


def subscribe(
    sns: Any, topic_arn: str, service: str, wanted: Mapping[str, Collection[str]]
) -> list[str]:
    """Bring the topic's subscriptions in line with what all files say.

    Args:
        sns: the client.
        topic_arn: the topic that tells people.
        service: whose file was applied.
        wanted: the services that name each address.

    Returns:
        What still is to be done, for a person to read.

    Raises:
        botocore.exceptions.ClientError: SNS refused.
        botocore.exceptions.BotoCoreError: SNS did not answer.
    """
    said = []
    mine = {address for address, services in wanted.items() if service in services}
    seen = set()
    for address, arn in _mail(sns, topic_arn):
        seen.add(address)
        if arn == PENDING:
            continue
        found = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
        said += _bring(sns, arn, address, found.get("FilterPolicy"), service, wanted)
        mine.discard(address)
    for address in sorted(mine):
        if address not in seen:
            sns.subscribe(
                TopicArn=topic_arn,
                Protocol="email",
                Endpoint=address,
                Attributes={"FilterPolicy": policy_of(wanted[address])},
            )
        said.append(f"email_list: {address} hears nothing until the mail is confirmed")
    return said


def _bring(
    sns: Any,
    arn: str,
    address: str,
    policy: str | None,
    service: str,
    wanted: Mapping[str, Collection[str]],
) -> list[str]:
    """One confirmed subscription; set only if it differs."""
    services = frozenset(wanted.get(address, ()))
    before = services_in(policy)
    if policy is None and service in services:
        return [
            f"email_list: {address} hears of every service, since it was subscribed without a "
            f"filter; unsubscribe it and apply again if it should hear of {service} only"
        ]
    if before is None or before == services:
        return []
    if services:
        sns.set_subscription_attributes(
            SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue=policy_of(services)
        )
    elif service in before:  # what another service is about to name is left to its own `apply`
        sns.unsubscribe(SubscriptionArn=arn)
    return []


def _mail(sns: Any, topic_arn: str) -> Iterator[tuple[str, str]]:
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic_arn)
    for page in pages:
        for found in page["Subscriptions"]:
            if found["Protocol"] == "email":
                yield found["Endpoint"], found["SubscriptionArn"]
