"""The documents of a rollout: its record, what is seen of Regions, what is to be done."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from greenlane.deployments.model import DeploymentRequest
from greenlane.deployments.phases import Phase as DeploymentPhase
from greenlane.deployments.storing.shapes import OnceWhy, StoredModel
from greenlane.deployments.storing.stored import as_stored
from greenlane.regions.coordinating.fencing import Fence
from greenlane.regions.declaring.model import Stage, Type
from greenlane.regions.planning.model import Override
from greenlane.regions.windows.gate import AtEnd

SCHEMA = 1
"""Version of `Rollout`. A reader of version N also reads N - 1."""

State = Literal[
    "waiting",
    "starting",
    "deploying",
    "baking",
    "succeeded",
    "failed",
    "rolling_back",
    "rolled_back",
    "held",
    "unknown",
]
UNBAKED: frozenset[State] = frozenset(
    {"starting", "deploying", "baking", "failed", "rolling_back", "held", "unknown"}
)
"""A Region that may have a version which nobody has watched for long enough."""

FAILED: frozenset[State] = frozenset({"failed", "unknown"})

Phase = Literal[
    "advancing", "held", "watching", "rolling_back", "succeeded", "rolled_back", "partial"
]
OVER: frozenset[Phase] = frozenset({"succeeded", "rolled_back", "partial"})
"""No execution is at work on it."""

FREE: frozenset[Phase] = OVER | {"watching"}
"""Another rollout of the service may begin, which also ends the watch of this one."""


class RegionState(StoredModel):
    """Where a rollout stands in one Region.

    Args:
        region: its name.
        wave: from 1.
        failover: who takes over for it.
        traffic_percentage: planned, of production.
        need_seconds: until it should have all of its traffic.
        bake_seconds: of watch after that.
        bake_requests: which it has to have had besides.
        state: see `State`.
        since: when it got there.
        ordered_at: when it was first told to start.
        promoted_at: when the candidate got all traffic.
        requests: since then, as far as known.
        silent_since: it has not answered since.
        back_at: when it was last told to go back.
        paused: it was told to stand still because its window ended.
        resumes_at: when its window opens again.
        failure: why it failed; stays.
        reason: what there is to know of its state.
    """

    region: str
    wave: int
    failover: tuple[str, ...] = ()
    traffic_percentage: Decimal = Decimal(0)
    need_seconds: int
    bake_seconds: int
    bake_requests: int | None = None
    state: State = "waiting"
    since: datetime | None = None
    ordered_at: datetime | None = None
    promoted_at: datetime | None = None
    requests: int | None = None
    silent_since: datetime | None = None
    back_at: datetime | None = None
    paused: bool = False
    resumes_at: datetime | None = None
    failure: str = ""
    reason: str = ""


class Wave(StoredModel):
    """Regions that start at one instant.

    Args:
        number: from 1.
        stage: of all of them.
        regions: their names.
        traffic_percentage: planned, of all of them.
        budget_percentage: what it may have when it has several.
    """

    number: int
    stage: Stage
    regions: tuple[str, ...]
    traffic_percentage: Decimal
    budget_percentage: Decimal


class Asked(StoredModel):
    """What a person asked of a rollout; `number` rises with each wish.

    `close` ends the attempts to take the rest back.
    """

    name: Literal["hold", "resume", "rollback", "close"]
    number: int
    by: str
    reason: OnceWhy = ""
    at: datetime


class Rollout(StoredModel):
    """The one item per service that decides how a version goes through Regions.

    Args:
        rollout_id: of it, and of the deployment in each Region.
        service: whose.
        epoch: of the coordinator; see `fencing`.
        version: rises with each write of the record.
        home: the Region of the coordinator.
        standby: the Region of the one that may take over.
        standing_in: this is the standby's own record: it never starts a Region.
        owner: the ARN of the execution at work.
        phase: see `Phase`.
        type: how it goes through the Regions.
        request: what each Region is asked for.
        digest: of the image that the first Region found under the version; all ship that one.
        overrides: of windows and freezes.
        waves: in order.
        regions: by name.
        pairs: Regions that must never be unbaked at once.
        delay_seconds: between waves.
        watch_seconds: after the last wave.
        max_wait_seconds: after so long without a start it is held.
        on_window_end: what becomes of a Region that is under way.
        error_rate: the share of a Region's requests that may fail; None for any.
        p95_ms: the response time that 95 percent have to be within; None for any.
        over_seconds: for so long a limit has to be exceeded.
        started_at: when.
        updated_at: of the last write.
        watch_until: the end of the watch.
        blocked: what the next wave waits for, where it is no window.
        blocked_since: since when.
        held_for: why it is held.
        cause: why it goes back, or went.
        cause_region: the Region that caused it; empty for a person.
        partial_since: since when something is left that did not go back.
        heeded: the number of the last wish that was heeded.
        ended_at: when it was over.
    """

    schema_version: int = SCHEMA
    rollout_id: str
    service: str
    epoch: int = 0
    version: int = 0
    home: str
    standby: str | None = None
    standing_in: bool = False
    owner: str = ""
    phase: Phase = "advancing"
    type: Type
    request: Annotated[DeploymentRequest, as_stored(DeploymentRequest)]
    digest: str = ""
    overrides: tuple[Override, ...] = ()
    waves: tuple[Wave, ...]
    regions: dict[str, RegionState]
    pairs: tuple[tuple[str, str], ...] = ()
    delay_seconds: int = 0
    watch_seconds: int = 0
    max_wait_seconds: int = 8 * 86400
    on_window_end: AtEnd = "finish"
    error_rate: Decimal | None = None
    p95_ms: int | None = None
    over_seconds: int = 120
    started_at: datetime
    updated_at: datetime
    watch_until: datetime | None = None
    blocked: str = ""
    blocked_since: datetime | None = None
    held_for: str = ""
    cause: str = ""
    cause_region: str = ""
    partial_since: datetime | None = None
    heeded: int = 0
    ended_at: datetime | None = None

    def at(self, name: str) -> RegionState:
        """A Region's state."""
        return self.regions[name]

    def named(self, *states: State) -> tuple[str, ...]:
        """The Regions in any of these states, by wave and name."""
        found = [one for one in self.regions.values() if one.state in states]
        return tuple(one.region for one in sorted(found, key=lambda it: (it.wave, it.region)))

    @property
    def touched(self) -> tuple[str, ...]:
        """The Regions that were told to start, or may have been."""
        return tuple(name for name, one in self.regions.items() if one.state != "waiting")

    @property
    def left(self) -> tuple[str, ...]:
        """The touched Regions that have not gone back."""
        return tuple(name for name in self.touched if self.at(name).state != "rolled_back")


