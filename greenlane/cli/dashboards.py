"""`greenlane dashboard`."""

import json
from typing import Annotated

import typer

from greenlane.cli.deploying import Service
from greenlane.cli.session import Session


def dashboard(
    context: typer.Context,
    service: Service,
    grafana: Annotated[
        bool, typer.Option("--grafana", help="As Grafana imports it, for Prometheus users.")
    ] = False,
) -> None:
    """Print the dashboard of a service's criteria as JSON; `apply` puts the one in CloudWatch."""
    from greenlane.deployments.declaring.dashboard import cloudwatch_dashboard, grafana_dashboard

    session: Session = context.obj
    config = session.client.store.get_config(service).config
    made = grafana_dashboard if grafana else cloudwatch_dashboard
    print(json.dumps(made(config, session.client.connection.region), indent=2))
