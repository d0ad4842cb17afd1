"""Local images: what an image reference runs, kept in the ECR of the local cloud.

An image here is an ordinary ECR image (an OCI manifest with a digest and a tag) without layers
worth pulling: its annotations say how the sample service behaves when a container runs it. So
`DescribeImages`, tags and digests work as they do in AWS, and nothing is built.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

BEHAVIOUR_ANNOTATION = "dev.greenlane.local.behaviour"
VERSION_ANNOTATION = "org.opencontainers.image.version"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"

_REFERENCE = re.compile(
    r"(?:[^/]+\.[^/]+/)?(?P<repository>[a-z0-9][a-z0-9._/-]*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


class ImageNotFound(Exception):
    """No image of that reference was pushed; ECS calls it `CannotPullContainerError`."""


@dataclass(frozen=True)
class Image:
    """What a container of this image runs: the sample service, so called and so behaving."""

    version: str
    behaviour: str


def push_image(ecr: "ECRClient", repository: str, tag: str, behaviour: str = "good") -> str:
    """Push a version of the sample service and return its digest (`sha256:...`).

    Args:
        ecr: a client of the cloud to push to.
        repository: the name of an existing repository.
        tag: the version; the service reports it in `X-Version`.
        behaviour: how it behaves, as `BEHAVIOUR` of the sample service (`errors:0.08`).
    """
    blob = hashlib.sha256(f"{repository}:{tag}:{behaviour}".encode()).hexdigest()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": f"sha256:{blob}",
                "size": 512,
            },
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                    "digest": f"sha256:{blob}",
                    "size": 4096,
                }
            ],
            "annotations": {BEHAVIOUR_ANNOTATION: behaviour, VERSION_ANNOTATION: tag},
        },
        sort_keys=True,
    )
    digest = "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()
    ecr.put_image(
        repositoryName=repository,
        imageManifest=manifest,
        imageManifestMediaType=MANIFEST_TYPE,
        imageTag=tag,
        imageDigest=digest,
    )
    return digest


def resolve_image(ecr: "ECRClient", reference: str) -> Image:
    """What `reference` (`[registry/]repository[:tag][@digest]`) runs; the digest decides.

    Raises:
        ImageNotFound: the reference is malformed, names no pushed image, or one that
            `push_image` did not make.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise ImageNotFound(f"invalid reference format: {reference}")
    digest = match["digest"]
    image_id = {"imageDigest": digest} if digest else {"imageTag": match["tag"] or "latest"}
    try:
        answer = ecr.batch_get_image(
            repositoryName=match["repository"],
            imageIds=[image_id],  # type: ignore[list-item]
        )
    except ecr.exceptions.RepositoryNotFoundException as error:
        raise ImageNotFound(f"{reference}: repository does not exist") from error
    if not answer["images"]:
        raise ImageNotFound(f"{reference}: not found")
    annotations = json.loads(answer["images"][0]["imageManifest"]).get("annotations", {})
    if BEHAVIOUR_ANNOTATION not in annotations:
        raise ImageNotFound(f"{reference}: not an image that the local cloud can run")
    return Image(annotations[VERSION_ANNOTATION], annotations[BEHAVIOUR_ANNOTATION])
