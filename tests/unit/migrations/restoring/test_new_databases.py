"""What a new database takes over from the old one, and what RDS's answers lead to."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from greenlane.errors import NotFinished, Refused
from greenlane.migrations.databases.model import Database, Endpoint
from greenlane.migrations.restoring.copying import (
    cluster_settings,
    differences,
    instance_settings,
    not_copied,
    tags,
    unlike,
)
from greenlane.migrations.restoring.model import Point, RestorePlan, Rto
from greenlane.migrations.restoring.rds import keep_new, known, read_old
from tests.builders import NOW, SERVICE
from tests.fakes import client

NEW, RESTORE = "greenlane-orders-fix-1", "fix-1"
GROUPS = [{"VpcSecurityGroupId": "sg-1", "Status": "active"}]
AURORA: dict[str, Any] = {
    "DBClusterIdentifier": "orders-prod",
    "DBClusterArn": "arn:aws:rds:eu-west-1:123456789012:cluster:orders-prod",
    "Engine": "aurora-postgresql",
    "Status": "available",
    "Port": 5432,
    "DBSubnetGroup": "private",
    "DBClusterParameterGroup": "ours",
    "IAMDatabaseAuthenticationEnabled": True,
    "DeletionProtection": True,
    "VpcSecurityGroups": GROUPS,
    "DBClusterMembers": [
        {"DBInstanceIdentifier": "orders-1", "IsClusterWriter": False},
        {"DBInstanceIdentifier": "orders-0", "IsClusterWriter": True},
    ],
    "TagList": [
        {"Key": "team", "Value": "orders"},
        {"Key": "aws:cloudformation:stack-name", "Value": "database"},
        {"Key": "greenlane:restore", "Value": "fix-0"},
    ],
}
POSTGRES: dict[str, Any] = {
    "DBInstanceIdentifier": "orders-1",
    "DBInstanceArn": "arn:aws:rds:eu-west-1:123456789012:db:orders-1",
    "Engine": "postgres",
    "DBInstanceStatus": "available",
    "DBInstanceClass": "db.t4g.medium",
    "Endpoint": {"Address": "orders-1.example", "Port": 5433},
    "MultiAZ": True,
    "DBSubnetGroup": {"DBSubnetGroupName": "private"},
    "DBParameterGroups": [{"DBParameterGroupName": "ours"}],
    "OptionGroupMemberships": [{"OptionGroupName": "default:postgres-15"}],
    "StorageType": "gp3",
    "AllocatedStorage": 100,
    "Iops": 3000,
    "VpcSecurityGroups": GROUPS,
}


def described(**changes: Any) -> Database:
    known: dict[str, Any] = {
        "service": SERVICE,
        "engine": "postgres",
        "instance": "orders-1",
        "endpoint": Endpoint(host="old", dbname="orders", user="g"),
    }
    return Database.model_validate(known | changes)


def plan(source: str = "marker", kind: str = "instance") -> RestorePlan:
    snapshot = "arn:aws:rds:eu-west-1:123456789012:snapshot:greenlane-orders-m-0"
    kept = {"snapshot": snapshot, "version": "15.4"} if source == "snapshot" else {}
    point = {"source": source, "at": NOW, "run": "m-0"} | kept
    return RestorePlan(
        point=Point.model_validate(point),
        kind=kind,
        old="orders-1",
        new=NEW,
        rto=Rto(seconds=None, basis="unknown"),
    )


def test_what_decides_who_reaches_a_cluster_is_named_in_the_call() -> None:
    given = cluster_settings(AURORA, RESTORE)

    assert given["VpcSecurityGroupIds"] == ["sg-1"]
    assert given["DBSubnetGroupName"] == "private"
    assert given["DBClusterParameterGroupName"] == "ours"
    assert given["EnableIAMDatabaseAuthentication"] is True
    assert given["DeletionProtection"] is True


def test_what_decides_who_reaches_an_instance_is_named_in_the_call() -> None:
    given = instance_settings(POSTGRES, RESTORE)

    assert (given["VpcSecurityGroupIds"], given["DBSubnetGroupName"]) == (["sg-1"], "private")
    assert (given["MultiAZ"], given["Port"]) == (True, 5433)
    assert given["DBParameterGroupName"] == "ours"
    assert "OptionGroupName" not in given, "RDS takes no default of its own by its name"


@pytest.mark.parametrize(
    ("storage", "named"),
    [
        ({"StorageType": "gp3", "AllocatedStorage": 100, "Iops": 3000}, set()),
        ({"StorageType": "gp3", "AllocatedStorage": 400, "Iops": 12000}, {"StorageType", "Iops"}),
        ({"StorageType": "io1", "Iops": 1000}, {"StorageType", "Iops"}),
        ({"StorageType": "gp2"}, {"StorageType"}),
    ],
)
def test_storage_is_named_as_far_as_rds_takes_it(storage: dict[str, Any], named: set[str]) -> None:
    given = instance_settings(POSTGRES | {"Iops": None} | storage, RESTORE)

    assert set(given) & {"StorageType", "Iops", "StorageThroughput"} == named


def test_tags_are_kept_but_for_those_of_aws_and_of_another_restore() -> None:
    assert tags(AURORA, RESTORE) == [
        {"Key": "team", "Value": "orders"},
        {"Key": "greenlane:restore", "Value": RESTORE},
    ]


def test_what_is_not_taken_over_is_named() -> None:
    old = AURORA | {
        "AssociatedRoles": [{"RoleArn": "arn"}],
        "MasterUserSecret": {"SecretArn": "arn"},
        "HttpEndpointEnabled": True,
    }

    assert not_copied(AURORA) == ()
    assert set(not_copied(old, [{"MonitoringInterval": 60}])) == {
        "roles for S3 or Lambda (AssociatedRoles)",
        "the secret of the master user that RDS keeps",
        "the Data API",
        "enhanced monitoring",
    }


def test_other_groups_or_subnets_are_told() -> None:
    other = POSTGRES | {
        "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-open"}],
        "DBSubnetGroup": {"DBSubnetGroupName": "public"},
    }

    assert differences(POSTGRES, POSTGRES) == ()
    assert differences(other, POSTGRES) == (
        "security groups: without sg-1",
        "security groups: with sg-open",
        "subnet group: public, not private",
    )


def test_settings_that_came_out_otherwise_are_told() -> None:
    other = AURORA | {"DeletionProtection": False, "IAMDatabaseAuthenticationEnabled": None}

    assert unlike(AURORA, AURORA) == ()
    assert unlike(other, AURORA) == (
        "DeletionProtection is False, not True",
        "IAMDatabaseAuthenticationEnabled is None, not True",
    )


def test_the_key_is_left_to_rds_which_takes_the_old_ones() -> None:
    encrypted = AURORA | {"StorageEncrypted": True, "KmsKeyId": "arn:aws:kms:key/1"}

    assert "KmsKeyId" not in cluster_settings(encrypted, RESTORE)


def test_arguments_that_an_older_client_does_not_know_are_left_out() -> None:
    given = instance_settings(POSTGRES, RESTORE) | {"FromTheFuture": True}

    found = known(client("rds"), "RestoreDBInstanceToPointInTime", given)

    assert "FromTheFuture" not in found
    assert found == {name: value for name, value in given.items() if name != "FromTheFuture"}


def test_the_writer_of_a_cluster_is_the_first_of_its_instances() -> None:
    rds = client("rds")
    with Stubber(rds) as stub:
        stub.add_response("describe_db_clusters", {"DBClusters": [AURORA]})
        for name in ("orders-0", "orders-1"):
            one = {"DBInstanceIdentifier": name, "Engine": "aurora-postgresql"}
            stub.add_response(
                "describe_db_instances", {"DBInstances": [one]}, {"DBInstanceIdentifier": name}
            )

        old = read_old(rds, described(instance=None, cluster="orders-prod"))

    assert [one["DBInstanceIdentifier"] for one in old.members] == ["orders-0", "orders-1"]


def test_a_database_that_rds_does_not_run_is_restored_by_hand() -> None:
    with pytest.raises(Refused, match="do it by hand"):
        read_old(client("rds"), described(instance=None))


ANSWERS: list[tuple[str, type[Exception]]] = [
    ("DBInstanceAlreadyExists", NotFinished),
    ("InvalidDBInstanceState", NotFinished),
    ("InsufficientDBInstanceCapacity", NotFinished),
    ("InstanceQuotaExceeded", Refused),
    ("StorageQuotaExceeded", Refused),
    ("KMSKeyNotAccessibleFault", Refused),
    ("PointInTimeRestoreNotEnabled", Refused),
    ("Throttling", ClientError),
    ("AccessDenied", ClientError),
]


@pytest.mark.parametrize(("code", "error"), ANSWERS)
@pytest.mark.parametrize("source", ["marker", "snapshot"])
def test_what_rds_answers_is_asked_again_ends_it_or_is_trouble(
    source: str, code: str, error: type[Exception]
) -> None:
    rds = client("rds")
    with Stubber(rds) as stub:
        stub.add_response("describe_db_instances", {"DBInstances": [POSTGRES]})
        stub.add_client_error("describe_db_instances", "DBInstanceNotFound")
        made = "from_db_snapshot" if source == "snapshot" else "to_point_in_time"
        stub.add_client_error(f"restore_db_instance_{made}", code)

        with pytest.raises(error):
            keep_new(rds, plan(source), RESTORE, described())

        stub.assert_no_pending_responses()


STATES: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("creating", {}, NotFinished, "is creating"),
    ("modifying", {}, NotFinished, "is modifying"),
    ("incompatible-network", {}, Refused, "delete it"),
    ("available", {"TagList": []}, Refused, "of no restore"),
    (
        "available",
        {"TagList": [{"Key": "greenlane:restore", "Value": "fix-2"}]},
        Refused,
        "of the restore fix-2",
    ),
    ("available", {"VpcSecurityGroups": []}, Refused, "is not like orders-1"),
]


@pytest.mark.parametrize(("status", "changes", "error", "said"), STATES)
def test_a_new_database_is_used_only_if_it_is_available_ours_and_reached_alike(
    status: str, changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    ours = {"TagList": [{"Key": "greenlane:restore", "Value": RESTORE}]}
    found = POSTGRES | {"DBInstanceIdentifier": NEW, "DBInstanceStatus": status} | ours | changes
    rds = client("rds")
    with Stubber(rds) as stub:
        stub.add_response("describe_db_instances", {"DBInstances": [POSTGRES]})
        stub.add_response("describe_db_instances", {"DBInstances": [found]})

        with pytest.raises(error, match=said):
            keep_new(rds, plan(), RESTORE, described())
