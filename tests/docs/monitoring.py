"""Files of Prometheus and Alertmanager on the pages, read by the keys that their own pages have.

https://prometheus.io/docs/alerting/latest/configuration/
https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
"""

import re
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, HttpUrl

Span = Annotated[str, Field(pattern=r"^\d+(ms|s|m|h|d|w|y)$")]
LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
Matcher = Annotated[str, Field(pattern=r'^[a-zA-Z_][a-zA-Z0-9_]*\s*(=|!=|=~|!~)\s*"[^"]*"$')]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Rule(_File):
    alert: str
    expr: str
    wait: Span = Field("0s", alias="for")
    labels: dict[LabelName, str] = Field(default_factory=dict)
    annotations: dict[LabelName, str] = Field(default_factory=dict)


class Group(_File):
    name: str
    rules: list[Rule]


class Rules(_File):
    groups: list[Group]


class Authorization(_File):
    type: Literal["Bearer"]
    credentials_file: str


class HttpConfig(_File):
    authorization: Authorization


class WebhookConfig(_File):
    url: HttpUrl
    send_resolved: bool = True
    max_alerts: int = 0
    http_config: HttpConfig


class EmailConfig(_File):
    to: str
    sender: str = Field(alias="from")
    smarthost: str


class Receiver(_File):
    name: str
    webhook_configs: list[WebhookConfig] = Field(default_factory=list)
    email_configs: list[EmailConfig] = Field(default_factory=list)


class Route(_File):
    receiver: str
    matchers: list[Matcher] = Field(default_factory=list)
    group_by: list[LabelName] = Field(default_factory=list)
    group_wait: Span = "30s"
    group_interval: Span = "5m"
    repeat_interval: Span = "4h"
    go_on: bool = Field(False, alias="continue")
    routes: "list[Route]" = Field(default_factory=list)

    def to(self, labels: dict[str, str]) -> list[str]:
        """The receivers of an alert, as Alertmanager finds them."""
        found: list[str] = []
        for route in self.routes:
            if all(_matches(one, labels) for one in route.matchers):
                found += route.to(labels)
                if not route.go_on:
                    return found
        return found or [self.receiver]


class Alertmanager(_File):
    route: Route
    receivers: list[Receiver]


def _matches(matcher: str, labels: dict[str, str]) -> bool:
    found = re.fullmatch(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', matcher)
    assert found is not None
    name, how, value = found.groups()
    given = labels.get(name, "")
    same = re.fullmatch(value, given) is not None if "~" in how else given == value
    return same != how.startswith("!")


def read_rules(text: str, name: str) -> Rules:
    """Rules of Prometheus."""
    return Rules.model_validate(_yaml(text, name))


def read_alertmanager(text: str, name: str) -> Alertmanager:
    """A configuration of Alertmanager whose routes lead to receivers that there are."""
    found = Alertmanager.model_validate(_yaml(text, name))
    names = {one.name for one in found.receivers}
    routes = [found.route]
    while routes:
        route = routes.pop()
        assert route.receiver in names, f"{name}: there is no receiver {route.receiver}"
        routes += route.routes
    return found


def _yaml(text: str, name: str) -> Any:
    del name
    return yaml.safe_load(text)
