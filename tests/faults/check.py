"""The invariants of the protocol: after every effect, and of what a run leaves behind."""

from dataclasses import dataclass, field
from typing import Any

from greenlane.deployments.model import Record
from greenlane.deployments.phases import FOLLOWS, FREE, LEASED, Phase
from tests.builders import SERVICE
from tests.faults.account import Account
from tests.faults.hands import PERSON
from tests.faults.traffic import SLOTS

BACKWARD = frozenset({"take_traffic_back", "hold_traffic"})
QUIET_SECONDS = 240.0
LONGEST_SECONDS = 5 * 3600.0
FENCE_SECONDS = 3.0
RACE_SECONDS = 6.0
DRIFT_RACE_SECONDS = 20.0
"""Between the look at the rule and the write lie calls to the table, each of up to 17 seconds."""

LATE_STOP_SECONDS = 90.0
"""A task that is stopped by a function that looked at the rule before a person wrote it."""

TOLD_AFTER_SECONDS = 240.0
"""Two looks a minute apart, and the reconciler's own faults."""


@dataclass
class Verdict:
    """How a run ended, and what was broken on the way."""

    outcome: str
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0
    lost_without_target: float = 0.0
    lost_to_bad_version: float = 0.0
    struck: str = ""


class Invariants:
    """Watches one account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.broken: list[str] = []
        self._weights = account.weights()
        self._phase: Phase | None = None
        self._owner = ""
        self._fenced_at: float | None = None
        self.drifted: str | None = None
        account.looks.append(self._look)
        account.fleet.stopping = self._stopping

    def _break(self, words: str) -> None:
        at = self._account.kernel.seconds
        self.broken.append(f"{at:.1f} s: {words}")

    def _look(self, caller: str, operation: str, sent: float) -> None:
        if operation == "modify_rule":
            self._rule_written(caller)
            self._fence_kept(caller, sent)
        if operation in ("update_item", "put_item"):
            self._record_written(caller)

    def _rule_written(self, caller: str) -> None:
        before, now = self._weights, self._account.weights()
        self._weights = now
        if caller == PERSON:
            self.drifted = self._drift()
            return
        if caller == "shift_traffic":
            self._drift_respected()
        # A step that writes the same as a person has just written goes on from there.
        if now != before or caller == "shift_traffic":
            self.drifted = None
        if sum(now.values()) <= 0:
            self._break(f"{caller} wrote weights whose sum is 0")
        record = self._account.record()
        needed = record.full_capacity if record is not None else 1
        if self._account.kernel.seconds < self._account.fleet.died_at + RACE_SECONDS:
            return  # it died after it had been counted
        for slot in SLOTS:
            if now[slot] <= before[slot]:
                continue
            healthy = self._account.fleet.counted(slot)
            # A rollback may give everything to a slot of which half is healthy: ADR 0010.
            enough = 2 * healthy if caller in BACKWARD else healthy
            other = self._account.fleet.counted("green" if slot == "blue" else "blue")
            if enough * 100 < now[slot] * needed and (other or not healthy):
                self._break(f"{caller} gave {slot} {now[slot]} percent with {healthy} healthy")

    def _drift(self) -> str | None:
        """What a person wrote, if it is not what the deployment has written or is about to."""
        record, weights = self._account.record(), self._weights
        if record is None:
            return None
        expected = {record.weight, record.intended_weight}
        if record.phase is Phase.ROLLING_BACK:
            expected = {0}
        return None if weights[record.candidate] in expected else f"a person's weights {weights}"

    def _drift_respected(self) -> None:
        """A forward step goes no further on weights that are not its own."""
        wrote_at = self._account.hands.wrote_at
        if self.drifted is None or wrote_at is None:
            return
        if self._account.kernel.seconds - wrote_at > DRIFT_RACE_SECONDS:
            self._break(f"a forward step overwrote {self.drifted}")

    def _fence_kept(self, caller: str, sent: float) -> None:
        """The fence is read, or written through, right before a forward write is sent."""
        if caller == "shift_traffic" and self._fenced_at is not None:
            late = sent - self._fenced_at
            if late > FENCE_SECONDS:
                self._break(f"a forward write was sent {late:.1f} s after a rollback began")

    def _record_written(self, caller: str) -> None:
        record = self._account.record()
        if record is None:
            return
        before, self._phase = self._phase, record.phase
        owner, self._owner = self._owner, record.deployment_id
        if record.phase is Phase.ROLLING_BACK and before is not Phase.ROLLING_BACK:
            self._fenced_at = self._account.kernel.seconds
        elif record.phase is not Phase.ROLLING_BACK:
            self._fenced_at = None
        if before is None or before is record.phase:
            return
        if owner != record.deployment_id:
            self.drifted = None  # the next deployment takes what a person wrote as it is
            if before not in FREE:
                self._break(f"{caller} took the lease of a deployment that was {before}")
        elif record.phase not in FOLLOWS[before]:
            self._break(f"{caller} moved the phase from {before} to {record.phase}")

    def _stopping(self, slot: str, staying: int) -> None:
        """ECS drains what it stops: only those that stay must carry what nodes send the slot."""
        share, hands = self._account.traffic.share(slot), self._account.hands
        now, record = self._account.kernel.seconds, self._account.record()
        late = hands.wrote_at is not None and now < hands.wrote_at + LATE_STOP_SECONDS
        needed = record.full_capacity if record is not None else 1
        if share * needed > staying + 1e-9 and not late:
            self._break(f"tasks of {slot} stopped while nodes send it {share:.0%}, {staying} stay")


def settle(account: Account) -> None:
    """Let time pass until nothing is under way any more."""
    end = account.kernel.seconds + LONGEST_SECONDS

    def quiet() -> bool:
        for one in account.executions.values():
            if one.status == "RUNNING":
                return False
        record = account.record()
        return record is None or (record.phase not in LEASED and not _waits(record))

    account.kernel.run(end, quiet)
    account.run(QUIET_SECONDS)  # events that come late are heard as well
    account.kernel.run(end, quiet)
    if account.hands.wrote_at is not None:  # what a person did last is noticed, if it stands
        account.run(max(account.hands.wrote_at + TOLD_AFTER_SECONDS - account.kernel.seconds, 0.0))
        account.kernel.run(end, quiet)


def _waits(record: Any) -> bool:
    """What the reconciler has still to do."""
    if any(found.kind == "weights" and found.told for found in record.drift or ()):
        return False  # it waits for a person
    return record.phase is Phase.WATCHING or (
        record.scaling_rests and record.phase is not Phase.HELD
    )


def judge(
    account: Account,
    invariants: Invariants,
    *,
    may_hold: bool,
    may_leave: bool = False,
    may_stay: bool = False,
) -> Verdict:
    """What a finished run left behind.

    `may_stay`: no slot is healthy by design, so traffic may stay where it was if that is paged.
    `may_hold`: it may end held, or with a page and still trying; `may_leave`: auto scaling and
    tasks need not be as they should. Which denied calls may do so: `tests.faults.published`.
    """
    broken = list(invariants.broken)
    record = account.record()
    phase = record.phase if record is not None else None
    held = phase is Phase.HELD
    paged = [subject for subject in account.topic.told if subject.startswith("PAGE")]
    by_hand = invariants.drifted is not None and not _as_it_should(account, record)
    if by_hand:
        broken += _drift_is_told(account, str(invariants.drifted))
    else:
        stays = (held and may_hold) or (may_stay and bool(paged))
        broken += _traffic_is_whole(account, held=stays)
    if not (may_hold and paged):  # case 8 of the list: somebody was told, and it goes on trying
        if phase in LEASED:
            broken.append(f"the lease is still held: {phase}")
        running = [arn for arn, one in account.executions.items() if one.status == "RUNNING"]
        broken += [f"{arn} still runs" for arn in running]
    if held and not may_hold:
        broken.append(f"held although it could go on: {record.reason if record else ''}")
    if held and not paged:
        broken.append("held and nobody was paged")
    # Nothing is let go on weights that a person has to mend.
    if not held and phase not in LEASED and not may_leave and not by_hand:
        broken += _left_behind(account)
    return Verdict(
        outcome=str(phase.value if phase is not None else "nothing began"),
        broken=broken,
        seconds=account.kernel.seconds,
        lost_without_target=account.traffic.lost.without_target,
        lost_to_bad_version=account.traffic.lost.bad_version,
        struck=", ".join(f"{kind} at {site}" for site, kind in account.faults.struck),
    )


def _traffic_is_whole(account: Account, *, held: bool) -> list[str]:
    """All nodes send everything to one slot, which is healthy and runs a good version."""
    weights = account.weights()
    shares = {slot: weight / sum(weights.values()) for slot, weight in weights.items()}
    if any(node != shares for node in account.traffic.nodes):
        return [f"the nodes disagree: {account.traffic.nodes}"]
    if held:
        return []
    live = [slot for slot in SLOTS if weights[slot]]
    if len(live) != 1:
        return [f"traffic is split: {weights}"]
    good, bad = account.fleet.healthy(live[0])
    found = []
    if bad or not good:
        found.append(f"all traffic is on {live[0]} with {good} good and {bad} bad tasks")
    if account.traffic.lost.without_target and account.hands.wrote_at is None:
        lost = account.traffic.lost.without_target
        found.append(f"{lost:.0f} requests met a slot without a healthy task")
    return found


def _as_it_should(account: Account, record: Record | None) -> bool:
    """Whether a person wrote what Greenlane would have written in the end."""
    if record is None:
        return False
    forward = record.phase in (Phase.PROMOTED, Phase.WATCHING, Phase.RETIRED)
    return account.weights()[record.candidate if forward else record.live] == 100


def _drift_is_told(account: Account, drift: str) -> list[str]:
    """A person wrote last: Greenlane leaves it so, and says so."""
    if any("the live weights are" in message for message in account.topic.messages):
        return []
    return [f"{drift} stand, and nobody was told"]


def _left_behind(account: Account) -> list[str]:
    """Scaling is as it was, the idle slot is empty, the live one is whole."""
    found = []
    for name, target in account.scaling.targets.items():
        suspended: Any = target["SuspendedState"]
        if any(suspended.values()):
            found.append(f"the scaling of {name.rsplit('/', 1)[1]} is still suspended")
    weights = account.weights()
    for slot in SLOTS:
        if slot in account.hands.resized:
            continue  # a person's wish
        desired = account.fleet.services[f"{SERVICE}-{slot}"]["desiredCount"]
        if not weights[slot] and desired:
            found.append(f"the idle slot {slot} still has {desired} tasks")
        # A next deployment is as large as what it found: a slot that a person has shrunk, or one
        # warm task that a person gave all of the traffic.
        by_hand = account.hands.wrote_at is not None or account.hands.resized
        if weights[slot] and desired < 2 and not by_hand:
            found.append(f"the live slot {slot} has only {desired} tasks")
    return found
