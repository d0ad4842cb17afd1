"""Alarms of flags go with the service that they are about."""

from greenlane.flags.storing import keeping
from tests.builders import SERVICE, service_config, workload
from tests.flag_town import FLAG, Town, no_pauses  # noqa: F401

HALF = FLAG.replace("percentage: 0", "percentage: 50")
BOTH = HALF + HALF.replace("feature_flags:\n", "").replace("checkout:", "basket:").replace(
    SERVICE, "another"
)


def with_another(text=BOTH):
    """A town with a second service that is like the first."""
    town = Town(text)
    town.runtime.store.put_config(
        service_config(name="another", workload=workload(service="another")),
        source="test.yaml",
        by="ada",
        at=town.kernel.now(),
        workload_declared=True,
    )
    town.run(2 / 60)
    assert {name.split(".")[1] for name in town.alarms.names} == {SERVICE, "another"}
    return town


def tick(town):
    run = town.tick()
    town.kernel.run(town.kernel.seconds + 5, lambda: run.ended.is_set)
    return run


def test_alarms_of_flags_go_when_their_service_left_the_table():
    town = with_another()
    town.runtime.store.__dict__["services"] = lambda: [SERVICE]
    keeping.delete(town.flags, ["basket"], by="ada", at=town.kernel.now())
    assert tick(town).failure is None
    assert {name.split(".")[1] for name in town.alarms.names} == {SERVICE}


def test_they_go_with_the_last_service_too_and_what_others_made_stays():
    town = with_another()
    mine = f"greenlane-flag.{SERVICE}.mine"
    town.alarms.put_composite_alarm(AlarmName=mine, AlarmRule="FALSE", AlarmDescription="mine")
    town.runtime.store.__dict__["services"] = lambda: []
    tick(town)
    assert town.alarms.names == {mine}


def test_they_stay_while_a_service_that_is_there_cannot_be_read():
    town = with_another()
    before = town.alarms.names
    real = town.runtime.store.get_config

    def refuse(service):
        if service == "another":
            raise RuntimeError("not readable")
        return real(service)

    town.runtime.store.__dict__["get_config"] = refuse
    tick(town)
    assert town.alarms.names == before
