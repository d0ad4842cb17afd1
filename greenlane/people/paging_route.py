"""How each service pages, kept outside of the table: a page must not wait for it.

`apply` writes one SSM parameter for all services. It names secrets and holds none.
"""

from collections.abc import Iterable
from typing import Any

from pydantic import Field, ValidationError

from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.model import StoredModel
from greenlane.logs import logger
from greenlane.people.announcement import UNKNOWN
from greenlane.people.channel import Channel
from greenlane.people.pagerduty import PagerDuty, ServiceRegion
from greenlane.people.routing import secret_name

PARAMETER = "/greenlane/paging"


class PagingRoute(StoredModel):
    """The PagerDuty integration of one service; without a secret it does not page."""

    pagerduty_secret: str | None = None
    pagerduty_region: ServiceRegion = "us"


class PagingRoutes(StoredModel):
    """Those of all services, by name."""

    routes: dict[str, PagingRoute] = Field(default_factory=dict)


def routes_of(configs: Iterable[ServiceConfig]) -> PagingRoutes:
    """The routes that these configurations ask for."""
    return PagingRoutes(routes={config.name: _route_of(config) for config in configs})


def _route_of(config: ServiceConfig) -> PagingRoute:
    asked = config.notifications
    if not asked.pagerduty_integration:
        return PagingRoute()
    secret = asked.pagerduty_secret or secret_name(config.name, "pagerduty")
    return PagingRoute(pagerduty_secret=secret, pagerduty_region=asked.pagerduty_region)


def keep_routes(ssm: Any, configs: Iterable[ServiceConfig]) -> None:
    """Write the routes of all services.

    Raises:
        botocore.exceptions.ClientError: SSM refused.
        botocore.exceptions.BotoCoreError: SSM did not answer.
    """
    ssm.put_parameter(
        Name=PARAMETER,
        Description="How Greenlane pages while its table is down; `greenlane apply` writes it",
        Value=routes_of(configs).model_dump_json(exclude_defaults=True),
        Type="String",
        Overwrite=True,
    )


def read_routes(ssm: Any) -> dict[str, PagingRoute]:
    """The routes of all services; none if they cannot be read.

    Raises:
        botocore.exceptions.ClientError: SSM refused, or there is no such parameter yet.
        botocore.exceptions.BotoCoreError: SSM did not answer.
    """
    text = ssm.get_parameter(Name=PARAMETER)["Parameter"]["Value"]
    try:
        return PagingRoutes.model_validate_json(text).routes
    except ValidationError as error:
        logger.error("the paging routes cannot be read", error=type(error).__name__)
        return {}


def pagers(service: str, routes: dict[str, PagingRoute]) -> list[Channel]:
    """Whom to page for a service by the routes alone. Pure.

    A service without a route was applied by an older version, or is not known by its right name,
    or the trouble is Greenlane's own: then everybody is paged, and the secret with the service's
    conventional name is tried. One page too many is better than none.
    """
    route = routes.get(service)
    if route is not None:
        routes = {service: route}
    found = {
        PagerDuty(it.pagerduty_secret, it.pagerduty_region)
        for it in routes.values()
        if it.pagerduty_secret is not None
    }
    if route is None and service != UNKNOWN:
        conventional = secret_name(service, "pagerduty")
        if conventional not in {it.secret for it in found}:
            found.add(PagerDuty(conventional))
    ordered = sorted(found, key=lambda it: it.secret)
    # Each by a name of its own; the first is called as ever.
    names = ["pagerduty", *(f"pagerduty@{it.secret}" for it in ordered[1:])]
    return [PagerDuty(it.secret, it.region, name) for it, name in zip(ordered, names, strict=False)]
