"""A whole service that does not answer for a while."""

from typing import Any

from tests.faults.account import Account
from tests.faults.faults import Kind, Site


class Outage:
    """From the first alarm on, or from `begin`, nothing of a service answers.

    Args:
        service: boto3's name of it.
        seconds: how long.
        callers: the functions that it does not answer to; all of them when empty.
    """

    def __init__(self, service: str, seconds: float, *, callers: tuple[str, ...] = ()) -> None:
        self.service, self.seconds, self.callers = service, seconds, callers
        self.account: Account | None = None
        self.began: float | None = None
        self.back: float | None = None

    def choose(self, site: Site) -> Kind | None:
        """The fault of a call."""
        assert self.account is not None
        if self.began is None or site.service != self.service:
            return None
        if self.callers and site.caller not in self.callers:
            return None
        return "timeout" if self.account.kernel.seconds < self.began + self.seconds else None

    def join(self, account: Account) -> None:
        """Strike beside the account's own faults; it begins when somebody calls `begin`."""
        self.account = account
        account.faults.besides = self.choose
        account.looks.append(self._look)

    def begin(self) -> None:
        """From now on, if it has not begun yet."""
        assert self.account is not None
        self.began = self.began or self.account.kernel.seconds

    def watch(self, account: Account) -> None:
        """Begin with the first alarm; note when the traffic was back."""
        self.join(account)
        rang = account.watch.rang

        def ring(alarm: dict[str, Any]) -> None:
            self.begin()
            rang(alarm)

        account.watch.rang = ring

    def _look(self, caller: str, operation: str, sent: float) -> None:
        del caller, sent
        assert self.account is not None
        waits = self.began is not None and self.back is None
        if operation == "modify_rule" and waits and not self.account.weights()["green"]:
            self.back = self.account.kernel.seconds
