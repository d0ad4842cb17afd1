import threading

import pytest

from greenlane.deployments.stepping.every_service import for_every_service
from greenlane.errors import FenceLost, NotDrained
from tests.builders import NOW, service_config
from tests.fakes import error, timeout

NAMES = ["another", "claude-manager", "shop"]


@pytest.fixture
def services(world):
    for name in ("another", "shop"):
        world.store.put_config(service_config(name=name), source="a", by="ada", at=NOW)
    return world


def test_each_service_is_looked_at_once(services):
    seen = []
    for_every_service(services.runtime, seen.append, failed="not looked at")
    assert sorted(seen) == NAMES


def test_services_are_looked_at_beside_each_other(services):
    all_here = threading.Barrier(len(NAMES), timeout=60)

    def meet(service: str) -> None:
        all_here.wait()

    for_every_service(services.runtime, meet, failed="not looked at")
    assert not all_here.broken


@pytest.mark.parametrize(
    "problem", [error("ThrottlingException"), timeout(), NotDrained("it serves"), KeyError("body")]
)
def test_the_trouble_of_one_service_stays_its_own_and_is_logged(services, problem, caplog):
    seen = []

    def act(service):
        if service == "another":
            raise problem
        seen.append(service)

    for_every_service(services.runtime, act, failed="not looked at")
    assert sorted(seen) == ["claude-manager", "shop"]
    assert caplog.messages == ["not looked at"]


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (error("AccessDeniedException"), ["another: AccessDeniedException"]),
        (timeout(), ["another: ReadTimeoutError"]),
        (KeyError("body"), ["another: KeyError"]),
        (NotDrained("it serves"), []),
        (FenceLost("the record moved on"), []),
    ],
)
def test_what_no_orderly_run_raises_is_said_at_the_end(services, problem, said):
    def act(service):
        if service == "another":
            raise problem

    assert for_every_service(services.runtime, act, failed="not looked at") == said


def test_a_list_of_services_that_cannot_be_read_is_an_error(services):
    services.fail("dynamodb", "query")
    with pytest.raises(Exception, match="by the test"):
        for_every_service(services.runtime, print, failed="not looked at")
