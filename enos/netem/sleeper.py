"""Waiting for packets and for times, to some ten microseconds.

Runs on the hosts, put into the files that need it by `enos.netem.standalone`: the
standard library of Python 3.8, nothing else.
"""

import select
import socket
import time

GRANULARITY = 20e-6  # seconds; packets due within it leave together
LATEST = 500e-6  # seconds; a longer oversleep was somebody else's doing
MEMORY = 8  # wake-ups over which lateness is averaged


class Sleeper:
    """Waits for packets or for a time, and learns how late it wakes.

    A processor that idles wakes some 50 to 300 microseconds late, both for a packet
    and for a timer; what was learnt from the timers is taken off both.
    """

    def __init__(self, queues: socket.socket) -> None:
        self._queues = queues
        self.late = 0.0

    def sleep(self, due: float) -> float:
        """Sleep until that time or a packet; return when it came, 0 for none."""
        began = time.monotonic()
        wait = None if due == float("inf") else max(0.0, due - began - self.late)
        ready, _, _ = select.select([self._queues], [], [], wait)
        ended = time.monotonic()
        if ready:
            slept = ended - began > GRANULARITY
            return ended - self.late if slept else ended
        if wait:
            over = min(LATEST, ended - began - wait)
            self.late += (over - self.late) / MEMORY
        return 0.0
