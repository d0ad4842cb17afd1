"""The next deployment: refused while one is in flight, admitted as soon as none is."""

from greenlane.deployments.phases import LEASED, Phase
from tests.builders import REGISTRY, SERVICE
from tests.faults.account import Account
from tests.faults.machine import Execution

ADMITTED_WITHIN_SECONDS = 60.0
FINAL = "d-final"
LONGEST_LEASE_SECONDS = 3 * 3600.0
"""`max_duration` is two hours at most here, and a rollback takes minutes."""


def image(letter: str) -> str:
    """The image of a version that is not the first one's nor the second one's."""
    return f"{REGISTRY}/{SERVICE}@sha256:{letter * 64}"


class Following:
    """Starts next deployments, and judges how they were received.

    Args:
        account: the account.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._leased_at = self._leased_since = -1e9
        self._owner = ""
        self.broken: list[str] = []
        account.looks.append(self._look)

    def _look(self, caller: str, operation: str, sent: float) -> None:
        del caller, sent
        if operation not in ("update_item", "put_item"):
            return
        record, now = self._account.record(), self._account.kernel.seconds
        if record is None or record.phase not in LEASED:
            self._owner = ""
            return
        if record.deployment_id != self._owner:
            self._owner, self._leased_since = record.deployment_id, now
        self._leased_at = now
        if now > self._leased_since + LONGEST_LEASE_SECONDS and not self.broken:
            self.broken.append(f"{record.deployment_id} holds the lease for hours: {record.phase}")

    def _leased(self) -> bool:
        record = self._account.record()
        return record is not None and record.phase in LEASED

    def start(self, name: str, letter: str, *, bad: bool) -> None:
        """A person deploys another version, whatever goes on."""
        if bad:
            self._account.fleet.bad.add(image(letter))
        began = self._account.kernel.seconds
        held = self._leased()
        execution = self._account.deploy(name, image=image(letter))
        execution.then.append(lambda: self._ended(execution, name, began, held=held))

    def _ended(self, execution: Execution, name: str, began: float, *, held: bool) -> None:
        if execution.error == "DeploymentInFlight" and not held and self._leased_at < began:
            self.broken.append(f"{name} was refused as another were in flight, and none was")


def next_is_admitted(account: Account) -> list[str]:
    """After a run: whatever became of it, nothing keeps the next deployment from beginning."""
    account.faults.calm()
    record = account.record()
    if record is not None and record.phase in LEASED:
        return []  # said elsewhere, where it is not allowed
    may_refuse = _has_a_reason(account)
    execution = account.deploy(FINAL, image=image("f"))
    account.kernel.run(account.kernel.seconds + ADMITTED_WITHIN_SECONDS, lambda: _begun(account))
    if _begun(account) or (may_refuse and execution.error == "Refused"):
        return []
    return [f"the next deployment did not begin: {execution.error} {execution.cause}"]


def _begun(account: Account) -> bool:
    record = account.record()
    known = record is not None and record.deployment_id == FINAL
    return known and record is not None and record.phase not in (Phase.PLANNING, Phase.REFUSED)


def _has_a_reason(account: Account) -> bool:
    """Traffic that a person has split, or moved to a slot that was let go; or a red live slot."""
    weights = account.weights()
    live = "blue" if weights["blue"] else "green"
    states = account.watch.states
    red = any(
        states[f"{SERVICE}-{live}-{kind}"]["StateValue"] == "ALARM"
        for kind in ("error-rate", "p95")
    )
    split = sorted(weights.values())[0] > 0
    moved = account.hands.wrote_at is not None and not account.fleet.counted(live)
    return split or red or moved
