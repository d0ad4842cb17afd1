"""Mail: who hears of which services, in SNS's own filters."""

import json
from typing import Any

import pytest

from greenlane.people.addresses import PENDING, policy_of, services_in, subscribe

TOPIC = "arn:aws:sns:eu-west-1:123456789012:greenlane-notifications"
ADA, BOB = "ada@example.com", "bob@example.com"


class Sns:
    """A boto3 `sns` client: the subscriptions of one topic, two on each page."""

    def __init__(self, **policies: str | None) -> None:
        self.policies: dict[str, str | None] = {
            f"{name}@example.com": policy for name, policy in policies.items()
        }
        self.pending: set[str] = set()
        self.changed: list[str] = []

    def get_paginator(self, name: str) -> "Sns":
        assert name == "list_subscriptions_by_topic"
        return self

    def paginate(self, TopicArn: str) -> list[dict[str, Any]]:  # noqa: N803
        assert TopicArn == TOPIC
        entries = [
            {
                "Protocol": "email",
                "Endpoint": address,
                "SubscriptionArn": PENDING if address in self.pending else f"{TOPIC}:{address}",
            }
            for address in self.policies
        ]
        entries.append({"Protocol": "lambda", "Endpoint": "arn", "SubscriptionArn": f"{TOPIC}:f"})
        return [{"Subscriptions": entries[n : n + 2]} for n in range(0, len(entries), 2)]

    def get_subscription_attributes(self, SubscriptionArn: str) -> dict[str, Any]:  # noqa: N803
        policy = self.policies[SubscriptionArn.rpartition(":")[2]]
        return {"Attributes": {} if policy is None else {"FilterPolicy": policy}}

    def set_subscription_attributes(
        self,
        SubscriptionArn: str,  # noqa: N803
        AttributeName: str,  # noqa: N803
        AttributeValue: str,  # noqa: N803
    ) -> None:
        assert AttributeName == "FilterPolicy"
        address = SubscriptionArn.rpartition(":")[2]
        self.policies[address] = AttributeValue
        self.changed.append(address)

    def subscribe(
        self,
        TopicArn: str,  # noqa: N803
        Protocol: str,  # noqa: N803
        Endpoint: str,  # noqa: N803
        Attributes: dict[str, str],  # noqa: N803
    ) -> None:
        assert (TopicArn, Protocol) == (TOPIC, "email")
        self.policies[Endpoint] = Attributes["FilterPolicy"]
        self.pending.add(Endpoint)
        self.changed.append(Endpoint)

    def unsubscribe(self, SubscriptionArn: str) -> None:  # noqa: N803
        address = SubscriptionArn.rpartition(":")[2]
        del self.policies[address]
        self.changed.append(address)

    def services(self, address: str) -> frozenset[str] | None:
        return services_in(self.policies[address])


def apply(sns: Sns, service: str, **wanted: set[str]) -> list[str]:
    return subscribe(
        sns, TOPIC, service, {f"{name}@example.com": found for name, found in wanted.items()}
    )


def test_a_filter_takes_news_of_its_services_and_what_nobody_could_place() -> None:
    assert json.loads(policy_of({"shop", "till"})) == {"service": ["shop", "till", "unknown"]}
    assert services_in(policy_of({"shop", "till"})) == {"shop", "till"}


@pytest.mark.parametrize(
    "policy",
    [
        None,
        "no JSON",
        "[]",
        '{"severity": ["critical"]}',
        '{"service": ["shop"]}',
        '{"service": ["shop", "unknown"], "severity": ["critical"]}',
        '{"service": [{"prefix": "s"}, "unknown"]}',
        '{"service": "unknown"}',
    ],
)
def test_a_filter_of_somebody_elses_is_known_and_left_as_it_is(policy: str | None) -> None:
    assert services_in(policy) is None
    sns = Sns(ada=policy)
    said = apply(sns, "shop", ada={"shop"})
    assert sns.changed == []
    assert len(said) == (1 if policy is None else 0)


def test_a_new_address_is_subscribed_for_the_services_that_name_it() -> None:
    sns = Sns()
    said = apply(sns, "shop", ada={"shop", "till"}, bob={"till"})
    assert sns.policies == {ADA: policy_of({"shop", "till"})}, "bob is the other service's affair"
    assert said == [f"email_list: {ADA} hears nothing until the mail is confirmed"]


def test_one_that_is_not_confirmed_is_said_and_not_asked_again() -> None:
    sns = Sns()
    apply(sns, "shop", ada={"shop"})
    assert apply(sns, "shop", ada={"shop"}) == [
        f"email_list: {ADA} hears nothing until the mail is confirmed"
    ]
    assert sns.changed == [ADA]


def test_a_second_service_widens_the_filter_once() -> None:
    sns = Sns(ada=policy_of({"shop"}), bob=None)
    for _ in range(3):
        assert apply(sns, "till", ada={"shop", "till"}) == []
    assert sns.services(ADA) == {"shop", "till"}
    assert sns.changed == [ADA]


def test_an_address_that_a_file_leaves_out_hears_of_that_service_no_more() -> None:
    sns = Sns(ada=policy_of({"shop", "till"}), bob=policy_of({"shop"}))
    apply(sns, "shop", ada={"till"})
    assert sns.services(ADA) == {"till"}
    assert BOB not in sns.policies


def test_what_another_service_is_just_about_to_name_is_left() -> None:
    sns = Sns(ada=policy_of({"till"}))
    apply(sns, "shop")
    assert sns.services(ADA) == {"till"}


def test_who_hears_of_everything_goes_on_doing_so_and_it_is_said() -> None:
    sns = Sns(ada=None)
    (said,) = apply(sns, "shop", ada={"shop"})
    assert said.startswith(f"email_list: {ADA} hears of every service")
    assert (sns.policies, sns.changed) == ({ADA: None}, [])
