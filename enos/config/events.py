"""Events as plain values: what is to change while a benchmark runs.

Which machines and containers the names stand for is decided when they are planned.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from enos.config.constraints import ConstraintSpec

Verb: TypeAlias = Literal["stop", "start", "pause", "unpause"]
VERBS: tuple[Verb, ...] = ("stop", "start", "pause", "unpause")
Pairs: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkChange:
    """Links get other quantities; what is not named stays as it is.

    Attributes:
        at: seconds after the clock of the run was started, as in all events.
        specs: one direction each, with nothing but what changes.

    """

    at: float
    text: str
    specs: tuple[ConstraintSpec, ...]

    kind: ClassVar[str] = "link"
    mends: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """No packet passes between two groups any more, in either direction."""

    at: float
    text: str
    pairs: Pairs

    kind: ClassVar[str] = "partition"
    mends: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Heal:
    """Links are again what they were before the run.

    Attributes:
        pairs: the groups between which they are; empty for all links.

    """

    at: float
    text: str
    pairs: Pairs = ()

    kind: ClassVar[str] = "heal"
    mends: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A machine or a service is stopped, started, paused or unpaused.

    Attributes:
        name: of a machine, a group of machines or a service.
        on: machines, groups or roles; only a service has it.

    """

    at: float
    text: str
    verb: Verb
    name: str
    on: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Return the verb."""
        return self.verb

    @property
    def mends(self) -> bool:
        """Tell whether the event undoes another."""
        return self.verb in ("start", "unpause")


Event: TypeAlias = LinkChange | Partition | Heal | Switch


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The events of an experiment, in the order in which they are due.

    Attributes:
        origin: name of the scenario that starts the clock, empty for the first.

    """

    events: tuple[Event, ...] = ()
    origin: str = ""
