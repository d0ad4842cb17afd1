"""The edge to SSM, where a workload's environment describes itself."""

from typing import Any

from pydantic import ValidationError

from greenlane.deployments.workload import Workload, parameter_name
from greenlane.errors import InvalidInput
from greenlane.problems import ABSENT, Excerpt


def read_workload(ssm: Any, service: str) -> Workload:
    """The service's workload as its environment describes it now.

    Raises:
        InvalidInput: the parameter is missing, or is not a workload.
    """
    name = parameter_name(service)
    try:
        answer = ssm.get_parameter(Name=name)
    except ssm.exceptions.ParameterNotFound:
        raise InvalidInput(
            "service.workload",
            ABSENT,
            f"write it in the file, or deploy the workload's stack, which writes {name}",
        ) from None
    try:
        return Workload.model_validate_json(answer["Parameter"]["Value"])
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in found["loc"])
        raise InvalidInput(
            f"{name}{'.' if where else ''}{where}", Excerpt("its value"), found["msg"]
        ) from None
