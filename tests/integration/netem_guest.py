"""First process of a small machine: asks Debian's kernel for emulated links, reports.

`test_netem_kernel.py` boots it. Everything it prints between the two marks is JSON
lines from `benchmarks/netem_accuracy.py`, run unchanged on the machine's own kernel.
"""

import ctypes
import os
import subprocess
import sys
import traceback
from pathlib import Path

BEGIN, END = "-- begin --", "-- end --"
POWER_OFF = 0x4321FEDC  # reboot(2)
FINIT_MODULE = 313  # x86-64 system call
MOUNTS = (
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/run"),
    ("tmpfs", "/tmp"),
)


def main() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for kind, place in MOUNTS:
        Path(place).mkdir(exist_ok=True)
        if libc.mount(kind.encode(), place.encode(), kind.encode(), 0, None):
            raise OSError(ctypes.get_errno(), f"mount {kind}")
    for name in Path("/modules/order").read_text(encoding="utf-8").split():
        with Path("/modules", name).open("rb") as module:
            if libc.syscall(FINIT_MODULE, module.fileno(), b"", 0):
                raise OSError(ctypes.get_errno(), f"module {name}")
    words = Path("/questions").read_text(encoding="utf-8").split()
    benchmark = "/enos/benchmarks/netem_accuracy.py"
    sys.stdout.write(f"{BEGIN} {os.uname().release}\n")
    sys.stdout.flush()
    subprocess.run([sys.executable, benchmark, "--json", *words], check=False)
    sys.stdout.write(f"{END}\n")


if __name__ == "__main__":
    os.environ.update(PATH="/usr/sbin:/usr/bin:/sbin:/bin", PYTHONPATH="/enos")
    try:
        main()
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 (nobody else is there to tell)
        traceback.print_exc()
    ctypes.CDLL(None).reboot(POWER_OFF)
