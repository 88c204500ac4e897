"""Several runs of Ansible at once, each as soon as those it needs are done."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from enos.ansible.events import Event
from enos.ansible.runner import Run, run
from enos.process import Shell
from enos.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A run and the names of the lanes it must wait for."""

    name: str
    run: Run
    after: tuple[str, ...] = ()


class Stopped(Exception):  # noqa: N818  # not an error: another lane's failure ended it
    """A lane was ended because another one failed or the user gave up."""


def run_lanes(
    lanes: Sequence[Lane], *, shell: Shell, progress: Progress
) -> Mapping[str, tuple[Event, ...]]:
    """Run all lanes and return their events by name.

    The first failure ends the other lanes at their next event and is raised.
    """
    over = threading.Event()

    def stop() -> None:
        if over.is_set():
            raise Stopped

    def work(lane: Lane) -> tuple[Event, ...]:
        with progress.step(lane.run.title) as step:
            return run(lane.run, shell=shell, step=step, stop=stop)

    with ThreadPoolExecutor(max(1, len(lanes))) as pool:
        try:
            return _in_order(lanes, lambda lane: pool.submit(work, lane))
        finally:
            over.set()


def _in_order(
    lanes: Sequence[Lane], start: Callable[[Lane], "Future[tuple[Event, ...]]"]
) -> Mapping[str, tuple[Event, ...]]:
    waiting = list(lanes)
    running: dict[Future[tuple[Event, ...]], Lane] = {}
    done: dict[str, tuple[Event, ...]] = {}
    while waiting or running:
        for lane in ready(waiting, done):
            waiting.remove(lane)
            running[start(lane)] = lane
        if not running:
            names = ", ".join(lane.name for lane in waiting)
            raise ValueError(f"lanes wait for each other: {names}")
        ended, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in ended:
            done[running.pop(future).name] = future.result()
    return done


def ready(waiting: Sequence[Lane], done: Mapping[str, object]) -> tuple[Lane, ...]:
    """Return the lanes all of whose needs are done, in order."""
    return tuple(lane for lane in waiting if all(name in done for name in lane.after))
