"""All routes of the HTTP API, of every capability."""

from collections.abc import Collection

from greenlane.deployments.http.deployment_routes import ROUTES as DEPLOYMENTS
from greenlane.experiments.http.experiment_routes import ROUTES as EXPERIMENTS
from greenlane.flags.http.api_routes import ROUTES as FLAGS
from greenlane.http.routes import Route
from greenlane.migrations.http.migration_routes import ROUTES as MIGRATIONS
from greenlane.regions.http.rollout_routes import ROUTES as ROLLOUTS
from greenlane.rollback.http.webhook_routes import ROUTES as TRIGGERS

ROUTES = FLAGS + EXPERIMENTS + DEPLOYMENTS + ROLLOUTS + MIGRATIONS + TRIGGERS


def routes_of(functions: Collection[str]) -> tuple[Route, ...]:
    """The routes that these functions answer: what is there where no other function is.

    Args:
        functions: their modules.
    """
    return tuple(route for route in ROUTES if route.function in functions)
