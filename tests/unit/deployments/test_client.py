import json

import pytest
from pydantic import ValidationError

from greenlane.deployments.connection import DEPLOYMENT_MACHINE
from greenlane.deployments.model import (
    DeploymentRequest,
)
from greenlane.deployments.phases import Phase
from greenlane.deployments.workload import parameter_name
from greenlane.errors import (
    DeploymentInFlight,
    InvalidInput,
    UnknownService,
)
from greenlane.people.paging_route import PagingRoute, read_routes
from greenlane.problems import InvalidDocument
from tests.aws_account import (
    CANARY_FILE,
    NOW,
    SERVICE_FILE,
    describe_workload,
    executions,
    record_in,
    request,
)
from tests.fakes import client


def test_applying_takes_the_workload_from_the_environments_parameter(greenlane, workload):
    applied = greenlane.apply(SERVICE_FILE, by="jo")
    assert (applied.service, applied.version, applied.changed) == ("claude-manager", 1, True)
    stored = greenlane.store.get_config("claude-manager")
    assert stored.config.workload == workload
    assert (stored.applied_by, stored.applied_at) == ("jo", NOW)


def test_applying_the_same_again_keeps_the_version(applied):
    again = applied.apply(SERVICE_FILE, by="kim")
    assert (again.version, again.changed) == (1, False)


def test_a_canary_file_lies_over_the_service_file_and_keeps_it(applied):
    result = applied.apply(CANARY_FILE, by="jo")
    assert (result.service, result.version, result.changed) == ("claude-manager", 2, True)
    assert not any("judged" in warning for warning in result.warnings)
    config = applied.store.get_config("claude-manager").config
    assert config.deployment.strategy == "canary"

    applied.apply("service: {name: claude-manager, container: web}", by="jo")
    config = applied.store.get_config("claude-manager").config
    assert config.container == "web"
    assert config.deployment.strategy == "canary", "the canary file still lies over it"


def test_applying_subscribes_the_addresses_once_and_says_who_must_confirm(applied):
    sns = applied.connection.client("sns")
    topic = sns.create_topic(Name="greenlane-notifications")["TopicArn"]
    first = applied.apply(CANARY_FILE, by="jo")
    applied.apply(CANARY_FILE, by="jo")
    found = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert [entry["Endpoint"] for entry in found] == ["devops@terragon.ai"]
    assert first.changed
    assert topic == applied.connection.topic_arn


def test_an_address_hears_of_the_services_that_name_it(applied):
    sns = applied.connection.client("sns")
    topic = sns.create_topic(Name="greenlane-notifications")["TopicArn"]

    def policies():
        found = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        return {
            it["Endpoint"]: sns.get_subscription_attributes(SubscriptionArn=it["SubscriptionArn"])[
                "Attributes"
            ]["FilterPolicy"]
            for it in found
        }

    def apply(*addresses):
        text = f"notifications: {{email_list: {json.dumps(addresses)}}}"
        applied.apply(f"service: {{name: claude-manager, {text}}}", by="jo")

    apply("ada@example.com", "bob@example.com")
    only = json.dumps({"service": ["claude-manager", "unknown"]})
    assert policies() == {"ada@example.com": only, "bob@example.com": only}
    apply("ada@example.com")
    assert policies() == {"ada@example.com": only}
    apply()
    assert policies() == {}


def test_applying_leaves_outside_of_the_table_how_to_page_without_it(applied):
    asked = "{pagerduty_integration: true, pagerduty_region: eu}"
    applied.apply(f"service: {{name: claude-manager, notifications: {asked}}}", by="jo")
    routes = read_routes(applied.connection.client("ssm"))
    assert routes["claude-manager"] == PagingRoute(
        pagerduty_secret="greenlane/claude-manager/pagerduty", pagerduty_region="eu"
    )


def test_a_topic_that_does_not_answer_is_a_warning_only(applied):
    result = applied.apply(CANARY_FILE, by="jo")
    assert result.changed
    assert any("not subscribed, apply again" in warning for warning in result.warnings)


def test_a_channel_without_its_secret_is_a_warning_until_there_is_one(applied):
    result = applied.apply(CANARY_FILE, by="jo")
    said = [warning for warning in result.warnings if "nobody hears it" in warning]
    assert said == [
        "notifications.slack_channel: nobody hears it until greenlane/claude-manager/slack is a "
        "secret",
        "notifications.pagerduty_integration: nobody hears it until "
        "greenlane/claude-manager/pagerduty is a secret",
    ]
    for channel in ("slack", "pagerduty"):
        applied.connection.client("secretsmanager").create_secret(
            Name=f"greenlane/claude-manager/{channel}", SecretString="x" * 32
        )
    result = applied.apply(CANARY_FILE, by="jo")
    assert not any("secret" in warning for warning in result.warnings)


def test_an_empty_canary_takes_the_canarys_file_away_and_leaves_the_others(applied):
    before = applied.store.get_config("claude-manager").config
    applied.apply(CANARY_FILE, by="jo")
    assert applied.store.get_config("claude-manager").config != before
    applied.apply("canary:", by="jo")
    assert applied.store.get_config("claude-manager").config == before
    names = applied.connection.client("cloudwatch").names
    assert not [name for name in names if ".trigger." in name]


