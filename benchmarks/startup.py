"""How long `enos --help` takes against a bare interpreter: benchmarks/startup.py.

Wall seconds of whole processes, the median of RUNS after one warm-up.
"""

import statistics
import subprocess
import sys
import time

RUNS = 15


def median(argv: list[str]) -> float:
    """Return the median of the seconds a program takes."""
    seconds = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    bare = median([sys.executable, "-c", "pass"])
    told = median([sys.executable, "-m", "enos", "--help"])
    print(f"bare python {bare * 1000:.0f} ms, enos --help {told * 1000:.0f} ms")
