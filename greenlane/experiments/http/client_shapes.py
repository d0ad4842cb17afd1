"""What services and pages send of users, and what they are told."""

from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
)

from greenlane.deployments.storing.shapes import Document
from greenlane.experiments.counting.events import Exposed, Result

MOST_BYTES = 256 * 1024
"""Of a request's body."""

MOST_ITEMS = 100
"""Exposures or events in one request: each user's take a transaction."""

MOST_TESTS = 50
"""In one request for assignments."""

LAST_RUN = 999_999_999

LONGEST_NAME, LONGEST_TEXT = 64, 256
"""Characters of a test's, metric's or variant's name, and of a user or an event's id."""


def _written(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("write a time with an offset, such as 2026-03-02T09:00:00Z")
    return value


TestName = Annotated[StrictStr, Field(min_length=1, max_length=LONGEST_NAME, examples=["checkout"])]
Named = Annotated[StrictStr, Field(min_length=1, max_length=LONGEST_NAME)]
Unit = Annotated[
    StrictStr,
    Field(
        min_length=1,
        max_length=LONGEST_TEXT,
        examples=["user-1"],
        description="Who, as the test's `unit` has it. It is stored as a digest only.",
    ),
]
Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_written, json_schema_input_type=str),
    Field(
        json_schema_extra={"type": "string", "examples": ["2026-03-02T09:00:00Z"]},
        description="With an offset; when the request comes in if left out.",
    ),
]
Number = Annotated[
    StrictInt | StrictFloat | Annotated[StrictStr, Field(min_length=1, max_length=40)],
    Field(description="A number, or text such as `12.50`; 1 for a user who did it."),
]
Context = Annotated[
    dict[str, Any],
    Field(
        max_length=100,
        examples=[{"targetingKey": "user-1", "country": "de"}],
        description="What is known of the user: `targetingKey` or the test's `unit`, and what "
        "targeting, segments and covariates ask for.",
    ),
]
Expose = Annotated[
    bool,
    Field(
        strict=True,
        description="Whether the user is shown the variants now, which is recorded then.",
    ),
]


class Assign(Document):
    """Whose variant."""

    context: Context = Field(default_factory=dict)
    expose: Expose = False


class AssignSeveral(Assign):
    """Whose variants, and of which tests."""

    tests: tuple[TestName, ...] = Field(min_length=1, max_length=MOST_TESTS)


class ExposureGiven(Document):
    """That a user was shown a variant."""

    test: TestName
    context: Context = Field(default_factory=dict)
    unit: Unit | None = None
    variant: Named | None = Field(None, description="What was shown; what he is dealt if left out.")
    at: Instant | None = None
    epoch: Annotated[int, Field(strict=True, ge=0, le=10_000)] | None = Field(
        None, description="Of the assignment, where it is known."
    )
    run: Annotated[int, Field(strict=True, ge=1, le=LAST_RUN)] | None = Field(
        None, description="Likewise; what was shown in an earlier run is not counted in this one."
    )


class Exposures(Document):
    """What users were shown."""

    exposures: tuple[ExposureGiven, ...] = Field(min_length=1, max_length=MOST_ITEMS)


class EventGiven(Document):
    """Something that a user did."""

    test: TestName
    unit: Unit
    metric: Named
    value: Number = 1
    event_id: Annotated[
        StrictStr,
        Field(
            min_length=1,
            max_length=LONGEST_TEXT,
            examples=["order-17"],
            description="Sent again under the same id, an event counts once.",
        ),
    ]
    at: Instant | None = None
    variant: Named | None = Field(
        None, description="Which the user is believed to have; it is checked."
    )


class Events(Document):
    """What users did."""

    events: tuple[EventGiven, ...] = Field(min_length=1, max_length=MOST_ITEMS)


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)


class AssignmentTold(_Told):
    """What a user gets of one test.

    Without a `variant` nobody knows: the code's default counts. `why` says it then: `unknown_test`,
    or `unavailable` with `retry`.
    """

    test: str
    variant: str | None
    why: str = Field(
        description="assigned, recorded, or why the user takes no part and has the control: "
        "draft, served, not_eligible, held_out, other_layer_place, not_included, no_unit."
    )
    takes_part: bool = Field(description="Whether showing it is an exposure.")
    run: int | None = None
    epoch: int | None = None
    exposed: Exposed | Literal["refused", "retry"] | None = Field(
        None, description="What became of the exposure, where one was asked for."
    )
    problem: str | None = Field(None, description="What is wrong with the exposure.")
    retry: bool = Field(False, description="Whether to ask again.")


class AssignmentsTold(_Told):
    """What a user gets, in the order of the request."""

    assignments: tuple[AssignmentTold, ...]


class ExposureTold(_Told):
    """What became of one exposure."""

    result: Exposed | Literal["refused", "retry"]
    variant: str | None = Field(None, description="On record; the control where there is none.")
    why: str = ""
    retry: bool = Field(False, description="Whether to send this one again.")


class ExposuresTold(_Told):
    """What became of each exposure, in the order of the request."""

    results: tuple[ExposureTold, ...]
    retry: int = Field(description="How many are to be sent again.")


class EventTold(_Told):
    """What became of one event."""

    result: Result
    why: str = ""
    retry: bool = Field(False, description="Whether to send this one again, under the same id.")


class EventsTold(_Told):
    """What became of each event, in the order of the request."""

    results: tuple[EventTold, ...]
    retry: int = Field(description="How many are to be sent again.")
