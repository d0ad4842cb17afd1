"""How much goes into one answer."""

import json
from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel

MOST_CHARACTERS = 3_000_000
"""Of the entries in one answer: Lambda takes 6 MB, in which quotes count twice."""

ModelT = TypeVar("ModelT", bound=BaseModel)


def that_fit(found: Sequence[ModelT]) -> tuple[ModelT, ...]:
    """The first of a page, at least one: a single change may be of very much."""
    page: list[ModelT] = []
    left = MOST_CHARACTERS
    for one in found:
        left -= len(json.dumps(one.model_dump(mode="json")))
        if page and left < 0:
            break
        page.append(one)
    return tuple(page)
