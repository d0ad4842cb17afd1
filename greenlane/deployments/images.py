"""The edge to ECR: a version or a tag becomes a digest, once."""

import re
from typing import Any

from botocore.exceptions import ClientError

from greenlane.errors import Refused

_ECR = re.compile(
    r"^(?P<registry>\d{12}\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?)/"
    r"(?P<repository>[^:@]+):(?P<tag>[^:@/]+)$"
)


def digest_of(ecr: Any, repository: str, tag: str) -> str:
    """The digest that a tag names in a repository of the account.

    Raises:
        Refused: there is no such repository or tag.
    """
    try:
        answer = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("ImageNotFoundException", "RepositoryNotFoundException"):
            raise Refused(
                f"version: there is no image {tag!r} in the repository {repository!r}; "
                "push it first"
            ) from error
        raise
    return str(answer["imageDetails"][0]["imageDigest"])


def resolve_version(ecr: Any, repository: str, version: str) -> str:
    """The full reference, by digest, of a version in a repository of the account."""
    digest = digest_of(ecr, repository, version)
    answer = ecr.describe_repositories(repositoryNames=[repository])
    return f"{answer['repositories'][0]['repositoryUri']}@{digest}"


def resolve_image(ecr: Any, image: str) -> str:
    """The reference by digest that an image reference means now.

    Raises:
        Refused: it names a tag in a registry where we cannot resolve it to a digest.
    """
    if "@sha256:" in image:
        return image
    match = _ECR.match(image)
    if match is None:
        raise Refused(
            f"image: the tag of {image} can be resolved to a digest only in ECR; "
            "name the image by its digest (NAME@sha256:...)"
        )
    digest = digest_of(ecr, match["repository"], match["tag"])
    return f"{match['registry']}/{match['repository']}@{digest}"
