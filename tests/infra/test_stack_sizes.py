"""CloudFormation takes 500 resources a stack: how many there are, and for how many services."""

import re

import pytest

from tests.infra.conftest import API, MIGRATIONS, PRODUCT, REGIONS, ROOT, Assembly, Vary, context

MOST = 500


def further(name: str) -> dict[str, object]:
    """A service beside the one of the sample."""
    return {
        "name": name,
        "cluster": "shop",
        "container": "web",
        "port": 80,
        "repository": f"shop/{name}",
        "task_roles": [f"{name}-task"],
        "alarms": [f"{name}-5xx"],
    }


def said(stack: str) -> list[int]:
    """What the page on limits says of a stack: alone, then what is more with each choice."""
    page = (ROOT / "docs" / "limits.md").read_text()
    (row,) = re.findall(rf"^\| `{stack}` \|(.*)\|$", page, re.MULTILINE)
    return [int(cell) for cell in row.split("|")]


def sizes(assembly: Assembly, stack: str) -> int:
    return len(assembly.template(stack).resources())


@pytest.mark.parametrize("stack", [PRODUCT, API])
def test_the_page_on_limits_says_how_many_resources_each_choice_makes(
    vary: Vary, stack: str
) -> None:
    two = [*context()["greenlane"]["services"], further("checkout")]
    alone = vary()
    choices = [
        vary(services=two),
        vary(migrations=MIGRATIONS),
        vary(regions=REGIONS),
    ]
    more = [sizes(one, stack) - sizes(alone, stack) for one in choices]
    whole = vary(migrations=MIGRATIONS, regions=REGIONS)

    assert said(stack) == [sizes(alone, stack), *more, sizes(whole, stack)]
    assert sizes(whole, stack) == sizes(alone, stack) + sum(more[1:])


def test_so_many_services_fit_with_everything_on_as_the_page_says(vary: Vary) -> None:
    page = (ROOT / "docs" / "limits.md").read_text()
    found = re.search(r"room for (\d+) services with everything on", page)
    assert found is not None
    _, each, _, _, whole = said(PRODUCT)

    services = int(found[1])
    assert whole + (services - 1) * each <= MOST < whole + services * each
    for stack in (PRODUCT, API):
        assert said(stack)[-1] <= MOST


def test_an_environment_more_is_as_many_resources_as_the_page_says(vary: Vary) -> None:
    page = (ROOT / "docs" / "limits.md").read_text()
    found = re.search(
        r"Each further environment of `flags` is (\d+) more resources of the API", page
    )
    assert found is not None
    two = vary(flags={"environments": ["production", "staging"]})

    assert sizes(two, API) - sizes(vary(), API) == int(found[1])
    assert sizes(two, PRODUCT) == sizes(vary(), PRODUCT)
