"""What a restore will do, and what it costs, from what RDS and the history say."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from greenlane.errors import InvalidInput, NotFinished, Refused
from greenlane.migrations.guarding.backups import Backup
from greenlane.migrations.guarding.model import RunRecord
from greenlane.migrations.restoring.estimating import estimate_rto, losses, rpo_seconds
from greenlane.migrations.restoring.model import Looked, Point, RestoreRequest
from greenlane.migrations.restoring.planning import identifier, plan_restore, point_of
from tests.builders import NOW, SERVICE

BEGAN = NOW - timedelta(hours=2)
CLUSTER = {
    "DBClusterIdentifier": "orders-prod",
    "DBClusterArn": "arn:aws:rds:eu-west-1:123456789012:cluster:orders-prod",
    "Engine": "aurora-postgresql",
    "BackupRetentionPeriod": 7,
    "EarliestRestorableTime": NOW - timedelta(days=7),
    "LatestRestorableTime": NOW - timedelta(minutes=5),
}
MEMBERS = ({"DBInstanceIdentifier": "orders-0"}, {"DBInstanceIdentifier": "orders-1"})
SNAPSHOT = "arn:aws:rds:eu-west-1:123456789012:cluster-snapshot:greenlane-orders-m-0"


def request(**asks: Any) -> RestoreRequest:
    given = {
        "restore": "fix-1",
        "database": "orders",
        "run": "m-0",
        "mode": "cutover",
        "requested_by": "ada",
        "reason": "rows were lost",
    }
    return RestoreRequest.model_validate(given | asks)


def line(run: str = "m-0", at: datetime = BEGAN, **changes: Any) -> RunRecord:
    known = {
        "run": run,
        "database": "orders",
        "service": SERVICE,
        "phase": "contract",
        "plan_sha": "a" * 64,
        "standing": "succeeded",
        "backup": Backup(kind="marker", at=at, lsn="0/3000060"),
        "started_at": at,
        "updated_at": at,
    }
    return RunRecord.model_validate(known | changes)


def test_the_point_is_the_whole_second_before_the_first_statement() -> None:
    at = BEGAN + timedelta(milliseconds=750)

    point = point_of(request(), line(at=at), CLUSTER, None, NOW)

    assert (point.at, point.source, point.lsn) == (BEGAN, "marker", "0/3000060")


def test_the_point_of_a_snapshot_is_when_it_was_taken() -> None:
    backup = Backup(kind="snapshot", at=BEGAN, snapshot=SNAPSHOT)
    taken = BEGAN + timedelta(minutes=3)
    found = {"Status": "available", "SnapshotCreateTime": taken, "EngineVersion": "15.4"}

    point = point_of(request(), line(backup=backup), CLUSTER, found, NOW)

    assert (point.source, point.at, point.version) == ("snapshot", taken, "15.4")


def test_a_run_with_a_snapshot_can_be_gone_back_before_by_its_marker_too() -> None:
    backup = Backup(kind="snapshot", at=BEGAN, snapshot=SNAPSHOT)

    point = point_of(request(source="marker"), line(backup=backup), CLUSTER, None, NOW)

    assert (point.source, point.at) == ("marker", BEGAN)


NO_POINT: list[tuple[RunRecord, dict[str, Any], Any, type[Exception], str]] = [
    (line(database="billing"), CLUSTER, None, InvalidInput, "it ran on billing"),
    (line(backup=None), CLUSTER, None, InvalidInput, "kept no backup"),
    (line(backup=Backup(kind="none", at=BEGAN)), CLUSTER, None, InvalidInput, "kept no backup"),
    (line(), CLUSTER | {"BackupRetentionPeriod": 0}, None, Refused, "recovery is off"),
    (line(at=NOW - timedelta(days=8)), CLUSTER, None, Refused, "can go back to"),
    (line(at=NOW), CLUSTER, None, NotFinished, "in some minutes it can"),
    (line(), CLUSTER | {"LatestRestorableTime": None}, None, NotFinished, "in some minutes"),
    (
        line(backup=Backup(kind="snapshot", at=BEGAN, snapshot=SNAPSHOT)),
        CLUSTER,
        None,
        Refused,
        "not there any more",
    ),
    (
        line(backup=Backup(kind="snapshot", at=BEGAN, snapshot=SNAPSHOT)),
        CLUSTER,
        {"Status": "deleting"},
        Refused,
        "is deleting",
    ),
]


@pytest.mark.parametrize(("run", "old", "snapshot", "error", "said"), NO_POINT)
def test_where_there_is_no_way_back_it_says_why(
    run: RunRecord, old: dict[str, Any], snapshot: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        point_of(request(), run, old, snapshot, NOW)


def test_an_instance_is_as_recoverable_as_it_is_old() -> None:
    instance = {"BackupRetentionPeriod": 7, "InstanceCreateTime": NOW - timedelta(hours=1)}
    instance |= {"LatestRestorableTime": NOW}

    with pytest.raises(Refused, match="2026-11-23 11:00:00 UTC at most"):
        point_of(request(), line(), instance, None, NOW)


def test_the_new_database_has_the_same_name_each_time_and_so_have_its_instances() -> None:
    point = Point(source="marker", at=BEGAN, run="m-0")

    plan = plan_restore(request(), CLUSTER, MEMBERS, point, [line()], [])

    assert plan.new == "greenlane-orders-fix-1" == identifier("orders", "fix-1")
    assert plan.members == ("greenlane-orders-fix-1-1", "greenlane-orders-fix-1-2")
    assert plan.old == "orders-prod"
    longest = identifier("o" * 32, "r" * 40)
    assert len(f"{longest}-99") <= 63
    assert longest != identifier("o" * 32, "r" * 39 + "s")


@pytest.mark.parametrize(
    ("old", "members", "said"),
    [
        (CLUSTER | {"EngineMode": "serverless"}, MEMBERS, "Serverless v1"),
        (CLUSTER, (), "has no instance"),
        (CLUSTER | {"DBClusterIdentifier": "greenlane-orders-fix-1"}, MEMBERS, "name the old one"),
    ],
)
def test_what_rds_could_not_make_alike_is_refused(old: Any, members: Any, said: str) -> None:
    point = Point(source="marker", at=BEGAN, run="m-0")

    with pytest.raises(Refused, match=said):
        plan_restore(request(), old, members, point, [line()], [])


def test_runs_that_did_something_since_are_lost_in_their_order() -> None:
    later = [
        line("m-2", NOW, phase="expand"),
        line("m-1", BEGAN + timedelta(hours=1), standing="refused"),
        line(),
    ]
    point = Point(source="marker", at=BEGAN, run="m-0")

    plan = plan_restore(request(), CLUSTER, MEMBERS, point, later, [])

    assert [one.run for one in plan.lost_runs] == ["m-0", "m-2"]
    said = losses(plan, None, NOW)
    assert said[0] == "every write to orders-prod since 2026-11-23 10:00:00 UTC: 7200 seconds (2h)"
    assert said[2].startswith("the expand of m-2 (succeeded)")


def test_the_runbook_names_who_does_what() -> None:
    point = Point(source="marker", at=BEGAN, run="m-0")
    cutover = plan_restore(request(), CLUSTER, MEMBERS, point, [line()], []).steps
    salvage = request(mode="salvage", tables=["public.people"])
    saved = plan_restore(salvage, CLUSTER, MEMBERS, point, [line()], []).steps

    who = {one.title.partition(":")[0].partition(",")[0]: one.who for one in cutover}
    assert who["decide"] == "people"
    assert who["stop what writes to the old one"] == "people"
    assert who["publish the new endpoint"] == "greenlane"
    assert "publish the new endpoint" not in [one.title for one in saved]


def test_rpo_is_the_seconds_since_the_point() -> None:
    point = Point(source="marker", at=BEGAN, run="m-0")

    assert rpo_seconds(point, NOW) == 7200
    assert rpo_seconds(point, BEGAN - timedelta(seconds=1)) == 0


def test_rto_is_the_longest_of_the_last_that_were_measured() -> None:
    assert estimate_rto([60, 300, 90, 80, 70, 9000], 10).seconds == 300
    assert estimate_rto([60, 300], None).samples == 2
    declared = estimate_rto([], 3600)
    assert (declared.seconds, declared.basis) == (3600, "declared")
    assert estimate_rto([], None).seconds is None


LOST: list[tuple[dict[str, Any], str]] = [
    ({"old_answers": False}, "of public.a nobody knows what: the old one does not answer"),
    (
        {"then": [{"name": "public.a"}], "now": [{"name": "public.a", "columns": []}]},
        "public.a is in neither",
    ),
    (
        {
            "then": [{"name": "public.a"}],
            "now": [{"name": "public.a", "columns": [{"name": "id", "type": "int"}]}],
        },
        "public.a, which the new one does not have",
    ),
    ({"rows": None}, "public.a: too many rows to count now, 5 rows then"),
]


@pytest.mark.parametrize(("changes", "said"), LOST)
def test_what_is_lost_of_a_table_is_said_by_its_name(changes: dict[str, Any], said: str) -> None:
    columns = [{"name": "id", "type": "int"}]
    rows = changes.pop("rows", 3)
    given: dict[str, Any] = {
        "at": NOW,
        "then": [{"name": "public.a", "rows": 5, "columns": columns}],
        "now": [{"name": "public.a", "rows": rows, "columns": columns}],
    }
    looked = Looked.model_validate(given | changes)
    point = Point(source="marker", at=BEGAN, run="m-0")
    plan = plan_restore(request(), CLUSTER, MEMBERS, point, [line()], [])

    assert any(one.startswith(said) for one in losses(plan, looked, NOW))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"mode": "salvage"}, "name them in tables"),
    ({"restore": "Fix_1"}, "should match pattern"),
    ({"tables": ["people"]}, "should match pattern"),
    ({"least_rows": {"public.people": -1}}, "greater than or equal to 0"),
    ({"reason": ""}, "at least 1"),
    ({"tabels": []}, "Extra inputs"),
]


@pytest.mark.parametrize(("asks", "said"), WRONG)
def test_a_wrong_request_is_refused(asks: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        request(**asks)
