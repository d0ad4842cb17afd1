"""The two kinds of models: what people write, and what is stored."""

from typing import Annotated

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints

Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3)]
"""Why something is set aside, for the record; blanks say nothing."""


class Document(BaseModel):
    """A part of a user's file: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


OnceWhy = Annotated[str, Field(validation_alias=AliasChoices("reason", "why"))]
"""A reason that people gave. Before 0.1.0 was released it was stored as `why`."""


class StoredModel(BaseModel):
    """Frozen; unknown keys are ignored, so that version N - 1 can read what N wrote.

    A part that is a model of the edges is annotated with `as_stored`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
