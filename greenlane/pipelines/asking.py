"""The one reader of what a deployment is asked for, from whichever door it comes. Pure; no I/O."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from greenlane.deployments.model import DeploymentRequest
from greenlane.problems import as_error, explain, too_large

NAME = "the request"

ModelT = TypeVar("ModelT", bound=BaseModel)


def deployment_request(**given: Any) -> DeploymentRequest:
    """A deployment's request from what was given; None stands for what was not.

    Raises:
        InvalidInput: naming the key, the value and the way out.
    """
    return validated(
        DeploymentRequest, {name: value for name, value in given.items() if value is not None}
    )


def validated(model: type[ModelT], given: object, at: str = "") -> ModelT:
    """What was given, as a model; `at` is the key that it stands under.

    Raises:
        InvalidInput: with everything that is wrong.
    """
    prefix = (at,) if at else ()
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise as_error(explain(error, model, given, prefix=prefix), NAME) from None
    except OverflowError:
        raise too_large(given, prefix=prefix) from None
