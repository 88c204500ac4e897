"""The plan of a run's events: values only, made by `enos.events.planner`."""

from collections.abc import Mapping
from dataclasses import dataclass

from enos.config.events import Event
from enos.events.scripts import HostTask
from enos.events.situation import Argv
from enos.netem import HostCommands


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event, and what it makes every machine do.

    Attributes:
        number: from 1, in the order in which they are due.
        here: commands run where enos runs: they switch machines.
        tasks: host name → what it does, all at once; machines that cannot be reached
            then are left out and make up for it when they are back.
        undo: the same, to take this event alone back.
        back: machines that are switched on again, to be waited for before `tasks`.
        away: machines that cannot be reached afterwards.

    """

    number: int
    event: Event
    here: tuple[Argv, ...] = ()
    tasks: Mapping[str, HostTask]
    undo: Mapping[str, HostTask]
    undo_here: tuple[Argv, ...] = ()
    back: tuple[str, ...] = ()
    away: frozenset[str] = frozenset()
    switched: tuple[str, ...] = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return the machines that the event changes, in testbed order."""
        return tuple(dict.fromkeys((*self.switched, *self.tasks)))

    @property
    def mends(self) -> bool:
        """Tell whether the event undoes something."""
        return self.event.mends

    @property
    def text(self) -> str:
        """Return all commands, and what undoes them, for people to read."""
        lines = [f"## {clock(self.event.at)} {self.event.text}"]
        lines += [" ".join(argv) for argv in self.here]
        for host, task in self.tasks.items():
            lines += [f"# {host}", task.shown.rstrip("\n")]
        if self.undo or self.undo_here:
            lines.append("# undone by")
            lines += [" ".join(argv) for argv in self.undo_here]
            for host, task in self.undo.items():
                lines += [f"# {host}", task.shown.rstrip("\n")]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsPlan:
    """Everything that is to happen during a run.

    Attributes:
        origin: name of the scenario that starts the clock, empty for the first.
        before: host name → its emulation before the run, which healing restores, for
            the hosts whose emulation an event may change.
        switched: machines that an event stops or pauses → commands that bring them
            back whatever became of them.

    """

    steps: tuple[Step, ...]
    origin: str = ""
    before: Mapping[str, HostCommands | None]
    switched: Mapping[str, tuple[Argv, ...]]

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return all the machines the events change."""
        return tuple(dict.fromkeys(host for step in self.steps for host in step.hosts))

    @property
    def lines(self) -> tuple[str, ...]:
        """Return a line for each event: when, what, where."""
        return tuple(
            f"{clock(step.event.at):>8}  {step.event.text:<40} {', '.join(step.hosts)}"
            for step in self.steps
        )


def starts(origin: str, scenario: str) -> bool:
    """Tell whether a scenario is the one that starts the clock.

    One that is run with several arguments has them behind its name, one that is run
    again a number. Without an origin every scenario is.

    >>> starts("boot", "boot [times=2] #2"), starts("boot", "boot and delete")
    (True, False)
    """
    told_apart = (f"{origin} [", f"{origin} #")
    return not origin or scenario == origin or scenario.startswith(told_apart)


def clock(seconds: float) -> str:
    """Return a moment as a person reads it.

    >>> clock(60), clock(0.5)
    ('60s', '0.5s')
    """
    return f"{seconds:g}s"
