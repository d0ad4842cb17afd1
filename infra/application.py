"""The app of the CDK: the stacks of one Region, or of all of them."""

from pathlib import Path
from typing import Any

from aws_cdk import App, Environment, Validations
from cdk_nag import AwsSolutionsChecks

from infra.api_stack import ApiStack
from infra.pipeline import PipelineStack
from infra.settings import Settings
from infra.stacks import GreenlaneStack
from infra.workflows import STATE_MACHINES
from infra.workload_stack import WorkloadStack


def chosen(context: dict[str, Any]) -> Any:
    """The value of the context key `greenlane`, which the command line may have overridden."""
    return App(context=context).node.try_get_context("greenlane")


def build_app(
    settings: Settings,
    *,
    context: dict[str, Any] | None = None,
    outdir: str | None = None,
    state_machines: Path = STATE_MACHINES,
    validate: bool = True,
) -> App:
    """All stacks, checked by cdk-nag at synth.

    Args:
        settings: what was chosen.
        context: feature flags and the like, as in `cdk.json`.
        outdir: where the assembly goes; by default where the CDK says.
        state_machines: the folder of the ASL files.
        validate: whether the CDK itself checks the templates as well, which it reports as
            warnings; only to begin with that takes it some 4 s.
    """
    app = App(context=context, outdir=outdir, builtin_cloud_formation_validation=validate)
    here = _add_stacks(app, settings, state_machines)
    for elsewhere in settings.elsewhere():
        there = _add_stacks(app, elsewhere, state_machines, suffix=f"-{elsewhere.region}")
        # Home first: it makes the tables that others are replicas of.
        there.add_stack_dependency(here)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app, verbose=True))
    return app


def _add_stacks(
    app: App, settings: Settings, state_machines: Path, suffix: str = ""
) -> GreenlaneStack:
    """The stacks of one Region."""
    # The Region without the account: an account would make zones a look-up with credentials.
    environment = Environment(region=settings.region)
    greenlane = GreenlaneStack(
        app,
        f"Greenlane{suffix}",
        settings=settings,
        state_machines=state_machines,
        env=environment,
    )
    if settings.sample is not None:
        name = f"GreenlaneWorkload{suffix}"
        sample = WorkloadStack(app, name, settings=settings, env=environment)
        # The order of deployment, nothing more: the parameters must exist to be read.
        greenlane.add_stack_dependency(sample)
    # Likewise: its functions name the tables and machines of the other one.
    api = ApiStack(app, f"GreenlaneApi{suffix}", settings=settings, env=environment)
    api.add_stack_dependency(greenlane)
    if settings.pipeline is not None:
        PipelineStack(app, "GreenlanePipeline", settings=settings, env=environment)
    return greenlane
