"""A tag is resolved where its reference says, and nowhere else."""

import pytest

from greenlane.deployments.reaching.images import resolve_image
from greenlane.errors import Refused
from tests.builders import REGISTRY, SERVICE
from tests.fakes import client

OTHERS = "111111111111.dkr.ecr.eu-west-1.amazonaws.com"
FAR = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
MANIFEST = '{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}'


@pytest.fixture
def digest(world):
    """Of `1.0` in our own account and Region."""
    client("ecr").create_repository(repositoryName=SERVICE)
    pushed = client("ecr").put_image(repositoryName=SERVICE, imageManifest=MANIFEST, imageTag="1.0")
    return pushed["image"]["imageId"]["imageDigest"]


def test_a_tag_of_our_own_registry_becomes_its_digest(world, digest):
    found = resolve_image(world.runtime.ecr, f"{REGISTRY}/{SERVICE}:1.0")
    assert found == f"{REGISTRY}/{SERVICE}@{digest}"


def test_a_tag_of_another_accounts_registry_is_not_looked_up_in_ours(world, digest):
    with pytest.raises(Refused, match=r"^image: .*'1\.0'.* of 111111111111; .*by its digest"):
        resolve_image(world.runtime.ecr, f"{OTHERS}/{SERVICE}:1.0")


def test_a_tag_of_another_region_is_refused_without_a_look(world, digest):
    with pytest.raises(Refused, match=r"^image: .*us-east-1.* not eu-west-1; .*by its digest"):
        resolve_image(world.runtime.ecr, f"{FAR}/{SERVICE}:1.0")
    assert ("ecr", "describe_images") not in world.calls


def test_a_repository_that_we_may_not_read_is_refused_with_the_way_out(world):
    world.fail("ecr", "describe_images", "AccessDeniedException")
    with pytest.raises(Refused, match=r"^image: .*may not read .*'app'.*by its digest"):
        resolve_image(world.runtime.ecr, f"{OTHERS}/app:1.0")


@pytest.mark.parametrize("registry", [OTHERS, FAR, "docker.io"])
def test_a_digest_needs_no_look_wherever_it_is(world, registry):
    image = f"{registry}/app@sha256:{'c' * 64}"
    assert resolve_image(world.runtime.ecr, image) == image
    assert world.calls == []
