"""Stacks, brought from one template to the next as CloudFormation does it.

An update applies only what changed, resource by resource in the order of their references; a
changed property that cannot be changed replaces the resource. When it fails, everything that was
changed gets its old properties again, which is a write of its own: that is why live state must
not be a template's. What a policy says to retain is left alone.
"""

import graphlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.local.context import ACCOUNT_ID
from greenlane.local.errors import DeploymentFailed, UnknownResourceType
from greenlane.local.resolve import Live, Resolver, references
from greenlane.local.resources import NOT_EMULATED, ResourceType, Site, type_of


@dataclass(frozen=True)
class Change:
    """One thing that was done: `create`, `update`, `replace`, `delete`, `retain`, `undo`."""

    action: str
    logical_id: str
    type: str


@dataclass
class Deployed:
    """A resource as it was last deployed."""

    type: str
    properties: dict[str, Any]
    live: Live
    declaration: Mapping[str, Any]


@dataclass
class Stack:
    """One stack: what it consists of now, and what it gave out."""

    name: str
    region: str
    id: str
    resources: dict[str, Deployed] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    exports: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def new(cls, name: str, region: str) -> "Stack":
        """A stack with nothing in it."""
        path = f"stack/{name}/{uuid.uuid4()}"
        return cls(name, region, f"arn:aws:cloudformation:{region}:{ACCOUNT_ID}:{path}")


class SimulatedFailure(Exception):
    """Stands for a failure at the end of an update, to see what its rollback does."""


