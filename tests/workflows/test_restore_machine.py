"""Going back to a backup by the real workflow and functions, in virtual time, with moto's RDS."""

from datetime import timedelta
from typing import Any

import pytest

from greenlane.migrations.guarding.backups import Backup
from tests.builders import NOW
from tests.migrated import DATABASE
from tests.restore_town import BEGAN, RESTORE, Make
from tests.restore_town import make as make
from tests.restored_databases import NAMES


@pytest.mark.parametrize("kind", ["cluster", "instance"])
def test_a_new_database_is_published_in_the_place_of_the_old_one_when_people_say_so(
    make: Make, kind: str
) -> None:
    town = make(kind, writes_secret=True)

    execution = town.restore()

    assert (execution.status, execution.cause) == ("SUCCEEDED", "")
    host = town.rds.host(kind, town.new)
    assert town.endpoint() == {
        "host": host,
        "port": 5432,
        "dbname": "orders",
        kind: town.new,
        "restore": RESTORE,
    }
    assert (town.host_in_secret(), town.host_described()) == (host, host)
    described = town.runtime.databases.database(DATABASE).database
    assert getattr(described, kind) == town.new
    assert town.parameter()["migration"] == "0000_before", "what stands is what stood then"
    assert town.parameter()["min_app"] == "2.4.0", "that older versions may come back people say"
    assert town.kinds() == [
        *("restore_begun", "restore_approval", "restore_writers", "restore_cut_over")
    ]
    assert town.leases.read(DATABASE).held_by is None
    assert town.restores.restore(RESTORE).standing == "cut_over"


def test_the_new_cluster_is_like_the_old_one_and_has_as_many_instances(make: Make) -> None:
    town = make()

    town.restore()

    old, new = (town.rds.described("cluster", name) for name in (NAMES["cluster"], town.new))
    for same in ("Engine", "Port", "DBSubnetGroup", "BackupRetentionPeriod", "DeletionProtection"):
        assert new[same] == old[same], same
    groups = [[one["VpcSecurityGroupId"] for one in it["VpcSecurityGroups"]] for it in (old, new)]
    assert groups[0] == groups[1] != []
    tags = {one["Key"]: one["Value"] for one in new["TagList"]}
    assert tags == {"team": "orders", "greenlane:restore": RESTORE}
    assert town.rds.made == [town.new, f"{town.new}-1", f"{town.new}-2"]
    members = [one["DBInstanceIdentifier"] for one in new["DBClusterMembers"]]
    assert members == town.rds.made[1:]


@pytest.mark.parametrize("kind", ["cluster", "instance"])
def test_the_old_database_is_kept_as_it_was(make: Make, kind: str) -> None:
    town = make(kind, writes_secret=True)
    before = town.rds.described(kind, NAMES[kind])

    assert town.restore().status == "SUCCEEDED"

    after = town.rds.described(kind, NAMES[kind])
    moving = ("LatestRestorableTime", "EarliestRestorableTime")
    assert {k: v for k, v in after.items() if k not in moving} == {
        k: v for k, v in before.items() if k not in moving
    }
    changing = ("modify", "delete", "stop", "rename", "reboot", "failover", "promote")
    assert not [it for _, it in town.calls if it.startswith(changing)]
    assert f"take a last snapshot of {NAMES[kind]} and delete it" in town.told("restore_cut_over")


def test_whoever_is_asked_reads_what_is_lost_how_long_it_takes_and_the_lesser_way_first(
    make: Make,
) -> None:
    town = make()
    town.rds.makes_seconds = 300
    town.began("m-9", phase="expand", at=NOW - timedelta(minutes=10))

    town.restore()

    said = town.told("restore_approval")
    asked = next(one for one in town.restores.history(RESTORE) if one.kind == "asked")
    seconds = round((asked.at - BEGAN).total_seconds())
    assert f"RPO: {seconds} seconds of writes until now, and more each second" in said
    assert f"every write to {NAMES['cluster']} since 2026-11-23 11:30:00 UTC" in said
    assert "the contract of rename-contract" in said
    assert "the expand of m-9" in said
    assert "public.people: 40 rows now, 100 rows then" in said
    assert "its columns full_name" in said
    assert "sequences go back too" in said
    assert "RTO: restoring took 15m" in said
    assert f"old: cluster {NAMES['cluster']}, which stays" in said
    ways = said.partition("What to do: ")[2].splitlines()
    assert ways[0].startswith("1. only copy public.people back: `greenlane migrations restore salv")
    assert [one[:2] for one in ways] == ["1.", "2.", "3."]
    assert "approve --reason" in ways[1]


