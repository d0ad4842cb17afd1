"""Which AWS actions a function's code can reach, read from the source.

The names that a function's body mentions are followed through the modules of `greenlane`, so the
answer includes what is mentioned and never called; it leaves nothing out that is called by name.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import boto3

ROOT = Path(__file__).resolve().parents[2]
STORE = "greenlane.deployments.storing.store"
TABLE = "greenlane.deployments.storing.table"
_GUARDING = "greenlane.migrations.guarding"
_RESTORING = "greenlane.migrations.restoring"
_COORDINATING = "greenlane.regions.coordinating"
_CLASSES = {
    STORE: "DynamoStore",
    TABLE: "DynamoTable",
    "greenlane.deployments.client": "Greenlane",
    "greenlane.deployments.connection": "Connection",
    "greenlane.migrations.databases.store": "DatabaseStore",
    f"{_GUARDING}.lease": "Leases",
    f"{_GUARDING}.records": "Runs",
    f"{_GUARDING}.runtime": "MigrationRuntime",
    f"{_RESTORING}.records": "Restores",
    f"{_RESTORING}.runtime": "RestoreRuntime",
    f"{_COORDINATING}.fences": "Fences",
    f"{_COORDINATING}.realm": "AwsRealm",
    f"{_COORDINATING}.remote": "RemoteRegion",
    f"{_COORDINATING}.runtime": "RegionsRuntime",
    f"{_COORDINATING}.store": "Rollouts",
    f"{_COORDINATING}.requesting": "RegionalRollouts",
    "greenlane.migrations.shipping.kept": "Kept",
    "greenlane.pipelines.book": "Book",
}
"""Classes whose methods are followed one by one: who reads the record need not write plans."""

_CALLED = {
    "book": f"{_COORDINATING}.store",
    "connection": "greenlane.deployments.connection",
    "databases": "greenlane.migrations.databases.store",
    "fences": f"{_COORDINATING}.fences",
    "greenlane": "greenlane.deployments.client",
    "kept": "greenlane.migrations.shipping.kept",
    "leases": f"{_GUARDING}.lease",
    "realm": f"{_COORDINATING}.realm",
    "regional": f"{_COORDINATING}.requesting",
    "requests": "greenlane.pipelines.book",
    "restores": f"{_RESTORING}.records",
    "rollouts": f"{_COORDINATING}.store",
    "runs": f"{_GUARDING}.records",
    "runtime": f"{_GUARDING}.runtime",
    "there": f"{_COORDINATING}.remote",
}
"""What such an object is called where it is used, as `runtime.leases`; those of deployments have
`store` in their name."""

_ALSO = {
    "book": "greenlane.pipelines.book",
    "rollouts": f"{_COORDINATING}.requesting",
}
"""What else an object of that name may be."""

_BARE = {
    "book",
    "connection",
    "greenlane",
    "kept",
    "realm",
    "regional",
    "requests",
    "rollouts",
    "runtime",
    "there",
}
"""Those that are also called so where nothing stands before them."""

# boto3's name of a service, and the prefix of its actions.
SERVICES = {
    "application-autoscaling": "application-autoscaling",
    "cloudwatch": "cloudwatch",
    "codepipeline": "codepipeline",
    "dynamodb": "dynamodb",
    "ecr": "ecr",
    "ecs": "ecs",
    "elbv2": "elasticloadbalancing",
    "inspector2": "inspector2",
    "logs": "logs",
    "rds": "rds",
    "s3": "s3",
    "secretsmanager": "secretsmanager",
    "sns": "sns",
    "ssm": "ssm",
    "stepfunctions": "states",
}

# What AWS asks for besides: roles and tags of what is made, the service behind a target.
IMPLIED = {
    "application-autoscaling:RegisterScalableTarget": {"ecs:DescribeServices", "ecs:UpdateService"},
    "dynamodb:TransactWriteItems": {"dynamodb:PutItem"},
    "ecs:RegisterTaskDefinition": {"iam:PassRole", "ecs:TagResource"},
    "ecs:RunTask": {"iam:PassRole"},
    # Of what is made with tags.
    "rds:CreateDBClusterSnapshot": {"rds:AddTagsToResource"},
    "rds:CreateDBSnapshot": {"rds:AddTagsToResource"},
    "rds:CreateDBInstance": {"rds:AddTagsToResource"},
    "rds:RestoreDBClusterFromSnapshot": {"rds:AddTagsToResource"},
    "rds:RestoreDBClusterToPointInTime": {"rds:AddTagsToResource"},
    "rds:RestoreDBInstanceFromDBSnapshot": {"rds:AddTagsToResource"},
    "rds:RestoreDBInstanceToPointInTime": {"rds:AddTagsToResource"},
}


@dataclass
class Module:
    """What a module imports from ours, and what it defines."""

    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    defined: dict[str, ast.AST] = field(default_factory=dict)


@cache
def operations() -> dict[str, set[str]]:
    """IAM actions by the name of boto3's method."""
    found: dict[str, set[str]] = {"invoke": {"lambda:InvokeFunction"}}
    make: Any = boto3.client  # its types want each service's name literally
    for service, prefix in SERVICES.items():
        client = make(
            service,
            region_name="eu-west-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        for method, operation in client.meta.method_to_api_mapping.items():
            found.setdefault(method, set()).add(f"{prefix}:{operation}")
    return found


@cache
def modules() -> dict[str, Module]:
    """Every module that ships, by its dotted name."""
    files = [*(ROOT / "greenlane").rglob("*.py"), *(ROOT / "functions").glob("*.py")]
    shipped = {}
    for file in files:
        parts = file.relative_to(ROOT).with_suffix("").parts
        if parts[1] not in ("local", "cli"):
            shipped[".".join(parts)] = _module(ast.parse(file.read_text()))
    return shipped


def _module(tree: ast.Module) -> Module:
    module = Module()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("greenlane"):
            for alias in node.names:
                module.imported[alias.asname or alias.name] = (str(node.module), alias.name)
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            module.defined[statement.name] = statement
        if isinstance(statement, ast.ClassDef) and statement.name in _CLASSES.values():
            module.defined[statement.name] = ast.Pass()
            for method in statement.body:
                if isinstance(method, ast.FunctionDef):
                    module.defined[f"{statement.name}.{method.name}"] = method
    return module


def actions(handler_module: str) -> set[str]:
    """The IAM actions that `functions.<handler_module>` can reach."""
    reached = set(called(handler_module))
    for action in sorted(reached):
        reached |= IMPLIED.get(action, set())
    return reached - {"dynamodb:TransactWriteItems"}


def called(handler_module: str) -> set[str]:
    """The same without what AWS asks for besides: the calls that the code itself can make."""
    return _reach(handler_module)[1]


def machines(handler_module: str) -> set[str]:
    """The names of the state machines that its code mentions by their constants."""
    mentioned, _ = _reach(handler_module)
    constants = {one for one in mentioned if one[1].endswith("_MACHINE")}
    return {str(getattr(import_module(module), name)) for module, name in constants}


@cache
def _reach(handler_module: str) -> tuple[set[tuple[str, str]], set[str]]:
    """All that a handler mentions, and what it calls."""
    seen: set[tuple[str, str]] = set()
    open_ends = [(f"functions.{handler_module}", "handler")]
    reached: set[str] = set()
    while open_ends:
        name = open_ends.pop()
        if name in seen:
            continue
        seen.add(name)
        if name[0] not in modules() or name[1] not in modules()[name[0]].defined:
            continue
        mentioned, made = _within(*name)
        open_ends += mentioned
        reached |= made
    return seen, reached


@cache
def _within(module: str, name: str) -> tuple[frozenset[tuple[str, str]], frozenset[str]]:
    """What a definition mentions and calls: read once, for most functions reach the same ones."""
    mentioned: set[tuple[str, str]] = set()
    made: set[str] = set()
    for part in ast.walk(modules()[module].defined[name]):
        mentioned.update(_mentions(module, part))
        made |= _calls(part)
    return frozenset(mentioned), frozenset(made)


def _mentions(module: str, node: ast.AST) -> Iterator[tuple[str, str]]:
    imported = modules()[module].imported
    if isinstance(node, ast.Name):
        yield imported.get(node.id, (module, node.id))
    if isinstance(node, ast.Attribute):
        owner = ast.unparse(node.value)
        if owner in imported:
            yield ".".join(imported[owner]), node.attr
        for place in _places(module, owner):
            yield place, f"{_CLASSES[place]}.{node.attr}"


def _places(module: str, owner: str) -> tuple[str, ...]:
    """Where the classes are defined that an object may be of, by what it is called."""
    if not owner.replace(".", "_").isidentifier():
        return ()  # a literal or a call
    if owner == "self" and module in _CLASSES:
        return (module, TABLE)
    within, _, name = owner.rpartition(".")
    called = _CALLED.get(name) if within or name in _BARE else None
    if called is None and "store" in owner.lower():
        called = STORE
    if name == "runtime":
        return (f"{_GUARDING}.runtime", f"{_COORDINATING}.runtime", TABLE)
    also = (_ALSO[name],) if name in _ALSO and called is not None else ()
    return () if called is None else (called, *also, TABLE)


def _calls(node: ast.AST) -> set[str]:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return set()
    method = node.func.attr
    if method == "set_service" and "task_definition" in {it.arg for it in node.keywords}:
        # UpdateService passes the roles of a task definition that it is given.
        return {"iam:PassRole"}
    if method == "get_paginator" and isinstance(node.args[0], ast.Constant):
        method = str(node.args[0].value)
    found = operations().get(method, set())
    # `tag_resource` is a method of most clients: ours are called after their services.
    owner = SERVICES.get(ast.unparse(node.func.value).rpartition(".")[2])
    return {action for action in found if action.startswith(f"{owner}:")} or found
