"""While the table is down: who is paged, by which secret, in which of PagerDuty's regions."""

import pytest

from greenlane.errors import NotTold
from greenlane.people.announcement import publication
from greenlane.people.pagerduty import PagerDuty
from greenlane.people.paging_route import PagingRoute, keep_routes, pagers, read_routes, routes_of
from tests.builders import SERVICE, service_config
from tests.fakes import timeout
from tests.unit.people.news import news
from tests.unit.people.town import Parameters, Town

OWN = PagingRoute(pagerduty_secret="greenlane/oncall", pagerduty_region="eu")
SHOP = PagingRoute(pagerduty_secret="greenlane/shop/pagerduty")
SHOP_PAGER = ("greenlane/shop/pagerduty", "us")
CONVENTIONAL = f"greenlane/{SERVICE}/pagerduty"


def test_what_is_written_is_what_is_read() -> None:
    parameters = Parameters()
    asked = {"pagerduty_integration": True, "pagerduty_secret": "greenlane/oncall"}
    configs = [
        service_config(notifications=asked | {"pagerduty_region": "eu"}),
        service_config(name="shop", notifications={"pagerduty_integration": True}),
        service_config(name="web", notifications={"pagerduty_secret": "greenlane/unused"}),
    ]
    keep_routes(parameters, configs)
    assert read_routes(parameters) == {SERVICE: OWN, "shop": SHOP, "web": PagingRoute()}
    assert routes_of(configs).routes == read_routes(parameters)


@pytest.mark.parametrize(
    ("service", "routes", "found"),
    [
        (SERVICE, {SERVICE: OWN, "shop": SHOP}, {("greenlane/oncall", "eu")}),
        ("web", {"web": PagingRoute(), "shop": SHOP}, set()),
        (SERVICE, {}, {(CONVENTIONAL, "us")}),
        (SERVICE, {"shop": SHOP}, {(CONVENTIONAL, "us"), SHOP_PAGER}),
        ("unknown", {SERVICE: OWN, "shop": SHOP}, {("greenlane/oncall", "eu"), SHOP_PAGER}),
        ("unknown", {"shop": SHOP, "till": SHOP}, {SHOP_PAGER}),
        ("unknown", {}, set()),
    ],
)
def test_who_is_paged(service: str, routes: dict[str, PagingRoute], found: set[object]) -> None:
    channels = pagers(service, routes)
    assert all(isinstance(it, PagerDuty) for it in channels)
    assert {(it.secret, it.region) for it in channels if isinstance(it, PagerDuty)} == found
    assert len({it.name for it in channels}) == len(channels)


def test_a_page_goes_out_by_the_services_own_secret_and_region(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {
        "pagerduty_integration": True,
        "pagerduty_secret": "greenlane/oncall",
        "pagerduty_region": "eu",
    }
    town.secrets.values = {"greenlane/oncall": "f" * 32}
    keep_routes(town.parameters, [service_config(notifications=asked)])
    town.world.fail("dynamodb", "*", timeout(), times=99)
    with pytest.raises(NotTold, match="the table"):
        town.notify(publication(news("held")))
    (got,) = town.server.to("events.eu.pagerduty.com")
    assert got.document["routing_key"] == "f" * 32


@pytest.mark.parametrize("text", [None, "no JSON", '{"routes": 5}', '{"routes": {"x": "y"}}'])
def test_without_routes_the_conventional_name_has_to_do(town: Town, text: str | None) -> None:
    town.parameters.value = text
    town.world.fail("dynamodb", "*", timeout(), times=99)
    with pytest.raises(NotTold, match="the table"):
        town.notify(publication(news("held")))
    assert len(town.server.to("events.pagerduty.com")) == 1
    assert town.secrets.read == [CONVENTIONAL]
