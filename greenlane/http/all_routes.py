"""All routes of the HTTP API: those of feature flags, and those of A/B tests."""

from greenlane.experiments.http.experiment_routes import ROUTES as EXPERIMENTS
from greenlane.flags.http.api_routes import ROUTES as FLAGS

ROUTES = FLAGS + EXPERIMENTS
