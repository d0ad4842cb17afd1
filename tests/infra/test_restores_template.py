"""Restores exist where a database is configured; they make databases, and change or delete none."""

from typing import Any

import pytest

from greenlane.migrations.restoring.planning import NEW_PREFIX
from infra.nag import as_finding
from tests.infra.conftest import MIGRATIONS, Assembly, Vary
from tests.infra.test_migrations_template import functions, role
from tests.infra.test_permissions import allowed, as_list, statements

INSIDE = {"verify-restore"}
OUTSIDE = {
    *("take-restore", "restore-database", "ask-about-restore", "heed-restore", "prepare-cutover"),
    *("cut-over-restore", "finish-restore", "tell-restore", "tell-dead-restore"),
}
RDS = "arn:<AWS::Partition>:rds:eu-west-1:<AWS::AccountId>"


def test_without_a_database_nothing_of_it_is_made(assembly: Assembly) -> None:
    assert not (OUTSIDE | INSIDE) & set(functions(assembly.product))
    assert "greenlane-restore" not in str(assembly.product.body)


def test_only_the_look_is_in_the_databases_network(whole: Assembly) -> None:
    known = functions(whole.product)

    for name in OUTSIDE | INSIDE:
        network = {
            "SubnetIds": MIGRATIONS["subnet_ids"],
            "SecurityGroupIds": MIGRATIONS["security_group_ids"],
        }
        assert known[name].get("VpcConfig") == (network if name in INSIDE else None), name
        assert len(known[name]["Layers"]) == (2 if name in INSIDE else 1), name
    assert known["verify-restore"]["Timeout"] == 900


def test_databases_are_made_under_our_own_names_from_the_configured_ones(whole: Assembly) -> None:
    may = allowed(whole, role("restore-database"))

    def named(action: str) -> set[str]:
        groups = (":og:", ":pg:", ":cluster-pg:", ":subgrp:")
        return {one for one in may[action] if not any(kind in one for kind in groups)}

    ours = {f"{RDS}:cluster:{NEW_PREFIX}*", f"{RDS}:db:{NEW_PREFIX}*"}
    assert named("rds:RestoreDBClusterToPointInTime") == {
        f"{RDS}:cluster:orders-prod",
        f"{RDS}:cluster:{NEW_PREFIX}*",
        f"{RDS}:cluster-snapshot:{NEW_PREFIX}*",
    }
    assert named("rds:RestoreDBInstanceToPointInTime") == {
        f"{RDS}:db:billing-1",
        f"{RDS}:db:{NEW_PREFIX}*",
        f"{RDS}:snapshot:{NEW_PREFIX}*",
    }
    assert named("rds:CreateDBInstance") == ours
    assert may["rds:AddTagsToResource"] == ours


@pytest.mark.parametrize("name", sorted(OUTSIDE | INSIDE))
def test_no_function_may_change_stop_or_delete_a_database(whole: Assembly, name: str) -> None:
    verbs = ("Delete", "Modify", "Stop", "Start", "Reboot", "Failover", "Promote", "Switchover")
    may = [action.partition(":") for action in allowed(whole, role(name))]

    assert [one for one in may if one[0] == "rds" and one[2].startswith(verbs)] == []


def test_only_the_cutover_writes_where_clients_look(whole: Assembly) -> None:
    writes = {
        name: {
            action
            for action in allowed(whole, role(name))
            if action in ("ssm:PutParameter", "secretsmanager:PutSecretValue")
            or action == "secretsmanager:UpdateSecretVersionStage"
        }
        for name in OUTSIDE | INSIDE
    }

    assert {name for name, actions in writes.items() if actions} == {"cut-over-restore"}
    secrets = allowed(whole, role("cut-over-restore"))["secretsmanager:PutSecretValue"]
    assert {one.partition(":secret:")[2] for one in secrets} == {"greenlane/billing-??????"}


def test_the_look_signs_in_as_the_users_of_the_old_databases_and_reads_no_table_of_ours(
    whole: Assembly,
) -> None:
    may = allowed(whole, role("verify-restore"))

    assert {one.partition(":dbuser:")[2] for one in may["rds-db:connect"]} == {
        "cluster-ABC123/greenlane",
        "*/greenlane",
    }
    assert not [action for action in may if action.startswith(("dynamodb:", "rds:"))]


def test_without_clusters_no_permission_is_about_clusters(vary: Vary) -> None:
    only = MIGRATIONS | {"databases": [MIGRATIONS["databases"][1]]}
    may = allowed(vary(migrations=only), role("restore-database"))

    assert not [action for action in may if "Cluster" in action]
    assert "rds:RestoreDBInstanceToPointInTime" in may


def test_a_database_that_rds_does_not_run_brings_no_permission_on_rds(vary: Vary) -> None:
    only = MIGRATIONS | {"databases": [{"name": "local", "secret": "greenlane/local"}]}
    may: dict[str, Any] = allowed(vary(migrations=only), role("restore-database"))

    assert not [action for action in may if action.startswith("rds:")]


def test_an_execution_that_died_has_people_told(whole: Assembly) -> None:
    rule = whole.product.only("AWS::Events::Rule", Name="greenlane-restore-died").properties
    machine = whole.product.only(
        "AWS::StepFunctions::StateMachine", StateMachineName="greenlane-restore"
    )

    assert rule["EventPattern"]["detail"]["stateMachineArn"] == [{"Ref": machine.logical_id}]
    assert rule["EventPattern"]["detail"]["status"] == ["ABORTED", "FAILED", "TIMED_OUT"]
    (target,) = rule["Targets"]
    assert target["DeadLetterConfig"]
    assert machine.properties["LoggingConfiguration"]["IncludeExecutionData"] is False


def test_nothing_but_people_starts_it(whole: Assembly) -> None:
    machine = whole.product.only(
        "AWS::StepFunctions::StateMachine", StateMachineName="greenlane-restore"
    )
    started = {
        as_finding(one)
        for _, statement in statements(whole.product)
        if "states:StartExecution" in as_list(statement["Action"])
        for one in as_list(statement["Resource"])
    }

    assert any(one.endswith(":greenlane-migration") for one in started), "others are started"
    assert not [one for one in started if "restore" in one or machine.logical_id in one]
