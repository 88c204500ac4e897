"""Locks for what several enos at work on one machine share, such as the cache."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Be the only one in here with a lock file; waits for whoever is (flock(2)).

    The file is made when missing, with its folder, and stays: whoever waits has it
    open. The kernel lets go of it when its process dies.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
