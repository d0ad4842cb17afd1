"""The functions behind the HTTP API, but for those of flags and A/B tests."""

from greenlane.deployments.http.deployment_routes import MANAGE_DEPLOYMENTS as DEPLOYMENTS
from greenlane.migrations.http.migration_routes import FUNCTION as MIGRATIONS
from greenlane.regions.http.rollout_routes import FUNCTION as ROLLOUTS
from greenlane.rollback.http.webhook_routes import HEAR
from infra.permissions_api import (
    ApiSpec,
    hear_webhooks,
    manage_deployments,
    manage_migrations,
    manage_rollouts,
)

OF_ALL = ("DEPLOYMENTS_TABLE", "DEPLOYMENT_MACHINE_ARN", "ROLLBACK_MACHINE_ARN", "TOPIC_ARN")
"""What the environment of functions has at the least (`greenlane.runtime.Settings`)."""

WHOLE_API_MB = 1024
"""Of what imports the whole Python API, half a second of a CPU: memory buys CPU. And judging a past
deployment again reckons through all of its minutes."""

API = (
    ApiSpec(DEPLOYMENTS, manage_deployments, knows=OF_ALL, memory_mb=WHOLE_API_MB),
    ApiSpec(
        ROLLOUTS,
        manage_rollouts,
        knows=OF_ALL,
        memory_mb=WHOLE_API_MB,
        wanted=lambda settings: settings.coordinates,
    ),
    # They speak to no database, so they need neither its network nor the layer for it.
    ApiSpec(
        MIGRATIONS,
        manage_migrations,
        knows=OF_ALL,
        memory_mb=WHOLE_API_MB,
        wanted=lambda settings: settings.migrations is not None,
    ),
    ApiSpec(
        HEAR,
        hear_webhooks,
        knows=("DEPLOYMENTS_TABLE", "ROLLBACK_MACHINE_ARN", "WEBHOOKS_SECRET"),
        wanted=lambda settings: settings.webhooks,
    ),
)
