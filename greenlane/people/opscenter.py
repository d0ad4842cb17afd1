"""OpsCenter: an OpsItem for critical news, one for each deployment.

Limits, from `CreateOpsItem`: a title of 1024 characters, a description of 2048, a source of 128
without `aws`, `amazon` or `amzn`, operational data of keys of 128 that do not begin with those
words, and of values of 20 KB.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.people.announcement import Announcement
from greenlane.people.channel import Edges, Message, Told, Untold
from greenlane.people.wording import clip, one_line

_FOR_GOOD = frozenset(
    {
        "AccessDeniedException",
        "OpsItemAccessDeniedException",
        "OpsItemInvalidParameterException",
        "OpsItemLimitExceededException",
        "ValidationException",
    }
)


@dataclass(frozen=True)
class OpsCenter:
    """OpsCenter in our own account and Region."""

    name: str = "opscenter"

    def message(self, news: Announcement, earlier: Sequence[Told]) -> Message | None:
        """Critical news only; a person closes the item, with what was learnt."""
        del earlier
        return Message("create", ops_item(news)) if news.severity == "critical" else None

    def send(self, message: Message, edges: Edges) -> str:
        """See `Channel`."""
        code = ""
        try:
            return str(edges.ssm.create_ops_item(**message.body)["OpsItemId"])
        except ClientError as error:
            code = str(error.response["Error"]["Code"])
        except BotoCoreError as error:
            code = type(error).__name__
        if code == "OpsItemAlreadyExistsException":
            return ""  # an item about this deployment is open: that is what was asked for
        raise Untold(f"CreateOpsItem: {code}", again=code not in _FOR_GOOD)


def ops_item(news: Announcement) -> dict[str, Any]:
    """The arguments of `CreateOpsItem`."""
    way_out = f"\n\nWhat to do: {news.way_out}" if news.way_out is not None else ""
    facts = "\n".join(f"{name}: {clip(value, 500)}" for name, value in news.details.items())
    data = {
        "/aws/dedup": _searchable(json.dumps({"dedupString": one_line(news.incident, 255)})),
        "service": _searchable(news.service),
        "deployment": _searchable(news.deployment_id or "-"),
        "facts": {"Type": "String", "Value": _json(news.details)},
    }
    for name, where in list(news.links.items())[:10]:
        data[f"link {one_line(name, 60)}"] = {"Type": "String", "Value": clip(where, 2000) or "-"}
    return {
        "Title": one_line(news.subject, 1024),
        # The way out first: the facts may be cut.
        "Description": clip(f"{news.subject}{way_out}\n\n{facts}", 2048),
        "Source": "Greenlane",
        "Category": "Availability",
        "Severity": "1",
        "Priority": 1,
        "OperationalData": data,
    }


def _searchable(value: str) -> dict[str, str]:
    return {"Type": "SearchableString", "Value": clip(value, 2000)}


def _json(details: dict[str, str]) -> str:
    """The details as JSON of less than 20 KB: the last ones are left out if they must."""
    kept = dict(details)
    while len(text := json.dumps(kept, ensure_ascii=False)) and len(text.encode()) >= 20_000:
        kept.popitem()
    return text
