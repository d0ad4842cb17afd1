"""What was found before an adoption, kept in SSM until everything is back as it was."""

from typing import Any

from pydantic import ValidationError

from greenlane.adopting.model import Before, record_name
from greenlane.errors import InvalidInput


def read_before(ssm: Any, name: str) -> Before | None:
    """What is on record; None if the service was never adopted, or is as found again.

    Raises:
        InvalidInput: the parameter is not what an adoption wrote.
    """
    parameter = record_name(name)
    try:
        text = ssm.get_parameter(Name=parameter)["Parameter"]["Value"]
    except ssm.exceptions.ParameterNotFound:
        return None
    try:
        return Before.model_validate_json(text)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in found["loc"])
        way_out = f"{found['msg']}; put back what an adoption wrote, its history has it"
        raise InvalidInput(f"{parameter} {where}", "its value", way_out) from None


def keep_before(ssm: Any, before: Before, *, again: bool = False) -> None:
    """Put it on record. Beyond 4 KB of actions and scaling, SSM takes it as an advanced one.

    Args:
        ssm: the client.
        before: what was found.
        again: over what is on record; without it, a record that is there stays.

    Raises:
        botocore.exceptions.ClientError: `ParameterAlreadyExists`, without `again`.
    """
    ssm.put_parameter(
        Name=record_name(before.request.name),
        Value=before.model_dump_json(),
        Type="String",
        Overwrite=again,
        Tier="Intelligent-Tiering",
        Description="What was found before greenlane adopt; greenlane unadopt puts it back.",
    )


def parameter_exists(ssm: Any, name: str) -> bool:
    """Whether SSM has a parameter of that name."""
    try:
        ssm.get_parameter(Name=name)
    except ssm.exceptions.ParameterNotFound:
        return False
    return True


def forget(ssm: Any, name: str) -> bool:
    """Delete a parameter; False if it was gone already."""
    try:
        ssm.delete_parameter(Name=name)
    except ssm.exceptions.ParameterNotFound:
        return False
    return True
