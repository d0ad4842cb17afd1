"""Local images: what an image reference runs, kept in the ECR of the local cloud.

An image here is an ordinary ECR image (an OCI manifest with a digest and a tag) without layers
worth pulling: its annotations say how the sample service behaves when a container runs it. So
`DescribeImages`, tags and digests work as they do in AWS, and nothing is built.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moto.ecr.models import ECRBackend, ecr_backends

from greenlane.local.context import ACCOUNT_ID

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
    digest: str

    def behaviour_in(self, region: str) -> str:
        """How it behaves in a Region: a part that ends in `@REGION` is for that one alone."""
        parts = [part.strip().partition("@") for part in self.behaviour.split(",")]
        return ",".join(kind for kind, _, where in parts if where in ("", region)) or "good"


ManifestOf = Callable[[str, str], str | None]


def push_image(ecr: "ECRClient", repository: str, tag: str, behaviour: str = "good") -> str:
    """Push a version of the sample service and return its digest (`sha256:...`).

    Args:
        ecr: a client of the cloud to push to.
        repository: the name of an existing repository.
        tag: the version; the service reports it in `X-Version`.
        behaviour: how it behaves, as `BEHAVIOUR` of the sample service (`errors:0.08`), or in one
            Region alone (`errors:0.08@eu-west-1`).
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


def resolve_image(reference: str, manifest_of: ManifestOf) -> Image:
    """What `reference` (`[registry/]repository[:tag][@digest]`) runs; the digest decides.

    Args:
        reference: as in a container definition.
        manifest_of: finds the manifest of a repository's image by tag or digest (`sha256:...`).

    Raises:
        ImageNotFound: the reference is malformed, names no pushed image, or one that
            `push_image` did not make.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise ImageNotFound(f"invalid reference format: {reference}")
    wanted = match["digest"] or match["tag"] or "latest"
    manifest = manifest_of(match["repository"], wanted)
    if manifest is None:
        raise ImageNotFound(f"{reference}: not found")
    annotations = json.loads(manifest).get("annotations", {})
    if BEHAVIOUR_ANNOTATION not in annotations:
        raise ImageNotFound(f"{reference}: not an image that the local cloud can run")
    digest = match["digest"] or "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()
    return Image(annotations[VERSION_ANNOTATION], annotations[BEHAVIOUR_ANNOTATION], digest)


def local_manifests(region: str) -> ManifestOf:
    """Finds manifests in the ECR of the moto in this process."""
    backend: ECRBackend = ecr_backends[ACCOUNT_ID][region]

    def manifest_of(repository: str, wanted: str) -> str | None:
        known = backend.repositories.get(repository)
        for image in list(known.images) if known is not None else []:
            if wanted in image.image_tags or wanted == image.get_image_digest():
                return str(image.image_manifest)
        return None

    return manifest_of
