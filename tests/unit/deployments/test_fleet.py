"""Task definitions as AWS accepts them, and no more looks at them than needed."""

from collections.abc import Iterator

import pytest

from greenlane.deployments.reaching import fleet
from greenlane.deployments.workload import TaskShape
from tests.builders import NEW_IMAGE, SERVICE
from tests.fakes import Containers, client


def tags_of(world, arn):
    return {tag["key"]: tag["value"] for tag in world.ecs.definitions[arn]["tags"]}


def test_the_users_tags_are_kept_and_those_that_aws_keeps_for_itself_are_not(world):
    world.ecs.definitions[f"{Containers.FAMILY}:1"]["tags"] = [
        {"key": "team", "value": "chat"},
        {"key": "awsome", "value": "yes"},
        {"key": "aws:cloudformation:stack-name", "value": "claude-manager"},
        {"key": "AWS:Something", "value": "else"},
        {"key": fleet.OWNER_TAG, "value": "d-0"},
    ]
    world.prepared()
    assert tags_of(world, world.record.task_definition) == {
        "team": "chat",
        "awsome": "yes",
        fleet.OWNER_TAG: "d-1",
    }


def test_every_field_that_ecs_describes_is_registered_again_or_known_not_to_be():
    shapes = client("ecs").meta.service_model
    described = shapes.shape_for("TaskDefinition").members
    accepted = shapes.operation_model("RegisterTaskDefinition").input_shape.members
    definition = dict.fromkeys(described, "any") | {
        "containerDefinitions": [{"name": SERVICE, "image": "any"}]
    }
    body = fleet.next_revision(definition, container=SERVICE, image=NEW_IMAGE, shape=TaskShape())
    assert set(body) == set(described) & set(accepted)


def registered(world, count, **more):
    """The ARNs of so many more revisions, oldest first."""
    return [
        world.ecs.register_task_definition(
            family=SERVICE, containerDefinitions=[{"name": SERVICE, "image": NEW_IMAGE}], **more
        )["taskDefinition"]["taskDefinitionArn"]
        for _ in range(count)
    ]


OURS = [{"key": fleet.OWNER_TAG, "value": "d-0"}]


def test_old_revisions_of_ours_go_and_the_newest_those_in_use_and_others_stay(world):
    old = registered(world, 2, tags=OURS)
    foreign = registered(world, 1)
    in_use = registered(world, 1, tags=OURS)
    world.ecs.services[f"{SERVICE}-green"]["taskDefinition"] = in_use[0]
    newest = registered(world, 3, tags=OURS)
    gone = fleet.deregister_old(world.runtime.ecs, world.workload, keep=3)
    assert sorted(gone) == sorted(old)
    assert not {*foreign, *in_use, *newest} & set(world.ecs.gone)


def test_a_long_history_of_somebody_elses_revisions_costs_a_bounded_number_of_looks(world):
    ours = registered(world, 1, tags=OURS)
    registered(world, 200)
    assert fleet.deregister_old(world.runtime.ecs, world.workload, keep=5) == []
    assert world.calls.count(("ecs", "describe_task_definition")) == 50
    assert ours[0] not in world.ecs.gone


@pytest.mark.parametrize(("keep", "pages"), [(5, 1), (50, 1), (60, 2)])
def test_no_more_pages_are_listed_than_are_looked_at(world, monkeypatch, keep, pages):
    arns = registered(world, 500)[::-1]
    listed = []

    class Pages:
        def paginate(self, **asked: str) -> Iterator[dict[str, list[str]]]:
            assert asked["sort"] == "DESC"
            for first in range(0, len(arns), 100):
                listed.append(first)
                yield {"taskDefinitionArns": arns[first : first + 100]}

    ecs = world.runtime.ecs
    monkeypatch.setitem(ecs.__dict__, "get_paginator", lambda _: Pages())
    assert fleet.deregister_old(ecs, world.workload, keep=keep) == []
    assert len(listed) == pages
