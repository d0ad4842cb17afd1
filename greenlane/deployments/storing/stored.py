"""Parts of stored documents, as another version of Greenlane wrote them.

What people write is checked where they write it: unknown keys and broken rules are errors. The
same shapes inside a stored document were accepted when they were written, perhaps by other rules
and with further keys. They are read without either, since a way back must not fail on them.

So a rule is a validator that first asks `is_stored`. A bound of a `Field` holds for stored
documents too: it may become wider, and narrower only as a rule.
"""

from typing import Any

from pydantic import BaseModel, ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator

_CONTEXT = {"stored": True}


def as_stored(model: type[BaseModel]) -> WrapValidator:
    """Read a field's value as a stored `model` and no other way, for use in `Annotated`."""

    def read(value: Any, _handler: ValidatorFunctionWrapHandler) -> Any:
        return model.model_validate(value, extra="ignore", context=_CONTEXT)

    return WrapValidator(read)


def is_stored(info: ValidationInfo) -> bool:
    """Whether what is being validated was accepted before and is only read again."""
    return info.context is not None and bool(info.context.get("stored"))