def test_before_anything_is_made_people_read_the_measured_time_of_earlier_restores(
    make: Make,
) -> None:
    town = make()
    town.restore()
    begun = town.told("restore_begun")
    assert "RTO: nobody knows: no restore of this database was measured, and none declared" in begun

    # The old one again, for a second time.
    stored = town.runtime.databases
    old = stored.database(DATABASE).database
    town.runtime.databases.put(
        DATABASE, old.model_copy(update={"cluster": NAMES["cluster"]}), by="ada", at=NOW
    )
    town.restore(restore="fix-2", mode="salvage")

    assert "RTO: 30m, the longest of the last 1 measured" in town.told("restore_begun")


def test_time_that_a_person_declares_is_told_as_declared(make: Make) -> None:
    town = make(expected_seconds=5400)

    town.restore()

    assert "RTO: 1h30m, as declared; none was measured yet" in town.told("restore_begun")


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"run": "m-77"}, "UnknownMigration", "m-77"),
    ({"source": "snapshot"}, "InvalidInput", "taken no snapshot"),
]


@pytest.mark.parametrize(("asks", "named", "said"), REFUSED)
def test_what_cannot_be_is_refused_told_and_makes_nothing(
    make: Make, asks: dict[str, Any], named: str, said: str
) -> None:
    town = make(**asks)

    execution = town.restore()

    assert (execution.status, execution.error) == ("FAILED", named)
    assert said in execution.cause
    assert town.kinds() == ["restore_failed"]
    assert said in town.told("restore_failed")
    assert town.rds.made == []
    assert town.leases.read(DATABASE) is None


def test_a_moment_before_the_window_of_recovery_is_refused(make: Make) -> None:
    town = make()
    town.began("m-old", at=NOW - timedelta(days=9))

    execution = town.restore(run="m-old")

    assert execution.error == "Refused"
    assert "try source: snapshot" in execution.cause


def test_a_moment_that_is_not_recoverable_yet_is_waited_for(make: Make) -> None:
    town = make()
    town.began("m-now", at=NOW)

    execution = town.restore(run="m-now")

    assert execution.status == "SUCCEEDED"
    assert execution.entered.count("Take") == 1
    assert (town.state().restored.at - NOW).total_seconds() > 300


def test_a_moment_that_never_becomes_recoverable_is_told_although_no_lease_was_taken(
    make: Make,
) -> None:
    town = make()
    town.rds.recovers_until = -86400.0

    execution = town.restore()
    town.run(0.1)

    assert (execution.status, execution.error) == ("FAILED", "NotFinished")
    assert town.kinds() == ["restore_dead"]
    assert town.restores.restore(RESTORE).standing == "dead"


@pytest.mark.parametrize("kind", ["cluster", "instance"])
def test_the_snapshot_of_a_run_is_restored(make: Make, kind: str) -> None:
    town = make(kind)
    called = "greenlane-orders-m-5"
    if kind == "cluster":
        town.rds._rds.create_db_cluster_snapshot(
            DBClusterSnapshotIdentifier=called, DBClusterIdentifier=NAMES[kind]
        )
    else:
        town.rds._rds.create_db_snapshot(
            DBSnapshotIdentifier=called, DBInstanceIdentifier=NAMES[kind]
        )
    resource = "cluster-snapshot" if kind == "cluster" else "snapshot"
    arn = f"arn:aws:rds:eu-west-1:123456789012:{resource}:{called}"
    town.began("m-5", backup=Backup(kind="snapshot", at=BEGAN, snapshot=arn))

    execution = town.restore(run="m-5")

    assert (execution.status, execution.cause) == ("SUCCEEDED", "")
    assert [it for _, it in town.calls if it.startswith("restore_")] == [
        "restore_db_cluster_from_snapshot"
        if kind == "cluster"
        else "restore_db_instance_from_db_snapshot"
    ]
    assert town.state().plan.point.source == "snapshot"


def test_a_database_of_the_same_name_that_is_not_of_this_restore_is_left_alone(make: Make) -> None:
    town = make()
    town.rds._rds.create_db_cluster(
        DBClusterIdentifier=town.new,
        Engine="aurora-postgresql",
        MasterUsername="somebody",
        MasterUserPassword="of-no-matter",
    )

    execution = town.restore()

    assert (execution.status, execution.error) == ("FAILED", "Refused")
    assert "is there already" in execution.cause
    assert town.rds.made == []
    assert town.untouched()


def test_a_database_that_rds_gives_up_ends_the_restore(make: Make) -> None:
    town = make()
    town.rds.broken[town.new] = "incompatible-restore"

    execution = town.restore()

    assert (execution.status, execution.error) == ("FAILED", "Refused")
    assert "incompatible-restore" in town.told("restore_failed")