def test_a_looser_canary_file_replaces_the_stricter_one_before(applied):
    for limit in ("0.005", "0.03"):
        applied.apply(f"canary: {{success_criteria: {{error_rate_threshold: {limit}}}}}", by="jo")
    assert str(applied.store.get_config("claude-manager").config.judge.error_rate) == "0.03"


def test_a_canary_file_alone_makes_a_service_of_a_described_workload(greenlane, workload):
    result = greenlane.apply(CANARY_FILE, service="claude-manager", by="jo")
    assert (result.service, result.version) == ("claude-manager", 1)


def test_a_canary_file_for_an_unknown_service_changes_nothing(applied):
    with pytest.raises(UnknownService, match="known: claude-manager"):
        applied.apply(CANARY_FILE, service="claude-manger", by="jo")
    assert applied.services() == ["claude-manager"]


def test_a_canary_file_needs_a_name_when_there_is_none_to_guess(greenlane):
    with pytest.raises(InvalidInput, match="--service NAME"):
        greenlane.apply(CANARY_FILE, by="jo")


def test_a_canary_file_needs_a_name_when_there_are_several(applied, workload):
    describe_workload(workload.model_copy(update={"service": "shop"}))
    applied.apply("service: {name: shop}", by="jo")
    with pytest.raises(InvalidInput, match="claude-manager, shop"):
        applied.apply(CANARY_FILE, by="jo")


def test_a_name_that_contradicts_the_file_is_refused(applied):
    with pytest.raises(InvalidInput, match="the file declares claude-manager"):
        applied.apply(SERVICE_FILE, service="shop", by="jo")


def test_a_service_without_a_workload_says_where_it_comes_from(greenlane):
    with pytest.raises(InvalidInput, match="/greenlane/workloads/claude-manager"):
        greenlane.apply(SERVICE_FILE, by="jo")
    assert greenlane.services() == []


def test_a_broken_workload_parameter_names_the_parameter_and_the_field(aws, greenlane):
    client("ssm").put_parameter(
        Name=parameter_name("claude-manager"), Value='{"service": "x"}', Type="String"
    )
    with pytest.raises(InvalidInput, match=r"/greenlane/workloads/claude-manager\.cluster"):
        greenlane.apply(SERVICE_FILE, by="jo")


def test_a_wrong_file_changes_nothing(applied):
    with pytest.raises(InvalidDocument):
        applied.apply("service: {name: claude-manager, deployment: {bake: -1}}", by="jo")
    assert applied.store.get_config("claude-manager").version == 1


def test_a_missing_file_is_bad_input(greenlane, tmp_path):
    with pytest.raises(InvalidInput, match="No such file"):
        greenlane.apply(tmp_path / "none.yaml", by="jo")


def test_a_deployment_starts_one_execution_of_its_own_name(applied, machines):
    started = applied.deploy(request())
    assert started.deployment_id.startswith("claude-manager-20261123-120000-")
    (execution,) = executions(applied, DEPLOYMENT_MACHINE)
    assert execution["executionArn"] == started.execution_arn
    assert execution["name"] == started.deployment_id
    body = json.loads(execution["input"])
    assert body["deployment"] == {
        "deployment_id": started.deployment_id,
        "service": "claude-manager",
    }
    assert DeploymentRequest.model_validate(body["request"]).version == "1.4.2"


def test_the_same_request_with_the_same_id_starts_once(applied, machines):
    first = applied.deploy(request(deployment_id="release-7"))
    again = applied.deploy(request(deployment_id="release-7"))
    assert again.execution_arn == first.execution_arn
    assert len(executions(applied, DEPLOYMENT_MACHINE)) == 1


def test_another_request_with_the_same_id_is_refused(applied, machines):
    applied.deploy(request(deployment_id="release-7"))
    with pytest.raises(InvalidInput, match="choose another"):
        applied.deploy(request(deployment_id="release-7", version="1.4.3"))


def test_a_second_deployment_is_refused_and_starts_nothing(applied, machines):
    applied.store.acquire(record_in(Phase.SHIFTING))
    with pytest.raises(DeploymentInFlight, match="d-1"):
        applied.deploy(request())
    assert executions(applied, DEPLOYMENT_MACHINE) == []


def test_a_deployment_of_an_unknown_service_names_the_known_ones(applied, machines):
    with pytest.raises(UnknownService, match="known: claude-manager"):
        applied.deploy(request(service="claude-manger"))


def test_steps_that_fall_start_nothing(applied, machines):
    with pytest.raises(ValidationError, match="5 follows 10"):
        applied.deploy(request(steps=[10, 5, 100]))
    assert executions(applied, DEPLOYMENT_MACHINE) == []


def test_bakes_that_outlast_the_deadline_start_nothing(applied, machines):
    with pytest.raises(InvalidInput, match="the bakes alone take"):
        applied.deploy(request(steps=[50, 100], bake="10h"))
