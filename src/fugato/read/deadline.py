"""How long a process may work on something: its processor time is counted, so that a busy machine refuses nothing that an idle one answers.

By the clock it may take `BY_THE_CLOCK` times as long, which ends what waits for ever. Processor times are read from Linux's ``/proc``;
where there is none, seconds are those of the clock.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Final

BY_THE_CLOCK: Final = 4.0  # times the processor time, after which it is over whatever was done
OFTEN: Final = 0.05  # seconds between two looks, at least
_TIMES: Final = slice(
    11, 15
)  # of /proc/PID/stat after the name: user and system time, its own and of its children that have ended


def processor_seconds(pid: int) -> float | None:
    """Processor time of a process and of all that it has started.

    Parameters
    ----------
    pid : int

    Returns
    -------
    float or None
        Seconds; None where the system does not tell, or the process is gone.
    """
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2]
        total = sum(map(int, after_name.split()[_TIMES])) / os.sysconf("SC_CLK_TCK")
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text(encoding="ascii").split():
                total += processor_seconds(int(child)) or 0.0
    except (OSError, ValueError):
        return None
    return total


class Allowance:
    """What is left to a process, counted from now.

    Parameters
    ----------
    pid : int
    seconds : float
        Of processor time.
    """

    def __init__(self, pid: int, seconds: float) -> None:
        self.pid, self.seconds = pid, seconds
        self._before = processor_seconds(pid)
        self._until = time.monotonic() + seconds * (1 if self._before is None else BY_THE_CLOCK)

    def left(self) -> float:
        """Seconds until it has to be looked at again, since it cannot be over before; 0 where it is over.

        One processor is assumed, as the processes that read and answer use no more.
        """
        by_the_clock = self._until - time.monotonic()
        used = processor_seconds(self.pid)
        if used is None or self._before is None:
            return max(by_the_clock, 0.0)
        least = min(self.seconds - (used - self._before), by_the_clock)
        return max(least, OFTEN) if least > 0 else 0.0


class Deadline:
    """Kills a process whose allowance is used up, unless it is cancelled before.

    Attributes
    ----------
    late : bool
        Whether it was killed.
    """

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self.late = False
        self._process, self._allowance = process, Allowance(process.pid, seconds)
        self._lock, self._over = threading.Lock(), False
        self._wait(seconds)

    def cancel(self) -> None:
        """The work is done."""
        with self._lock:
            self._over = True
            self._timer.cancel()

    def _wait(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._look)
        self._timer.daemon = True
        self._timer.start()

    def _look(self) -> None:
        left = self._allowance.left()
        with self._lock:
            if self._over:
                return
            if left > 0:
                self._wait(left)
            else:
                self.late = True
                self._process.kill()
