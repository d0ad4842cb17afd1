"""Lets the functions of a local cloud do what their roles say, for some services, and no more.

The local cloud enforces no permissions. This does, by action and resource, for tables, machines,
secrets and objects, with the one condition that policies here have about items. A role is read from
the template that makes it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

from greenlane.local.context import ACCOUNT_ID
from greenlane.local.gateway_event import Reply
from greenlane.local.journal import Request
from infra.nag import as_finding

REGION = "eu-west-1"
_LEADING = "dynamodb:LeadingKeys"
_WITHIN = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}


@dataclass(frozen=True)
class Wish:
    """One action on one resource; `resource` is None where the call does not name it."""

    action: str
    resource: str | None
    key: str | None = None


class RoleGuard:
    """A hook of the local endpoint. `refused` are the callers and what they may not do.

    Args:
        templates: those that have the functions' roles.
    """

    def __init__(self, templates: Iterable[Mapping[str, Any]]) -> None:
        """See the class."""
        self.refused: list[tuple[str, Wish]] = []
        self._statements: dict[str, list[Mapping[str, Any]]] = {}
        for template in templates:
            for one in template["Resources"].values():
                if one["Type"] == "AWS::IAM::Role":
                    role = one["Properties"]
                    self._statements[str(role["RoleName"])] = [
                        statement
                        for policy in role.get("Policies", [])
                        for statement in policy["PolicyDocument"]["Statement"]
                    ]

    def __call__(self, request: Request) -> Reply | None:
        """An answer that refuses, or none."""
        statements = self._statements.get(f"{request.caller}-{REGION}")
        if statements is None:
            return None
        for wish in _wishes(request):
            if not any(_allows(statement, wish) for statement in statements):
                self.refused.append((request.caller, wish))
                said = {"__type": "AccessDeniedException", "message": f"no {wish.action}"}
                kind = [("Content-Type", "application/x-amz-json-1.0")]
                return Reply(400, kind, json.dumps(said).encode())
        return None


def _allows(statement: Mapping[str, Any], wish: Wish) -> bool:
    if wish.action not in _listed(statement["Action"]):
        return False
    patterns = [_resolved(one) for one in _listed(statement["Resource"])]
    if wish.resource is not None and not any(fnmatchcase(wish.resource, one) for one in patterns):
        return False
    conditions = statement.get("Condition", {}).get("ForAllValues:StringLike", {})
    leading = conditions.get(_LEADING)
    return (
        leading is None
        or wish.key is None
        or any(fnmatchcase(wish.key, one) for one in _listed(leading))
    )


def _wishes(request: Request) -> Iterator[Wish]:
    body = json.loads(request.body) if request.body[:1] == b"{" else {}
    match request.service:
        case "dynamodb":
            yield from _of_tables(request.operation, body)
        case "states":
            named = body.get("stateMachineArn") or body.get("executionArn")
            yield Wish(f"states:{request.operation}", named)
        case "secretsmanager":
            # Whatever six characters Secrets Manager ended it in.
            arn = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT_ID}:secret:{body['SecretId']}-abcdef"
            yield Wish(f"secretsmanager:{request.operation}", arn)
        case "s3":
            yield Wish(f"s3:{request.operation}", f"arn:aws:s3:::{unquote(request.path[1:])}")


def _of_tables(operation: str, body: Mapping[str, Any]) -> Iterator[Wish]:
    if operation in ("TransactWriteItems", "TransactGetItems"):
        for item in body["TransactItems"]:
            for name, one in item.items():
                yield _of_table(_WITHIN[name], one)
    elif operation == "BatchGetItem":
        for table, asked in body["RequestItems"].items():
            for key in asked["Keys"]:
                yield _of_table(operation, {"TableName": table, "Key": key})
    else:
        yield _of_table(operation, body)


def _of_table(action: str, body: Mapping[str, Any]) -> Wish:
    item = body.get("Key") or body.get("Item") or {}
    arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{body['TableName']}"
    return Wish(f"dynamodb:{action}", arn, item.get("pk", {}).get("S"))


def _resolved(resource: Any) -> str:
    text = as_finding(resource)
    return text.replace("<AWS::Partition>", "aws").replace("<AWS::AccountId>", ACCOUNT_ID)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
