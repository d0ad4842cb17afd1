import pytest

from greenlane.incidents.report_changes import config_changes, definition_changes
from tests.builders import plan, service_config
from tests.unit.incidents.pieces import definition, new_definition, old_definition


def shown(changes):
    return {change.path: (change.change, change.before, change.after) for change in changes}


def container(**changes):
    return definition(1, **({"image": "i:1"} | changes))


def test_environment_variables_are_named_and_their_values_never_shown():
    changes = definition_changes(old_definition(), new_definition())
    found = shown(changes)
    prefix = "containers.claude-manager.environment"
    assert found[f"{prefix}.DATABASE_PASSWORD"] == ("changed", None, None)
    assert found[f"{prefix}.STRIPE_KEY"] == ("added", None, None)
    assert f"{prefix}.LOG_LEVEL" not in found
    assert all(change.hidden for change in changes if "environment" in change.path)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"command": ["serve", "--password=x"]}, "command"),
        ({"entryPoint": ["sh", "-c", "TOKEN=x run"]}, "entryPoint"),
        ({"dockerLabels": {"com.example.key": "x"}}, "dockerLabels.com.example.key"),
        (
            {"logConfiguration": {"logDriver": "splunk", "options": {"splunk-token": "x"}}},
            "logConfiguration.options.splunk-token",
        ),
        ({"healthCheck": {"command": ["curl", "http://u:p@x"]}}, "healthCheck.command"),
        ({"environment": [{"name": "image", "value": "x"}]}, "environment.image"),
        ({"somethingNew": {"image": "x"}}, "somethingNew.image"),
    ],
)
def test_whatever_may_hold_a_secret_is_named_without_its_value(change, path):
    (found,) = [
        one
        for one in definition_changes(container(), container(**change))
        if one.path == f"containers.claude-manager.{path}"
    ]
    assert (found.hidden, found.before, found.after) == (True, None, None)


@pytest.mark.parametrize(
    ("change", "path", "after"),
    [
        ({"image": "i:2"}, "image", "i:2"),
        ({"essential": True}, "essential", "true"),
        ({"portMappings": [{"containerPort": 9000}]}, "portMappings.0.containerPort", "9000"),
        ({"secrets": [{"name": "K", "valueFrom": "arn:s"}]}, "secrets.K", "arn:s"),
        ({"memoryReservation": 256}, "memoryReservation", "256"),
    ],
)
def test_plain_fields_are_shown_with_both_values(change, path, after):
    found = shown(definition_changes(container(), container(**change)))
    assert found[f"containers.claude-manager.{path}"][2] == after


def test_the_order_of_containers_and_variables_is_no_change():
    one = container(environment=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}])
    two = container(environment=[{"name": "B", "value": "2"}, {"name": "A", "value": "1"}])
    one["containerDefinitions"] += [{"name": "proxy", "image": "p"}]
    two["containerDefinitions"] = [{"name": "proxy", "image": "p"}, *two["containerDefinitions"]]
    assert definition_changes(one, two) == ()


def test_what_ecs_says_about_a_revision_is_no_change():
    before, after = container(), container() | {"revision": 9, "registeredAt": "later"}
    assert definition_changes(before, after) == ()


def test_a_container_that_comes_or_goes_is_told_by_its_fields():
    more = container()
    more["containerDefinitions"] += [{"name": "proxy", "image": "p"}]
    assert shown(definition_changes(container(), more))["containers.proxy.image"] == (
        "added",
        None,
        "p",
    )
    assert shown(definition_changes(more, container()))["containers.proxy.image"] == (
        "removed",
        "p",
        None,
    )


def test_configurations_are_compared_field_by_field():
    before = plan(config=service_config(judge={"min_requests": 5}))
    after = plan(
        config=service_config(
            deployment={"strategy": "canary", "steps": [5, 100], "bake": "5m"},
            judge={"min_requests": 50},
        )
    )
    found = shown(config_changes(before, after))
    assert found["judge.min_requests"] == ("changed", "5", "50")
    assert found["deployment.bake"] == ("added", None, "5m")
    assert found["deployment.steps.0.weight"] == ("changed", "10", "5")


def test_bodies_headers_and_variables_of_the_configuration_are_not_shown():
    tests = [{"name": "up", "headers": {"X-Thing": "x"}, "body": "a=1"}]
    found = config_changes(plan(), plan(config=service_config(validation=tests)))
    hidden = {change.path for change in found if change.hidden}
    assert hidden == {"validation.0.headers.X-Thing", "validation.0.body"}
