"""The documents of a report: the evidence that was gathered, and what is made of it.

`Evidence` is everything that was read, at one instant; it stays in memory, for task definitions
hold values that nobody should read. `Report` is what `report_compose.compose` makes of it, without
looking anywhere else; it is stored, and every rendering is made from it alone. Ratios are 0..1,
weights are percent, response times are milliseconds, spans are seconds, instants are in UTC.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from greenlane.deployments.model import (
    CheckResult,
    DeploymentSummary,
    HistoryEvent,
    Judgement,
    Plan,
    Record,
    Slot,
    StoredModel,
    VerdictName,
)
from greenlane.health.metrics import MinuteOfTraffic

SCHEMA = 1
"""Version of `Report`."""

ReportOutcome = Literal["rolled_back", "held", "succeeded", "refused", "under_way"]
PhaseName = Literal["before", "during", "after"]


class AlarmFacts(StoredModel):
    """What an alarm looks at, as CloudWatch has it or as its event said."""

    name: str
    metric: str
    threshold: float | None = None
    comparison: str = ""
    periods: int | None = None
    period_seconds: int | None = None


class LogLine(StoredModel):
    """One line that looks like an error, and the log stream it came from."""

    at: str = ""
    stream: str
    message: str


class LogsRead(StoredModel):
    """What the two log queries found: the new version's lines, and those to compare with.

    `compared_with` says in words what the second list is; `notes` what was cut short.
    """

    groups: tuple[str, ...]
    compared_with: str
    candidate: tuple[LogLine, ...] = ()
    reference: tuple[LogLine, ...] = ()
    notes: tuple[str, ...] = ()


class Gap(StoredModel):
    """Something that could not be read, and why."""

    what: str
    why: str


class Evidence(StoredModel):
    """All that a report is made of. `record` is None once another deployment has the service."""

    as_of: datetime
    plan: Plan
    record: Record | None = None
    summary: DeploymentSummary | None = None
    history: tuple[HistoryEvent, ...] = ()
    look: Judgement | None = None
    previous: Plan | None = Field(None, description="of the deployment before this one")
    definition_before: dict[str, Any] | None = None
    definition_after: dict[str, Any] | None = None
    version_before: str | None = Field(None, description="what people called it")
    percent: dict[Slot, int] | None = Field(None, description="the live weights, at `as_of`")
    alarm: AlarmFacts | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    traffic: dict[Slot, tuple[MinuteOfTraffic, ...]] | None = None
    logs: LogsRead | None = None
    stopped: tuple[str, ...] = Field((), description="why tasks of the new version stopped")
    gaps: tuple[Gap, ...] = ()


class Version(StoredModel):
    """One side of the deployment: what people call it, and what exactly runs."""

    slot: Slot
    label: str
    image: str | None = None
    digest: str | None = None
    task_definition: str | None = None


class FieldChange(StoredModel):
    """One field that differs; `hidden` when its value could be a secret and is not shown."""

    path: str
    change: Literal["changed", "added", "removed"]
    before: str | None = None
    after: str | None = None
    hidden: bool = False


class Changes(StoredModel):
    """What the deployment changed. None where one side could not be read."""

    task_definition: tuple[FieldChange, ...] | None = None
    config: tuple[FieldChange, ...] | None = None
    config_version: int
    previous_config_version: int | None = None
    previous_deployment: str | None = None


class Cause(StoredModel):
    """Why the deployment went back. `words` completes the sentence "because ..."."""

    kind: str
    name: str = ""
    words: str
    reason: str = ""
    at: datetime | None = None
    metric: str | None = None
    observed: float | None = None
    comparison: str | None = None
    threshold: float | None = None


class Moment(StoredModel):
    """One line of the timeline; an intent and its outcome are one line with `took_seconds`."""

    at: datetime
    since_start_seconds: float
    since_previous_seconds: float
    kind: str
    text: str
    actor: str
    took_seconds: float | None = None


class SlotNumbers(StoredModel):
    """What one slot did in one phase; `minutes` is how many minutes had metrics."""

    slot: Slot
    minutes: int
    requests: int
    errors: int
    error_rate: float | None = None
    p95_ms: float | None = None


class PhaseNumbers(StoredModel):
    """Both slots before, while and after the new version had traffic."""

    name: PhaseName
    start: datetime
    end: datetime
    slots: tuple[SlotNumbers, ...]


class Minute(StoredModel):
    """What one slot did in one minute.

    Errors of one minute are approximate: an answer may come in the next.
    """

    at: datetime
    slot: Slot
    requests: int
    errors: int
    p95_ms: float | None = None


class Affected(StoredModel):
    """How many requests failed because of the new version, and how that was computed."""

    requests: int
    candidate_requests: int
    candidate_errors: int
    candidate_error_rate: float
    reference_error_rate: float
    formula: str


class Shift(StoredModel):
    """An instant at which the new version got another weight, in percent."""

    at: datetime
    weight: int


class LogMessage(StoredModel):
    """One kind of message; numbers, ids and addresses in it are replaced by their kind."""

    text: str
    count: int
    tasks: int


class Logs(StoredModel):
    """The messages that only the new version wrote, the most frequent first."""

    groups: tuple[str, ...]
    compared_with: str
    lines_read: int
    known_messages: int = Field(description="kinds of message that the other side wrote too")
    new: tuple[LogMessage, ...] = ()
    more: int = Field(0, description="new kinds beyond those listed")
    notes: tuple[str, ...] = ()


class StoppedTasks(StoredModel):
    """How many tasks of the new version stopped by themselves, for one reason."""

    reason: str
    count: int


class Ruling(StoredModel):
    """One verdict of the judge; steps count from 1, the one after the last is the watch."""

    at: datetime
    step: int | None
    weight: int | None = None
    verdict: VerdictName
    requests: int
    reason: str = ""
    checks: tuple[CheckResult, ...] = ()


class Part(StoredModel):
    """One thing that was done to end it, and how long that took."""

    name: str
    what: str
    seconds: float | None = None


class NextStep(StoredModel):
    """What a person should do, with the command if there is one."""

    text: str
    command: str | None = None


class Limits(StoredModel):
    """What the judge allowed: a ratio and milliseconds."""

    error_rate: float
    p95_ms: float


class Report(StoredModel):
    """Everything a person needs to know about one deployment."""

    schema_version: int = SCHEMA
    service: str
    deployment_id: str
    region: str
    outcome: ReportOutcome
    summary: tuple[str, str]
    as_of: datetime
    strategy: str
    requested_by: str
    started_at: datetime
    traffic_from: datetime | None = None
    traffic_until: datetime | None = None
    ended_at: datetime | None = None
    old: Version
    new: Version
    percent: dict[Slot, int] | None = None
    cause: Cause | None = None
    affected: Affected | None = None
    changes: Changes
    timeline: tuple[Moment, ...] = ()
    shifts: tuple[Shift, ...] = ()
    limits: Limits
    phases: tuple[PhaseNumbers, ...] = ()
    minutes: tuple[Minute, ...] = ()
    window_start: datetime | None = None
    window_end: datetime | None = None
    logs: Logs | None = None
    stopped: tuple[StoppedTasks, ...] = ()
    verdicts: tuple[Ruling, ...] = ()
    done: tuple[Part, ...] = ()
    next_steps: tuple[NextStep, ...] = ()
    gaps: tuple[Gap, ...] = ()
