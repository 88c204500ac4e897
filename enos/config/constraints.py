"""Network constraints as plain values: what the file asks for between groups.

A group here is any name the topology knows: a group (`grp1`) or a role (`control`).
Which hosts that means, and which rule wins, is decided where the network is emulated.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from enos.units import Duration, GilbertElliott, Percent, Rate

QUANTITIES = (
    "delay",
    "jitter",
    "distribution",
    "delay_correlation",
    "loss",
    "loss_correlation",
    "duplicate",
    "reorder",
    "reorder_correlation",
    "corrupt",
    "rate",
    "limit",
)
"""What a constraint asks, in the order in which people read it."""
REFINES = {
    "distribution": "jitter",
    "delay_correlation": "jitter",
    "loss_correlation": "loss",
    "reorder_correlation": "reorder",
}
"""Quantity → the one that it says more about, and is nothing without."""
CERTAIN = 100
RANGE = re.compile(r"(?P<stem>[^\[\]]*)\[(?P<first>\d+)-(?P<last>\d+)\](?P<rest>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstraintSpec:
    """One direction between two groups, or both when symmetric.

    Attributes:
        src: group or role the packets leave from.
        dst: group or role they arrive at; equal to `src` for the traffic between the
            machines of one group.
        delay: one way, None to inherit the default; likewise the other quantities.
        jitter: spread of the delay.
        distribution: of the jitter: `uniform`, `normal`, `pareto`, `paretonormal`.
        delay_correlation: between one packet and the next, likewise of `loss` and
            `reorder`.
        loss: share of the packets lost, or how they are lost in bursts.
        duplicate: share that arrives twice.
        reorder: share that is not delayed.
        corrupt: share with one bit turned.
        limit: packets that may wait, None for as many as the link holds.
        symmetric: the same from `dst` to `src`.
        network: name or role of the only network this holds on, empty for all.

    """

    src: str
    dst: str
    delay: Duration | None = None
    rate: Rate | None = None
    loss: Percent | GilbertElliott | None = None
    jitter: Duration | None = None
    distribution: str | None = None
    delay_correlation: Percent | None = None
    loss_correlation: Percent | None = None
    duplicate: Percent | None = None
    reorder: Percent | None = None
    reorder_correlation: Percent | None = None
    corrupt: Percent | None = None
    limit: int | None = None
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
        exclude: groups or roles the defaults leave alone (`except` in the file).
        groups: the groups the defaults hold between, roles among them; empty for all
            groups.
        network: name or role of the only network the defaults hold on (and the
            constraints that name none), empty for all.
        overrides: laid over all of the above, one after the other: what they leave
            out stays as it was.

    """

    enable: bool = True
    default_delay: Duration | None = None
    default_rate: Rate | None = None
    default_loss: Percent | None = None
    constraints: tuple[ConstraintSpec, ...] = ()
    exclude: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    network: str = ""
    overrides: tuple[ConstraintSpec, ...] = ()

    @property
    def empty(self) -> bool:
        """Tell whether nothing at all is asked for."""
        defaults = (self.default_delay, self.default_rate, self.default_loss)
        named = self.constraints or self.overrides
        return not named and all(value is None for value in defaults)


def contradiction(asked: Mapping[str, Any]) -> tuple[str, str]:
    """Return a quantity that cannot be had together with the others, and why.

    Args:
        asked: quantities by name, None or missing for those that are not asked.

    >>> contradiction({"delay": Duration(ms=1), "jitter": Duration(ms=2)})
    ('jitter', '2ms is more than the delay of 1ms')
    >>> contradiction({"distribution": "normal"})
    ('distribution', 'it needs `jitter`')
    >>> contradiction({"delay": Duration(ms=1)})
    ('', '')

    """
    delay, jitter = (asked.get(key) or Duration(ms=0) for key in ("delay", "jitter"))
    if jitter > delay:
        return "jitter", f"{jitter} is more than the delay of {delay}"
    if _positive(asked.get("reorder")) and not delay.ms:
        return "reorder", "it needs `delay`: what is not delayed cannot be overtaken"
    for name, needed in REFINES.items():
        if asked.get(name) is None:
            continue
        if not _positive(asked.get(needed)):
            return name, f"it needs `{needed}`"
        correlation = asked[name] if name.endswith("correlation") else None
        if correlation and correlation.value >= CERTAIN:
            return name, "at 100% what happens to the first packet happens to all"
    if asked.get("loss_correlation") and isinstance(asked["loss"], GilbertElliott):
        return "loss_correlation", "a loss model says itself how losses follow"
    return "", ""


def _positive(value: Duration | Percent | GilbertElliott | None) -> bool:
    if isinstance(value, Duration):
        return value.ms > 0
    return value is not None and value.value > 0


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