class Update:
    """Brings one stack to a template.

    Args:
        stack: the stack; changed in place.
        template: the wanted template.
        parameters: the template's parameters, resolved.
        site: gives resources their clients and their names.
        exports: what other stacks exported.
        lookup: the value of a dynamic reference.
    """

    def __init__(
        self,
        stack: Stack,
        template: Mapping[str, Any],
        parameters: Mapping[str, Any],
        site: Site,
        exports: Mapping[str, Any],
        lookup: Callable[[str, str], str],
    ) -> None:
        """See the class."""
        self._stack = stack
        self._template = template
        self._site = site
        self._live = {name: one.live for name, one in stack.resources.items()}
        self._resolver = Resolver(
            template=template,
            parameters=parameters,
            resources=self._live,
            pseudo={
                "AWS::StackName": stack.name,
                "AWS::StackId": stack.id,
                "AWS::Region": stack.region,
            },
            exports=exports,
            lookup=lookup,
        )
        self._undo: list[tuple[str, Deployed | None, Deployed]] = []
        self._leftover: list[tuple[str, Deployed, str]] = []
        self.changes: list[Change] = []

    def run(self, *, fail: bool = False) -> list[Change]:
        """Do it; with `fail`, let it fail after the last resource and roll back.

        Returns:
            What was done, in order.

        Raises:
            DeploymentFailed: a resource could not be brought to its properties; what had been
                done was rolled back.
        """
        wanted = self._wanted()
        try:
            for logical_id in _in_order(wanted):
                self._bring(logical_id, wanted[logical_id])
            if fail:
                raise SimulatedFailure
            outputs = self._outputs()
        except SimulatedFailure:
            self._roll_back()
            return self.changes
        except (ClientError, BotoCoreError, DeploymentFailed, KeyError, ValueError) as error:
            self._roll_back()
            raise DeploymentFailed(f"{self._stack.name}: {error}") from error
        self._stack.outputs, self._stack.exports = outputs
        self._clean_up(wanted)
        return self.changes

    def _wanted(self) -> dict[str, Mapping[str, Any]]:
        """The resources whose condition holds; every type is known before anything is done."""
        found = {
            logical_id: declaration
            for logical_id, declaration in self._template["Resources"].items()
            if "Condition" not in declaration or self._resolver.condition(declaration["Condition"])
        }
        for logical_id, declaration in found.items():
            if declaration["Type"] not in NOT_EMULATED and type_of(declaration["Type"]) is None:
                raise UnknownResourceType(
                    f"{self._stack.name}: {logical_id} is a {declaration['Type']}, which the "
                    "local cloud neither knows nor lists as without local effect"
                )
        return found

    def _bring(self, logical_id: str, declaration: Mapping[str, Any]) -> None:
        """Bring one resource to its properties."""
        kind = declaration["Type"]
        old = self._stack.resources.get(logical_id)
        properties = self._resolver.resolve(declaration.get("Properties", {}))
        if kind in NOT_EMULATED:
            new = Deployed(kind, properties, Live(logical_id), declaration)
            self._stack.resources[logical_id] = new
            self._live[logical_id] = new.live
            return
        handler = _known(kind)
        site = self._site.at(self._stack, logical_id, kind)
        try:
            if old is None:
                live, action = handler.create(site, properties), "create"
            else:
                changed = _changed(old.properties, properties)
                if old.type == kind and not changed:
                    old.declaration = declaration
                    return
                live, action = self._change(site, handler, old, properties, changed)
        except (ClientError, BotoCoreError) as error:
            raise DeploymentFailed(f"{logical_id} ({kind}): {error}") from error
        new = Deployed(kind, properties, live, declaration)
        self._undo.append((logical_id, old, new))
        if old is not None and old.live.physical_id != live.physical_id:
            self._leftover.append((logical_id, old, "UpdateReplacePolicy"))
        self._stack.resources[logical_id] = new
        self._live[logical_id] = live
        self.changes.append(Change(action, logical_id, kind))

    def _change(
        self,
        site: Site,
        handler: ResourceType,
        old: Deployed,
        properties: dict[str, Any],
        changed: set[str],
    ) -> tuple[Live, str]:
        if old.type == site.type and handler.update and not changed & handler.immutable:
            return handler.update(site, old.live, old.properties, properties), "update"
        if handler.named_by in properties and (
            old.properties.get(handler.named_by) == properties[handler.named_by]
        ):
            raise DeploymentFailed(
                f"{site.logical_id} ({site.type}) must be replaced for {sorted(changed)}, but has "
                "a name of its own: rename it"
            )
        return handler.create(site, properties), "replace"

    def _outputs(self) -> tuple[dict[str, Any], dict[str, Any]]:
        outputs, exports = {}, {}
        for name, output in self._template.get("Outputs", {}).items():
            if "Condition" in output and not self._resolver.condition(output["Condition"]):
                continue
            outputs[name] = self._resolver.resolve(output["Value"])
            if "Export" in output:
                exports[self._resolver.resolve(output["Export"]["Name"])] = outputs[name]
        return outputs, exports

    def _roll_back(self) -> None:
        """Write the old properties over the new ones, and delete what was created."""
        for logical_id, old, new in reversed(self._undo):
            site = self._site.at(self._stack, logical_id, new.type)
            if old is not None and old.live.physical_id == new.live.physical_id:
                update = _known(new.type).update
                if update is not None:
                    old.live = update(site, new.live, new.properties, old.properties)
                self._stack.resources[logical_id] = old
                self.changes.append(Change("undo", logical_id, new.type))
                continue
            if old is None:
                del self._stack.resources[logical_id]
            else:
                self._stack.resources[logical_id] = old
            self._delete(logical_id, new, "DeletionPolicy")

    def _clean_up(self, wanted: Mapping[str, Any]) -> None:
        """After success: delete what was replaced and what the template has no more."""
        gone = [name for name in self._stack.resources if name not in wanted]
        for logical_id, old, policy in reversed(self._leftover):
            self._delete(logical_id, old, policy)
        declarations = {name: self._stack.resources[name].declaration for name in gone}
        for logical_id in reversed(_in_order(declarations)):
            self._delete(logical_id, self._stack.resources.pop(logical_id), "DeletionPolicy")

    def _delete(self, logical_id: str, deployed: Deployed, policy: str) -> None:
        if deployed.type in NOT_EMULATED:
            return
        if deployed.declaration.get(policy) == "Retain":
            self.changes.append(Change("retain", logical_id, deployed.type))
            return
        site = self._site.at(self._stack, logical_id, deployed.type)
        _known(deployed.type).delete(site, deployed.live, deployed.properties)
        self.changes.append(Change("delete", logical_id, deployed.type))


def _known(kind: str) -> ResourceType:
    found = type_of(kind)
    if found is None:
        raise UnknownResourceType(f"the local cloud does not know {kind}")
    return found


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


def _in_order(declarations: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Logical ids, each after those it refers to or depends on."""
    graph: dict[str, set[str]] = {}
    for logical_id, declaration in declarations.items():
        depends = declaration.get("DependsOn", [])
        explicit = {depends} if isinstance(depends, str) else set(depends)
        named = explicit | set(references(declaration.get("Properties", {})))
        graph[logical_id] = {name for name in named if name in declarations}
    return list(graphlib.TopologicalSorter(graph).static_order())
