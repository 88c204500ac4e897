"""Waiting for a cloud to become what was asked of it."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PAUSE = 0.5


def until(
    look: Callable[[], T], seconds: float, *, done: Callable[[T], object] = bool
) -> T:
    """Look twice a second until it is done or time is up; return what was seen last.

    Args:
        look: is called at least once.
        seconds: after which nobody looks again.
        done: tells whether what was seen is what is waited for, by default anything.

    """
    deadline = time.monotonic() + seconds
    while not done(seen := look()) and time.monotonic() < deadline:
        time.sleep(PAUSE)
    return seen
