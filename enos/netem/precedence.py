"""How a program that keeps time gets the processor before others.

Runs on the hosts, put into the files that need it by `enos.netem.standalone`: the
standard library of Python 3.8, nothing else.
"""

import contextlib
import ctypes
import gc
import os
import platform
import struct

PR_SET_TIMERSLACK = 29  # prctl(2)
SCHED_DEADLINE, RECLAIM = 6, 2  # sched_setattr(2)
SET_ATTRIBUTES = {"x86_64": 314, "aarch64": 274, "ppc64le": 355, "s390x": 345}
PERIOD_NS = 4_000_000
SHARES = (0.5, 0.25, 0.1)  # of a processor, what the kernel still has to promise


def hurry() -> str:
    """Ask for precise timers and precedence; return the scheduling that was granted.

    Containers may hold CAP_SYS_NICE and yet no share of the real-time time of their
    control group: those get a deadline, which control groups do not govern.
    """
    gc.disable()  # nothing here makes cycles, and a collection is a pause
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        return "fifo"
    if any(_deadline(share) for share in SHARES):
        return "deadline"
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        return "nice"
    return "none"


def _deadline(share: float) -> bool:
    number = SET_ATTRIBUTES.get(platform.machine())
    times = (int(share * PERIOD_NS), PERIOD_NS, PERIOD_NS)
    asked = struct.pack("=IIQiIQQQ", 48, SCHED_DEADLINE, RECLAIM, 0, 0, *times)
    return number is not None and not ctypes.CDLL(None).syscall(number, 0, asked, 0)
