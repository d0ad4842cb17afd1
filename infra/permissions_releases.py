"""What functions of deployments may do about the migrations that go with a release."""

from dataclasses import dataclass

from infra.roles import Allow


@dataclass(frozen=True)
class MigrationPlaces:
    """Where migrations are; a stack without databases has none of it.

    Args:
        machine: the ARN of their state machine.
        executions: the ARN over its executions.
        plans_arn: of the bucket of plans.
    """

    machine: str
    executions: str
    plans_arn: str


def see_release_plans(places: MigrationPlaces | None) -> list[Allow]:
    """Read plans, where there are any: which version a contract asks for."""
    if places is None:
        return []
    return [
        Allow(
            "SeePlans",
            ["s3:GetObject"],
            [f"{places.plans_arn}/plans/*"],
            because="a plan's key is its checksum.",
        )
    ]


def migrate_with_release(places: MigrationPlaces | None) -> list[Allow]:
    """Start a migration, and see whether it lives, where there are any."""
    if places is None:
        return []
    return [
        Allow("StartMigrations", ["states:StartExecution"], [places.machine]),
        Allow(
            "SeeMigrations",
            ["states:DescribeExecution"],
            [places.executions],
            because="each execution of our own machine of migrations.",
        ),
    ]
