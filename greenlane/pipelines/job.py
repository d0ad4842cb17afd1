"""A CodePipeline job as Lambda gets it, read so that anything with an id can be answered.

Its shape: https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-Lambda.html
It has credentials in it. So nothing of it is logged, and neither `Job` nor `Credentials` shows any
of its values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from greenlane.errors import InvalidInput
from greenlane.pipelines.artifacts import Place
from greenlane.problems import Excerpt


class JobEvent(BaseModel):
    """What the function is called with; what is in it is looked at part by part."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    job: Any = Field(None, alias="CodePipeline.job", repr=False)


@dataclass(frozen=True)
class Credentials:
    """What reads the job's artifacts; empty where there are none."""

    access_key_id: str = field(default="", repr=False)
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)

    def hidden_in(self, text: str) -> str:
        """A text without any of them."""
        for value in (self.access_key_id, self.secret_access_key, self.session_token):
            if value:
                text = text.replace(value, "***")
        return text


@dataclass(frozen=True)
class Job:
    """One job.

    Args:
        id: by which it is answered.
        user_parameters: as text; None when the action has none.
        token: of a continued job.
        artifacts: where its inputs are, by name.
        credentials: for its artifacts.
    """

    id: str
    user_parameters: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    artifacts: Mapping[str, Place] = field(default_factory=dict, repr=False)
    credentials: Credentials = field(default=Credentials(), repr=False)

    def redacted(self, text: str) -> str:
        """Text without any of the job's credentials."""
        return self.credentials.hidden_in(text)


def read_job(event: JobEvent) -> Job:
    """The job in an event; parts of another shape than CodePipeline's count as missing.

    Raises:
        InvalidInput: it has no id, so nobody can be answered.
    """
    job = _mapping(event.job)
    found = job.get("id")
    if not isinstance(found, str) or not found:
        raise InvalidInput(
            "CodePipeline.job.id",
            Excerpt("nothing"),
            "this function is called by CodePipeline's Lambda action; nobody can be answered",
        )
    data = _mapping(job.get("data"))
    configuration = _mapping(_mapping(data.get("actionConfiguration")).get("configuration"))
    credentials = _mapping(data.get("artifactCredentials"))
    names = ("accessKeyId", "secretAccessKey", "sessionToken")
    secrets = (_text(credentials.get(name)) or "" for name in names)
    return Job(
        id=found,
        user_parameters=_text(configuration.get("UserParameters")),
        token=_text(data.get("continuationToken")),
        artifacts=dict(_places(data.get("inputArtifacts"))),
        credentials=Credentials(*secrets),
    )


def _places(artifacts: object) -> list[tuple[str, Place]]:
    found = []
    for one in artifacts if isinstance(artifacts, list) else ():
        name = _mapping(one).get("name")
        location = _mapping(_mapping(_mapping(one).get("location")).get("s3Location"))
        bucket, key = location.get("bucketName"), location.get("objectKey")
        if isinstance(name, str) and isinstance(bucket, str) and isinstance(key, str):
            found.append((name, Place(bucket, key)))
    return found


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
