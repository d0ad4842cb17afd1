"""What botocore would refuse of a call is refused, in half the time that it takes to find it."""

from typing import Any

import botocore.validate

LONGEST_NAME = 65535
_KINDS: dict[str, type] = {"S": str, "N": str, "B": bytes, "BOOL": bool, "NULL": bool}
_validator: Any = botocore.validate.ParamValidator


class Validator(_validator):  # type: ignore[misc]
    """botocore's, with a short way for the values of DynamoDB: most of what is ever checked."""

    def _validate_structure(self, params: Any, shape: Any, errors: Any, name: str) -> None:
        if shape.name != "AttributeValue" or not is_value(params):
            super()._validate_structure(params, shape, errors, name)


def is_value(value: Any) -> bool:
    """Whether it surely is one; what is not is left to botocore, which knows what is wrong."""
    if type(value) is not dict or len(value) != 1:
        return False
    ((kind, content),) = value.items()
    if kind == "M":
        return type(content) is dict and all(
            type(name) is str and len(name) <= LONGEST_NAME and is_value(part)
            for name, part in content.items()
        )
    if kind == "L":
        return type(content) is list and all(is_value(part) for part in content)
    return kind in _KINDS and type(content) is _KINDS[kind]


def check(arguments: dict[str, Any], shape: Any) -> None:
    """Check a call's arguments against the model of the service.

    Raises:
        ParamValidationError: with what is wrong, in botocore's words.
    """
    report = Validator().validate(arguments, shape)
    if report.has_errors():
        raise botocore.validate.ParamValidationError(report=report.generate_report())
