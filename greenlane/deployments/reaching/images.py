"""The edge to ECR: a version or a tag becomes a digest, once."""

import re
from typing import Any

from botocore.exceptions import ClientError

from greenlane.errors import Refused

_ECR = re.compile(
    r"^(?P<registry>(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com"
    r"(?:\.cn)?)/"
    r"(?P<repository>[^:@]+):(?P<tag>[^:@/]+)$"
)
_BY_DIGEST = "name the image by its digest (NAME@sha256:...)"


def digest_of(
    ecr: Any, repository: str, tag: str, *, field: str = "version", account: str | None = None
) -> str:
    """The digest that a tag names in a repository, of our own account unless another is given.

    Raises:
        Refused: there is no such repository or tag, or it is not ours to read.
    """
    registry = {} if account is None else {"registryId": account}
    where = f"the repository {repository!r}" + (f" of {account}" if account else "")
    try:
        answer = ecr.describe_images(
            repositoryName=repository, imageIds=[{"imageTag": tag}], **registry
        )
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("ImageNotFoundException", "RepositoryNotFoundException"):
            raise Refused(
                f"{field}: there is no image {tag!r} in {where}; push it first, or {_BY_DIGEST}"
            ) from error
        if code == "AccessDeniedException":
            raise Refused(
                f"{field}: Greenlane may not read {tag!r} in {where}, only what is in its "
                f"services' repositories, of its own account; {_BY_DIGEST}"
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
            f"image: the tag of {image} can be resolved to a digest only in ECR; {_BY_DIGEST}"
        )
    if match["region"] != ecr.meta.region_name:
        raise Refused(
            f"image: {image} is in the ECR of {match['region']}, not {ecr.meta.region_name}; "
            f"{_BY_DIGEST}"
        )
    digest = digest_of(
        ecr, match["repository"], match["tag"], field="image", account=match["account"]
    )
    return f"{match['registry']}/{match['repository']}@{digest}"
