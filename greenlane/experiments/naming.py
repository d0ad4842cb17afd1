"""What the name of a metric says about it, and guardrails written as `error_rate < 0.01`."""

import re
from typing import Any, Literal

Kind = Literal["proportion", "mean", "ratio", "count", "quantile"]
Direction = Literal["higher", "lower", "either"]
Per = Literal["user", "record"]

_WORSE_WHEN_MORE = re.compile(
    "abandonment|bounce|cancellation|churn|complaint|crash|dropout|error|failure|refund"
    "|return_shipment|timeout|unsubscribe"
)

_KNOWN: dict[str, dict[str, str]] = {
    "page_load_time": {"kind": "mean", "direction": "lower", "per": "record"},
    "revenue_per_visitor": {"kind": "mean", "direction": "higher"},
    "time_on_page": {"kind": "mean", "direction": "higher", "per": "record"},
    "user_satisfaction": {"kind": "mean", "direction": "higher", "per": "record"},
}

_CONDITION = re.compile(
    r"\s*([A-Za-z][A-Za-z0-9_.-]*)\s*(<|>)\s*([0-9]{1,12}(?:\.[0-9]{1,12})?)\s*"
)


def guessed(name: str) -> dict[str, Any]:
    """Kind and direction by a metric's name, as far as it says them.

    A name that ends in `_rate` is a proportion; it is better low when it speaks of errors, bounces,
    abandonment and the like. `revenue_per_visitor` is a mean over users; `page_load_time`,
    `time_on_page` and `user_satisfaction` are means over records. Of any other name nothing is
    taken for granted.
    """
    if name in _KNOWN:
        return dict(_KNOWN[name])
    if name.endswith("_rate"):
        bad = _WORSE_WHEN_MORE.search(name) is not None
        return {"kind": "proportion", "direction": "lower" if bad else "higher"}
    return {}


def healthy(text: str) -> dict[str, Any]:
    """The healthy condition of a guardrail: `error_rate < 0.01`.

    Raises:
        ValueError: it is not a metric, `<` or `>`, and a number.
    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise ValueError("write what is healthy, such as error_rate < 0.01 or uptime_rate > 0.99")
    name, sign, number = found.groups()
    below = sign == "<"
    return {
        "direction": "lower" if below else "higher",
        "name": name,
        "below" if below else "above": float(number) if "." in number else int(number),
    }
