from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws
from mypy_boto3_ecr import ECRClient

from greenlane.local.images import (
    Image,
    ImageNotFound,
    local_manifests,
    push_image,
    resolve_image,
)

REGION = "eu-west-1"
REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


@pytest.fixture
def ecr() -> Iterator[ECRClient]:
    with mock_aws():
        client = boto3.client("ecr", REGION, aws_access_key_id="test", aws_secret_access_key="test")
        client.create_repository(repositoryName="claude-manager")
        yield client


def resolve(reference: str) -> Image:
    return resolve_image(reference, local_manifests(REGION))


@pytest.mark.parametrize(
    ("behaviour", "here", "there"),
    [
        ("errors:0.08", "errors:0.08", "errors:0.08"),
        ("errors:0.08@eu-west-1", "errors:0.08", "good"),
        ("slow:0.1, errors:0.08@us-east-1", "slow:0.1", "slow:0.1,errors:0.08"),
    ],
)
def test_one_image_may_behave_differently_in_one_region(
    behaviour: str, here: str, there: str
) -> None:
    image = Image("1.1.0", behaviour, "sha256:0")
    assert (image.behaviour_in("eu-west-1"), image.behaviour_in("us-east-1")) == (here, there)


def test_a_tag_and_its_digest_run_the_same_version(ecr: ECRClient) -> None:
    digest = push_image(ecr, "claude-manager", "1.1.0", "errors:0.08")

    expected = Image("1.1.0", "errors:0.08", digest)
    assert resolve(f"{REGISTRY}/claude-manager:1.1.0") == expected
    assert resolve(f"{REGISTRY}/claude-manager@{digest}") == expected
    assert resolve(f"claude-manager:1.1.0@{digest}") == expected


def test_a_digest_stays_with_its_version_when_the_tag_moves(ecr: ECRClient) -> None:
    first = push_image(ecr, "claude-manager", "stable", "good")
    second = push_image(ecr, "claude-manager", "stable", "slow:3.0")

    assert first != second
    assert resolve("claude-manager:stable").behaviour == "slow:3.0"


def test_ecr_reports_the_digest_that_push_returned(ecr: ECRClient) -> None:
    digest = push_image(ecr, "claude-manager", "2.0.0")

    (detail,) = ecr.describe_images(
        repositoryName="claude-manager", imageIds=[{"imageTag": "2.0.0"}]
    )["imageDetails"]
    assert detail["imageDigest"] == digest


@pytest.mark.parametrize(
    "reference",
    ["claude-manager:none", "nothing:1", "claude-manager@sha256:" + "0" * 64, "not an image"],
)
def test_what_was_never_pushed_is_not_found(ecr: ECRClient, reference: str) -> None:
    with pytest.raises(ImageNotFound):
        resolve(reference)
