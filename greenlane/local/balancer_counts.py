"""What the balancer counts: the metrics of a virtual minute, and a journal for the demo."""

from collections import Counter
from collections.abc import Callable
from typing import Any


class Minute:
    """The counts of one virtual minute, in the shape that goes to the main process.

    `groups` and `balancers` are keyed by target group ARN and load balancer ARN; in each, metric
    names are AWS's. `times` are target response times in real seconds with their counts.
    """

    def __init__(self, start: int) -> None:
        """`start` is the virtual Unix second at which the minute begins."""
        self.start = start
        self.groups: dict[tuple[str, str], _Counts] = {}
        self.balancers: dict[str, _Counts] = {}
        self.hosts: dict[tuple[str, str], list[tuple[int, int]]] = {}

    def group(self, balancer: str, group: str) -> "_Counts":
        """The counts of a target group behind a load balancer."""
        return self.groups.setdefault((balancer, group), _Counts())

    def balancer(self, balancer: str) -> "_Counts":
        """The counts of a whole load balancer."""
        return self.balancers.setdefault(balancer, _Counts())

    def message(self) -> dict[str, Any]:
        """The minute as JSON."""
        return {
            "type": "minute",
            "start": self.start,
            "groups": [[*key, counts.as_json()] for key, counts in self.groups.items()],
            "balancers": [[key, counts.as_json()] for key, counts in self.balancers.items()],
            "hosts": [[*key, samples] for key, samples in self.hosts.items()],
        }


class _Counts:
    def __init__(self) -> None:
        self.metrics: Counter[str] = Counter()
        self.times: Counter[float] = Counter()

    def as_json(self) -> dict[str, Any]:
        return {"metrics": dict(self.metrics), "times": list(self.times.items())}


class Counts:
    """Counts requests into virtual minutes and hands each minute over when it is closed.

    A request is counted when it ends, with its answer, as one event: so a minute's requests less
    its answers are exactly those that no target answered.
    """

    def __init__(
        self, virtual_now: Callable[[], float], closed: Callable[[dict[str, Any]], None]
    ) -> None:
        """`closed` receives each minute's message, gaps without traffic included."""
        self._now = virtual_now
        self._closed = closed
        self._minute = Minute(int(virtual_now()) // 60 * 60)
        self.journal: Counter[tuple[int, str, str, int]] = Counter()
        self.last_sent: dict[str, float] = {}

    def current(self) -> Minute:
        """The minute that is open now; closes those that are over."""
        start = int(self._now()) // 60 * 60
        while self._minute.start < start:
            self._closed(self._minute.message())
            self._minute = Minute(self._minute.start + 60)
        return self._minute

    def answered(self, balancer: str, group: str, status: int, seconds: float) -> None:
        """A target answered with `status`, its head after `seconds` real seconds."""
        minute = self.current()
        name = f"HTTPCode_Target_{status // 100}XX_Count"
        for counts in (minute.group(balancer, group), minute.balancer(balancer)):
            counts.metrics["RequestCount"] += 1
            counts.metrics[name] += 1
            counts.times[round(seconds, 4)] += 1

    def unanswered(self, balancer: str, group: str, status: int, refused: bool) -> None:
        """No target answered; the balancer did, with `status` (502, 504; 460: the client left).

        `refused` says that the connection to the target could not be made.
        """
        minute = self.current()
        for counts in (minute.group(balancer, group), minute.balancer(balancer)):
            counts.metrics["RequestCount"] += 1
            if refused:
                counts.metrics["TargetConnectionErrorCount"] += 1
        self._by_balancer(minute, balancer, status)

    def refused_here(self, balancer: str, status: int, kind: str) -> None:
        """The balancer answered without choosing a target: `kind` names the action or `error`."""
        minute = self.current()
        if kind == "fixed-response":
            minute.balancer(balancer).metrics["HTTP_Fixed_Response_Count"] += 1
        elif kind == "redirect":
            minute.balancer(balancer).metrics["HTTP_Redirect_Count"] += 1
        else:
            self._by_balancer(minute, balancer, status)

    def hosts(self, balancer: str, group: str, healthy: int, unhealthy: int) -> None:
        """Note how many of a group's registered targets are healthy and how many are not."""
        self.current().hosts.setdefault((balancer, group), []).append((healthy, unhealthy))

    @staticmethod
    def _by_balancer(minute: Minute, balancer: str, status: int) -> None:
        metrics = minute.balancer(balancer).metrics
        metrics[f"HTTPCode_ELB_{status // 100}XX_Count"] += 1
        if status in (500, 502, 503, 504):
            metrics[f"HTTPCode_ELB_{status}_Count"] += 1
