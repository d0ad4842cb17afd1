"""Roles made of explicit statements, each wildcard with its argument beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.nag import acknowledge, as_finding


class UnarguedWildcard(Exception):
    """A statement over more than named resources does not say why."""


@dataclass(frozen=True)
class Allow:
    """One statement of a policy.

    `because` argues the wildcards in `resources`; without any there is nothing to argue.
    """

    sid: str
    actions: Sequence[str]
    resources: Sequence[str]
    because: str | None = None
    conditions: Mapping[str, Mapping[str, str | list[str]]] | None = None

    def statement(self) -> iam.PolicyStatement:
        """The statement as CDK knows it."""
        return iam.PolicyStatement(
            sid=self.sid,
            actions=list(self.actions),
            resources=list(self.resources),
            conditions=dict(self.conditions) if self.conditions else None,
        )


def least_privilege_role(
    scope: Construct, id: str, *, name: str, principal: str, allows: Sequence[Allow]
) -> iam.Role:
    """A role that may do exactly what `allows` says.

    Args:
        scope: the parent construct.
        id: the construct's id.
        name: the role's name, unique in the account.
        principal: the service that assumes it, such as `lambda.amazonaws.com`.
        allows: its statements; nothing is added to them later.

    Raises:
        UnarguedWildcard: a statement has a wildcard and no argument.
    """
    policy = iam.PolicyDocument(statements=[allow.statement() for allow in allows])
    role = iam.Role(
        scope,
        id,
        role_name=name,
        assumed_by=iam.ServicePrincipal(principal),
        inline_policies={"run": policy} if allows else None,
    )
    arguments: dict[str, list[str]] = {}
    for allow in allows:
        for resource in allow.resources:
            text = as_finding(Stack.of(scope).resolve(resource))
            if "*" not in text:
                continue
            if allow.because is None:
                raise UnarguedWildcard(f"{name}: {allow.sid} reaches {text}: say why")
            arguments.setdefault(text, []).append(f"{allow.sid}: {allow.because}")
    for text, reasons in arguments.items():
        acknowledge(role, f"IAM5[Resource::{text}]", " ".join(reasons))
    return role