ExecutionState = Literal["none", "running", "succeeded", "already", "refused", "failed"]
"""`already`: it was refused because the Region has this version."""


class RegionSeen(BaseModel):
    """What one look at a Region found.

    Args:
        answered: whether it did; the rest means nothing if not.
        phase: of its deployment, when the service's record there is that of this rollout.
        latest: the id of another deployment that the record is of.
        busy: whether that one is in flight.
        execution: what became of this rollout's execution there.
        said: why it was refused, failed or went back.
        promoted_at: when the candidate got all of the traffic.
        digest: of the image that it ships; empty where that does not matter.
        fence: as it stands.
        requests: since `promoted_at`; None is not known.
        over: which limit of the rollout the candidate exceeds; empty for none.
        red: alarms of what serves there; None is not known.
        share: percent of all live traffic of production; None is not known.
        opens_at: when its window next allows a start, UTC; None is never.
        closed_for: why not now.
        at_end: what its window asks of a deployment that is under way.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    answered: bool = True
    phase: DeploymentPhase | None = None
    latest: str = ""
    busy: bool = False
    execution: ExecutionState = "none"
    said: str = ""
    promoted_at: datetime | None = None
    digest: str = ""
    fence: Fence = Fence()
    requests: int | None = None
    over: str = ""
    red: tuple[str, ...] | None = None
    share: Decimal | None = None
    opens_at: datetime | None = None
    closed_for: str = ""
    at_end: AtEnd = "finish"


SILENT = RegionSeen(answered=False)


class Seen(BaseModel):
    """What one look at everything found.

    Args:
        regions: by name; one that is missing was silent.
        asked: the last wish of a person.
        quorum: whether a majority took this epoch just now; None was not asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    regions: Mapping[str, RegionSeen] = Field(default_factory=dict)
    asked: Asked | None = None
    quorum: bool | None = None

    def of(self, region: str) -> RegionSeen:
        """What was seen of a Region."""
        return self.regions.get(region, SILENT)


class Act(BaseModel):
    """Something to be done in one Region; safe to repeat.

    `start` gives the order `go` and starts the deployment, `take_back` gives the order `back` and
    starts the way back of what runs there, `pause` and `resume` are signals to what runs there.
    """

    model_config = ConfigDict(frozen=True)

    what: Literal["start", "take_back", "pause", "resume"]
    region: str


class Decision(BaseModel):
    """What follows from a look.

    Args:
        record: as it is to be written, before anything is done.
        acts: to be done then.
        wake_at: when to look again at the latest, UTC; None when it is over.
    """

    model_config = ConfigDict(frozen=True)

    record: Rollout
    acts: tuple[Act, ...] = ()
    wake_at: datetime | None = None

    @property
    def starts(self) -> bool:
        """Whether it advances."""
        return any(act.what == "start" for act in self.acts)
