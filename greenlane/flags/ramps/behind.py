"""Where the service behind a flag is looked up."""

from collections.abc import Sequence

from greenlane.deployments.reaching.workloads import read_workload
from greenlane.errors import InvalidInput, UnknownService
from greenlane.flags.ramps.impact import Behind
from greenlane.runtime import Runtime


def service_behind(runtime: Runtime, service: str, services: Sequence[str]) -> Behind | str:
    """The service whose metrics conditions are about, or why there is none."""
    if not service:
        known = f"; there are {', '.join(services)}" if services else "; none was applied yet"
        return f"nobody says whose metrics its conditions are about: name a `service`{known}"
    try:
        config = runtime.store.get_config(service).config
        workload = config.workload or read_workload(runtime.ssm, service)
    except (UnknownService, InvalidInput) as error:
        return str(error)
    return Behind(config, workload)
