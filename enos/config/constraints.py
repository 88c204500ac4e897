"""Network constraints as plain values: what the file asks for between groups.

A group here is any name the topology knows: a group (`grp1`) or a role (`control`).
Which hosts that means, and which rule wins, is decided where the network is emulated.
"""

import re
from dataclasses import dataclass
from itertools import product

from enos.units import Duration, Percent, Rate

RANGE = re.compile(r"(?P<stem>[^\[\]]*)\[(?P<first>\d+)-(?P<last>\d+)\](?P<rest>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstraintSpec:
    """One direction between two groups, or both when symmetric.

    Attributes:
        src: group or role the packets leave from.
        dst: group or role they arrive at; equal to `src` for the traffic between the
            machines of one group.
        delay: one way, None to inherit the default; likewise the other quantities.
        jitter: spread of the delay, None for none.
        symmetric: the same from `dst` to `src`.
        network: name or role of the only network this holds on, empty for all.

    """

    src: str
    dst: str
    delay: Duration | None = None
    rate: Rate | None = None
    loss: Percent | None = None
    jitter: Duration | None = None
    symmetric: bool = False
    network: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConstraints:
    """All constraints of an experiment.

    Attributes:
        enable: False to remove all rules instead.
        default_delay: one way, between every ordered pair of distinct groups; None
            for no default, likewise `default_rate` and `default_loss`.
        constraints: they win over the defaults; ranges like `grp[1-3]` are expanded.
        exclude: groups the defaults leave alone (`except` in the file).
        groups: the only groups the defaults hold between, empty for all.
        network: name or role of the only network the defaults hold on (and the
            constraints that name none), empty for all.

    """

    enable: bool = True
    default_delay: Duration | None = None
    default_rate: Rate | None = None
    default_loss: Percent | None = None
    constraints: tuple[ConstraintSpec, ...] = ()
    exclude: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    network: str = ""

    @property
    def empty(self) -> bool:
        """Tell whether nothing at all is asked for."""
        defaults = (self.default_delay, self.default_rate, self.default_loss)
        return not self.constraints and all(value is None for value in defaults)


def expand(name: str) -> tuple[str, ...]:
    """Return the names a name with a range stands for.

    Raises ValueError when the range runs backwards or is not closed.

    >>> expand("grp[2-4]"), expand("grp1")
    (('grp2', 'grp3', 'grp4'), ('grp1',))
    >>> expand("rack[08-10]")
    ('rack08', 'rack09', 'rack10')
    """
    match = RANGE.fullmatch(name)
    if match is None:
        if set(name) & set("[]"):
            raise ValueError(f"`{name}` is not a range: write it like `grp[1-3]`")
        return (name,)
    first, last = match["first"], match["last"]
    if int(last) < int(first):
        raise ValueError(f"`{name}` runs backwards: write the smaller number first")
    width = len(first) if first.startswith("0") else 0
    numbers = (str(n).zfill(width) for n in range(int(first), int(last) + 1))
    names = (match["stem"] + number for number in numbers)
    return tuple(stem + rest for stem, rest in product(names, expand(match["rest"])))


def pairs(src: str, dst: str) -> tuple[tuple[str, str], ...]:
    """Return the ordered pairs two names with ranges stand for, each once.

    A pair of a group with itself is left out unless it is the only one.

    >>> pairs("grp[1-2]", "grp[1-2]")
    (('grp1', 'grp2'), ('grp2', 'grp1'))
    """
    several = tuple(product(expand(src), expand(dst)))
    if len(several) == 1:
        return several
    return tuple((one, other) for one, other in several if one != other)
