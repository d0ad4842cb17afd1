"""From the files that `greenlane apply` takes to the configuration of one service.

The kind of a file is its top-level key. `service:` declares everything about a service. The other
kinds name no service; they are bound to one and lie over what the service's own file says:
`success_criteria:` (or `alerts:`, or `monitoring:`), then `canary:`. Applying a file replaces the
earlier file of its kind and leaves the others as they are, so all texts are kept (`Sources`) and
the configuration is always made anew from them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from pydantic import BaseModel, ConfigDict

from greenlane.deployments.declaring.canary_document import CanaryDocument
from greenlane.deployments.declaring.config import Monitoring, ServiceConfig
from greenlane.deployments.declaring.criteria_document import Alerts, SuccessCriteria
from greenlane.deployments.declaring.layers import (
    as_judged,
    check_fits,
    laid_over,
    overlay,
    watched,
)
from greenlane.deployments.declaring.names import Names, problems_of
from greenlane.deployments.declaring.unsupported import unsupported, unsupported_keys
from greenlane.deployments.model import DeploymentRequest
from greenlane.deployments.storing.shapes import Document
from greenlane.documents import Source, load, validate
from greenlane.errors import InvalidInput
from greenlane.health.asked import from_canary, from_criteria_file, from_service, join, not_asked
from greenlane.health.catalogue import Metric
from greenlane.health.criteria import Criteria
from greenlane.health.declared import known_metrics
from greenlane.problems import Excerpt, InvalidDocument, suggest

Kind = Literal["service", "canary", "success_criteria"]

CRITERIA_KEYS = ("success_criteria", "monitoring", "alerts")
"""Top-level keys of a file of success criteria; any of them makes it one."""

ELSEWHERE = {
    "feature_flags": "feature flags",
    "ab_tests": "A/B tests",
    "regions": "regions",
    "databases": "databases",
}
"""Top-level keys of files that are no service's configuration, and what such a file declares.

`greenlane.apply` takes them too.
"""

_KEYS = ("service", "canary", *CRITERIA_KEYS, *ELSEWHERE)


class CriteriaDocument(Document):
    """A file of success criteria, whole."""

    success_criteria: SuccessCriteria = SuccessCriteria()
    monitoring: Monitoring = Monitoring()
    alerts: Alerts = Alerts()


class SourceText(BaseModel):
    """A file as it was applied."""

    model_config = ConfigDict(frozen=True)

    name: str
    text: str

    @property
    def file(self) -> str:
        """Its name without the folders, for verdicts."""
        return PurePath(self.name).name


class Sources(BaseModel):
    """The files that make a service's configuration: at most one of each kind."""

    model_config = ConfigDict(frozen=True)

    service: SourceText | None = None
    canary: SourceText | None = None
    success_criteria: SourceText | None = None


@dataclass(frozen=True)
class Checked:
    """A file that was read without a problem.

    `service` is the service's name where the file says it. Of `config`, `canary` and `criteria`
    the one of its kind is set; none by an empty `canary:`, which takes the canary's file away.
    `asks` is what it adds to a judgement. `warnings` say what has no effect as it stands.
    """

    kind: Kind
    source: SourceText
    service: str | None
    asks: Criteria
    config: ServiceConfig | None = None
    canary: CanaryDocument | None = None
    criteria: CriteriaDocument | None = None
    warnings: tuple[str, ...] = ()


def read_document(
    text: str, name: str = "document", metrics: Mapping[str, Metric] | None = None
) -> Checked:
    """Read a file of any kind, without a cloud.

    Args:
        text: the file.
        name: what to call it.
        metrics: those of the service that the file is for, where it is known; a file of a service
            brings its own.

    Raises:
        InvalidDocument: with everything that is wrong, or because this version does not read
            this kind of file.
    """
    source = load(text, name)
    kept = SourceText(name=name, text=text)
    names = Names() if metrics is None else Names(metrics, whole=True)
    match _kind(source):
        case "service":
            return _read_service(source, kept)
        case "canary":
            return _read_canary(source, kept, names)
        case "success_criteria":
            return _read_criteria(source, kept, names)


def _read_service(source: Source, kept: SourceText) -> Checked:
    named = unsupported_keys(source)
    if named:
        raise InvalidDocument(source.name, named)
    config = validate(ServiceConfig, source, ("service",))
    names = Names(known_metrics(config.metrics, config.database), whole=True)
    problems = problems_of(
        source,
        ("service",),
        names,
        triggers=config.rollback_triggers,
        success=config.success_criteria,
        business=config.business_metrics,
        monitoring=config.monitoring,
        alerts=config.alerts,
    )
    if config.workload is not None:
        problems += unsupported(config.workload, source)
    if problems:
        raise InvalidDocument(source.name, problems)
    _check_duration(source, ("service", "deployment", "max_duration"), config)
    asks = from_service(config, kept.file)
    return Checked(
        "service", kept, config.name, asks, config=config, warnings=not_asked(config, [asks])
    )


