"""The files that come with a job: zip archives in S3, read with the job's own credentials."""

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from greenlane.documents import decode
from greenlane.errors import InvalidInput
from greenlane.problems import suggest

LARGEST_ARCHIVE = 100 * 1024**2
LARGEST_FILE = 1024**2
"""Bytes; what a request needs is a few kilobytes, and memory is what a function pays for."""

_EXPIRED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
)
_DENIED = frozenset({"AccessDenied", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"})
_GONE = frozenset({"NoSuchKey", "NoSuchBucket", "404"})


class CredentialsExpired(Exception):
    """The credentials that came with a job are too old."""


class ArtifactDenied(Exception):
    """The job's own credentials may not read its artifact."""


class Place(NamedTuple):
    """Where an artifact is.

    Args:
        bucket: its name.
        key: of the object.
    """

    bucket: str
    key: str


class Artifacts:
    """The input artifacts of one job; each is fetched once.

    Args:
        places: where they are, by name.
        s3: makes the client that may read them, when it is first needed.
    """

    def __init__(self, places: Mapping[str, Place], s3: Callable[[], Any]) -> None:
        """See the class."""
        self._places, self._s3 = places, s3
        self._fetched: dict[str, zipfile.ZipFile] = {}

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return bool(self._places)

    def read(self, name: str, artifact: str | None) -> str:
        """The text of a file.

        Raises:
            InvalidInput: no such artifact or file, or too large a one.
            CredentialsExpired: the job is too old.
            ArtifactDenied: the credentials do not suffice.
            ClientError, BotoCoreError: S3 does not answer.
        """
        archive = self._archive(self._named(artifact, name))
        try:
            entry = archive.getinfo(name)
        except KeyError:
            known = [one.filename for one in archive.infolist() if not one.is_dir()]
            near = suggest(name, known)
            some = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
            raise InvalidInput(
                "artifact", name, f"the artifact has no such file{near}; it has {some or 'none'}"
            ) from None
        if entry.file_size > LARGEST_FILE:
            raise InvalidInput("artifact", name, f"the file is over {LARGEST_FILE // 1024} KiB")
        try:
            with archive.open(entry) as file:
                # What an archive says of its own sizes need not be true.
                raw = file.read(LARGEST_FILE + 1)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError):
            raise InvalidInput("artifact", name, "the file cannot be unpacked") from None
        if len(raw) > LARGEST_FILE:
            raise InvalidInput("artifact", name, f"the file is over {LARGEST_FILE // 1024} KiB")
        return decode(raw, name)

    def _named(self, artifact: str | None, file: str) -> str:
        if not self._places:
            raise InvalidInput(
                "artifact",
                artifact or file,
                "the action has no input artifact; give it the one with this file",
            )
        if artifact is None:
            if len(self._places) > 1:
                raise InvalidInput(
                    "artifact", None, f"say which has {file}: {', '.join(self._places)}"
                )
            return next(iter(self._places))
        if artifact not in self._places:
            near = suggest(artifact, list(self._places))
            known = ", ".join(self._places)
            raise InvalidInput("artifact", artifact, f"the action's inputs are {known}{near}")
        return artifact

    def _archive(self, artifact: str) -> zipfile.ZipFile:
        if artifact not in self._fetched:
            self._fetched[artifact] = self._fetch(artifact, self._places[artifact])
        return self._fetched[artifact]

    def _fetch(self, artifact: str, place: Place) -> zipfile.ZipFile:
        try:
            answer = self._s3().get_object(Bucket=place.bucket, Key=place.key)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _EXPIRED:
                raise CredentialsExpired from error
            if code in _DENIED:
                raise ArtifactDenied(f"{artifact} in {place.bucket}") from error
            if code in _GONE:
                raise InvalidInput(
                    "artifact",
                    artifact,
                    f"it is not in {place.bucket} any more; run the source stage again",
                ) from error
            raise
        if answer.get("ContentLength", 0) > LARGEST_ARCHIVE:
            raise InvalidInput(
                "artifact",
                artifact,
                f"it is over {LARGEST_ARCHIVE // 1024**2} MiB; name files in a smaller one",
            )
        try:
            return zipfile.ZipFile(io.BytesIO(answer["Body"].read(LARGEST_ARCHIVE)))
        except zipfile.BadZipFile:
            raise InvalidInput("artifact", artifact, "it is no zip archive") from None
