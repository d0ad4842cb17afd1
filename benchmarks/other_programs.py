"""How much of the processors went to programs that are not measured.

A stall of some milliseconds is the machine's as often as the migration's where other programs
run. So a measurement can be told from one that was disturbed without a look at what it found.
"""

import os
from pathlib import Path

PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


class OtherPrograms:
    """Counts from its making on.

    Args:
        server: the first process of a server, whose work counts as ours.
        proc: where the kernel tells it.
    """

    def __init__(self, server: int, proc: Path = PROC) -> None:
        """See the class."""
        self._server, self._proc = server, proc
        self._uptime, self._busy = self._now()

    def share(self) -> float:
        """Processors that others kept busy since then: 0.5 is half of one, all the time.

        What a hypervisor took is theirs too.
        """
        uptime, busy = self._now()
        passed = uptime - self._uptime
        return max(0.0, busy - self._busy) / passed if passed > 0 else 0.0

    def _now(self) -> tuple[float, float]:
        """Seconds since the machine's start, and busy seconds of others since then."""
        uptime = float((self._proc / "uptime").read_text().split()[0])
        # proc(5): user, nice, system, idle, iowait, irq, softirq, steal; guests are in user.
        ticks = [int(one) for one in (self._proc / "stat").read_text().split()[1:9]]
        every = (sum(ticks) - ticks[3] - ticks[4]) / _TICKS
        return uptime, every - self._ours()

    def _ours(self) -> float:
        """Of this process, its ended children, the server and the server's processes."""
        own = os.times()
        total = own.user + own.system + own.children_user + own.children_system
        for folder in self._proc.glob("[0-9]*"):
            try:
                text = (folder / "stat").read_text()
            except OSError:
                continue  # It has ended meanwhile: its parent has its time then.
            # The name may have spaces and brackets in it.
            fields = text.rpartition(")")[2].split()
            parent, times = int(fields[1]), [int(one) for one in fields[11:15]]
            if int(folder.name) == self._server:
                total += sum(times) / _TICKS
            elif parent == self._server:
                total += (times[0] + times[1]) / _TICKS
        return total