def _read_canary(source: Source, kept: SourceText, names: Names) -> Checked:
    if source.data["canary"] is None:
        return Checked("canary", kept, None, Criteria())
    canary = validate(CanaryDocument, source, ("canary",))
    criteria = canary.success_criteria
    problems = problems_of(
        source,
        ("canary",),
        names,
        triggers=canary.rollback_triggers,
        business=criteria.business_metrics,
        monitoring=canary.monitoring,
    )
    if problems:
        raise InvalidDocument(source.name, problems)
    merged = overlay(canary, ServiceConfig(name="any-service"))
    _check_duration(source, ("canary", "traffic_policy", "max_duration"), merged)
    asks = from_canary(
        criteria.limits,
        criteria.business_metrics,
        canary.rollback_triggers,
        canary.monitoring,
        kept.file,
    )
    return Checked("canary", kept, None, asks, canary=canary, warnings=_open_names(names))


def _read_criteria(source: Source, kept: SourceText, names: Names) -> Checked:
    criteria = validate(CriteriaDocument, source)
    problems = problems_of(
        source,
        (),
        names,
        success=criteria.success_criteria,
        monitoring=criteria.monitoring,
        alerts=criteria.alerts,
    )
    if problems:
        raise InvalidDocument(source.name, problems)
    asks = from_criteria_file(
        criteria.success_criteria, criteria.monitoring, criteria.alerts, kept.file
    )
    return Checked(
        "success_criteria", kept, None, asks, criteria=criteria, warnings=_open_names(names)
    )


def _open_names(names: Names) -> tuple[str, ...]:
    return tuple(
        f"{name}: no metric of Greenlane's own; service.metrics has to declare it"
        for name in names.unknown
    )


def compose(sources: Sources, base: ServiceConfig) -> tuple[ServiceConfig, tuple[str, ...]]:
    """The configuration that the files make together, and its warnings.

    Args:
        sources: the files.
        base: what the other files lie over when there is no service file.

    Raises:
        InvalidDocument: a file names a metric that the service does not declare.
        InvalidInput: the bakes alone outlast `max_duration`.
    """
    config = base.model_copy(update={"criteria": None})
    if sources.service is None:
        asked = [from_service(config, "")]
    else:
        checked = read_document(sources.service.text, sources.service.name)
        config, asked = checked.config or config, [checked.asks]
    config = config.model_copy(update={"deployment": watched(config.deployment, config.monitoring)})
    metrics = known_metrics(config.metrics, config.database)
    if sources.success_criteria is not None:
        given = sources.success_criteria
        checked = read_document(given.text, given.name, metrics)
        config = _lay_criteria(checked.criteria or CriteriaDocument(), config)
        asked.append(checked.asks)
    if sources.canary is not None:
        checked = read_document(sources.canary.text, sources.canary.name, metrics)
        config = overlay(checked.canary or CanaryDocument(), config)
        asked.append(checked.asks)
        check_fits(config, DeploymentRequest(service=config.name, version="any"))
    criteria = join(config, asked)
    judge = as_judged(config.judge, criteria)
    warnings = not_asked(config, asked)
    return config.model_copy(update={"criteria": criteria, "judge": judge}), warnings


def _lay_criteria(criteria: CriteriaDocument, base: ServiceConfig) -> ServiceConfig:
    return base.model_copy(
        update={
            "deployment": watched(base.deployment, criteria.monitoring),
            "monitoring": laid_over(base.monitoring, criteria.monitoring),
        }
    )


def _check_duration(source: Source, path: tuple[str, ...], config: ServiceConfig) -> None:
    try:
        check_fits(config, DeploymentRequest(service=config.name, version="any"))
    except InvalidInput as error:
        problem = InvalidInput(
            ".".join(path), error.value, error.way_out, line=source.line(tuple(path))
        )
        raise InvalidDocument(source.name, [problem]) from None


def _kind(source: Source) -> Kind:
    """What a file declares, by its top-level keys; one kind in one file."""
    kinds: tuple[Kind, ...] = ("service", "canary")
    kind: Kind | None = next((key for key in kinds if key in source.data), None)
    belongs: tuple[str, ...] = (kind,) if kind is not None else CRITERIA_KEYS
    if kind is None and any(key in source.data for key in CRITERIA_KEYS):
        kind = "success_criteria"
    elsewhere = next((key for key in ELSEWHERE if key in source.data), None)
    if kind is None and elsewhere is not None:
        problems = [_elsewhere(source, elsewhere)]
    else:
        problems = [
            _out_of_place(source, key) for key in source.data if kind is None or key not in belongs
        ]
    if kind is not None and not problems:
        return kind
    raise InvalidDocument(
        source.name,
        problems
        or [InvalidInput("file", Excerpt("an empty mapping"), "begin with the key service")],
    )


def _elsewhere(source: Source, key: str) -> InvalidInput:
    return InvalidInput(
        key,
        Excerpt(f"a file of {ELSEWHERE[key]}"),
        "it is no service's configuration: apply it by `greenlane.apply.apply`, as the command "
        "`greenlane apply` does",
        line=source.line((key,)),
    )


def _out_of_place(source: Source, key: str) -> InvalidInput:
    way_out = (
        "one file declares one kind; move it to a file of its own"
        if key in _KEYS
        else "a file begins with the key service, canary, success_criteria, regions, databases, "
        "feature_flags or ab_tests" + suggest(key, _KEYS)
    )
    return InvalidInput(key, Excerpt("this key"), way_out, line=source.line((key,)))
