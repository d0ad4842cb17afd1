"""What there is to go back to, and when nothing may run at all."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.errors import NotFinished, Refused
from greenlane.migrations.databases.model import Database
from greenlane.migrations.guarding.backups import (
    BlueGreen,
    Managed,
    choose,
    is_ready,
    suspends,
    unfit,
    unrecoverable,
)
from greenlane.migrations.guarding.rds import keep_snapshot, read_managed, snapshot_name
from tests.fakes import Spy, error
from tests.managed_databases import ARN, FakeRds

ENDPOINT = {"host": "db.example", "dbname": "orders", "user": "greenlane"}


def database(**changes: Any) -> Database:
    values: dict[str, Any] = {
        "service": "checkout",
        "engine": "postgres",
        "instance": "orders-1",
        "endpoint": ENDPOINT,
    }
    return Database.model_validate(values | changes)


def cluster(**changes: Any) -> Database:
    return database(
        **{"engine": "aurora-postgresql", "instance": None, "cluster": "orders"} | changes
    )


def managed(**changes: Any) -> Managed:
    values: dict[str, Any] = {
        "arn": f"{ARN}:db:orders-1",
        "kind": "instance",
        "engine": "postgres",
        "status": "available",
        "zones": False,
        "retention_days": 7,
    }
    return Managed.model_validate(values | changes)


def test_a_snapshot_that_would_suspend_io_gives_way_to_a_marker_that_says_so():
    chosen = choose(database(), "contract", managed())

    assert chosen.kind == "marker"
    assert "suspends its reads and writes" in chosen.note


def test_accepted_or_in_several_zones_it_is_a_snapshot():
    assert choose(database(suspends_io="accepted"), "contract", managed()).kind == "snapshot"
    assert choose(database(), "contract", managed(zones=True)).kind == "snapshot"
    aurora = managed(kind="cluster", engine="aurora-postgresql")
    assert choose(cluster(), "contract", aurora).kind == "snapshot"


kinds = st.sampled_from(["marker", "snapshot", "none"])
phases = st.sampled_from(["expand", "migrate", "contract"])


@given(phases, kinds, st.booleans(), st.booleans(), st.booleans())
def test_no_snapshot_suspends_io_unasked(phase, kind, in_cluster, zones, accepted):
    more = {"backup": {phase: kind}, "suspends_io": "accepted" if accepted else None}
    known = managed(zones=zones, kind="cluster" if in_cluster else "instance")

    chosen = choose(cluster(**more) if in_cluster else database(**more), phase, known)

    if chosen.kind == "snapshot":
        assert accepted or not suspends(known)
    if kind != "snapshot":
        assert chosen.kind == kind
    assert (chosen.kind != kind) == bool(chosen.note)


def test_what_rds_does_not_run_has_no_backup():
    assert choose(database(instance=None), "contract", None).kind == "none"


def test_a_marker_without_point_in_time_recovery_leads_nowhere():
    chosen = choose(database(), "expand", managed())

    assert unrecoverable(chosen, managed()) == ""
    assert "backup retention" in unrecoverable(chosen, managed(retention_days=0))


UNFIT = [
    ({"status": "storage-full"}, "its storage is full"),
    ({"status": "stopped"}, "RDS says that it is stopped"),
    ({"status": "incompatible-parameters"}, "it must be available"),
    ({"copies": "orders-0"}, "it is a read replica of orders-0; name that one"),
    ({"engine": "mysql"}, "RDS runs mysql there, not postgres"),
    (
        {"blue_green": [{"name": "upgrade", "status": "AVAILABLE", "side": "blue"}]},
        "it is the blue side of the blue/green deployment upgrade",
    ),
]


@pytest.mark.parametrize(("changes", "said"), UNFIT)
def test_no_migration_runs_on_what_would_not_bear_it(changes, said):
    assert said in unfit(database(), managed(**changes))


def test_what_becomes_available_by_itself_is_waited_for():
    for status in ("modifying", "rebooting", "failing-over", "maintenance"):
        assert unfit(database(), managed(status=status)) == ""
        assert not is_ready(managed(status=status))
    for status in ("available", "backing-up", "storage-optimization"):
        assert is_ready(managed(status=status))


@pytest.mark.parametrize("status", ["SWITCHOVER_COMPLETED", "DELETING"])
def test_a_blue_green_deployment_that_is_over_is_in_nobodys_way(status):
    past = BlueGreen(name="upgrade", status=status, side="green")
    assert unfit(database(), managed(blue_green=[past])) == ""


# The edge to RDS.


class World:
    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.fake = FakeRds()
        self.rds = Spy(self, "rds", self.fake)

    def faults_of(self, *_: str) -> tuple[None, None]:
        return None, None


@pytest.fixture
def world() -> World:
    return World()


def test_a_cluster_and_an_instance_are_read_as_rds_describes_them(world):
    world.fake.instance("orders-1", MultiAZ=True, BackupRetentionPeriod=3)
    world.fake.cluster("orders", ReplicationSourceIdentifier="elsewhere")

    one = read_managed(world.rds, database())
    other = read_managed(world.rds, cluster())

    assert one == managed(zones=True, retention_days=3)
    assert (other.kind, other.engine, other.copies) == ("cluster", "aurora-postgresql", "elsewhere")
    assert read_managed(world.rds, database(instance=None)) is None


def test_a_database_that_rds_does_not_have_is_named(world):
    with pytest.raises(Refused, match="RDS has no instance orders-1"):
        read_managed(world.rds, database())
    with pytest.raises(Refused, match="RDS has no cluster orders"):
        read_managed(world.rds, cluster())


def test_the_instance_of_a_cluster_is_not_the_cluster(world):
    world.fake.instance("orders-1", DBClusterIdentifier="orders")

    with pytest.raises(Refused, match="a part of the cluster orders; name that"):
        read_managed(world.rds, database())


def test_blue_green_deployments_are_found_on_either_side(world):
    world.fake.instance("orders-1")
    arn = f"{ARN}:db:orders-1"
    world.fake.blue_green.append({"Source": arn, "Target": "x", "Status": "AVAILABLE"})
    world.fake.blue_green.append({"Source": "y", "Target": arn, "Status": "PROVISIONING"})

    found = read_managed(world.rds, database()).blue_green

    assert [(one.side, one.status) for one in found] == [
        ("blue", "AVAILABLE"),
        ("green", "PROVISIONING"),
    ]


@pytest.mark.parametrize("described", [database(), cluster()], ids=["instance", "cluster"])
def test_a_snapshot_is_begun_once_and_waited_for(world, described):
    world.fake.instance("orders-1")
    world.fake.cluster("orders")

    def keep() -> str:
        return keep_snapshot(world.rds, described, "greenlane-orders-m-1", "m-1")

    with pytest.raises(NotFinished, match="was begun"):
        keep()
    with pytest.raises(NotFinished, match="creating, 40 percent"):
        keep()
    world.fake.finish()

    assert keep().endswith(":greenlane-orders-m-1")
    assert world.fake.made == ["greenlane-orders-m-1"]
    assert world.fake.tags == [{"Key": "greenlane:migration", "Value": "m-1"}]


def test_a_snapshot_whose_answer_was_lost_is_found(world):
    world.fake.instance("orders-1")
    world.fake.unseen = 1

    for _ in range(2):
        with pytest.raises(NotFinished):
            keep_snapshot(world.rds, database(), "greenlane-orders-m-1", "m-1")
    assert world.fake.made == ["greenlane-orders-m-1"]


def test_a_snapshot_that_failed_is_told_and_not_begun_again(world):
    world.fake.instance("orders-1")
    with pytest.raises(NotFinished):
        keep_snapshot(world.rds, database(), "greenlane-orders-m-1", "m-1")
    world.fake.finish("failed")

    with pytest.raises(Refused, match="could not take the snapshot"):
        keep_snapshot(world.rds, database(), "greenlane-orders-m-1", "m-1")


def test_a_busy_database_is_asked_again_and_a_full_quota_is_not(world):
    world.fake.instance("orders-1")
    world.fake.refusal = error("InvalidDBInstanceState")
    with pytest.raises(NotFinished, match="InvalidDBInstanceState"):
        keep_snapshot(world.rds, database(), "greenlane-orders-m-1", "m-1")
    world.fake.refusal = error("SnapshotQuotaExceeded")
    with pytest.raises(Refused, match="delete some"):
        keep_snapshot(world.rds, database(), "greenlane-orders-m-1", "m-1")


names = st.from_regex(r"[a-z][a-z0-9-]{0,30}[a-z0-9]", fullmatch=True)
runs = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,71}", fullmatch=True)


@given(names, runs)
def test_snapshots_have_names_that_rds_takes(name, run):
    found = snapshot_name(name, run)

    assert found.startswith("greenlane-")
    assert len(found) <= 63
    assert found.replace("-", "").isalnum()
    assert "--" not in found
    assert not found.endswith("-")


def test_long_names_that_differ_at_their_end_stay_apart():
    assert snapshot_name("orders", "m" * 70 + "1") != snapshot_name("orders", "m" * 70 + "2")
