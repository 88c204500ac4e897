"""Delays, rates and losses as tc(8) writes them: parse, compare, print.

All parsers raise ValueError with a sentence that names the accepted units.
"""

import math
import re
from dataclasses import dataclass
from typing import ClassVar, Self

_NUMBER = re.compile(
    r"\s*(?P<number>[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(?P<unit>[a-z%]*)\s*",
    re.IGNORECASE,
)


def _split(text: str | float, kind: str, units: dict[str, float]) -> float:
    match = _NUMBER.fullmatch(str(text))
    known = ", ".join(f"`{unit}`" for unit in units if unit)
    if match is None:
        msg = f"`{text}` is not a {kind}: write a number and one of {known}"
        raise ValueError(msg)
    number, unit = float(match["number"]), match["unit"].lower()
    if number < 0:
        msg = f"`{text}` is negative: a {kind} is 0 or more"
        raise ValueError(msg)
    if unit not in units:
        if number == 0 and not unit:
            return 0.0
        what = (
            f"`{match['unit']}` is not a unit of"
            if unit
            else "the unit is missing from the"
        )
        msg = f"`{text}`: {what} {kind}: write one of {known}"
        raise ValueError(msg)
    value = number * units[unit]
    if not math.isfinite(value):
        msg = f"`{text}` is too large to be a {kind}"
        raise ValueError(msg)
    return value


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time, in milliseconds.

    >>> Duration.parse("0.1s")
    Duration(ms=100.0)
    >>> str(Duration.parse("250us"))
    '0.25ms'
    """

    UNITS: ClassVar[dict[str, float]] = {
        "us": 0.001, "usec": 0.001, "usecs": 0.001,
        "ms": 1.0, "msec": 1.0, "msecs": 1.0,
        "s": 1000.0, "sec": 1000.0, "secs": 1000.0,
    }  # fmt: skip
    ms: float

    @classmethod
    def parse(cls, text: str | float) -> Self:
        """Return the duration a text like ``10ms`` or ``0`` stands for."""
        return cls(_split(text, "delay", cls.UNITS))

    def __str__(self) -> str:
        """Return it in tc's notation."""
        return f"{self.ms:.10g}ms"


@dataclass(frozen=True, slots=True, order=True)
class Rate:
    """A data rate, in bits per second.

    `bps` means bytes per second, as in tc(8).

    >>> str(Rate.parse("10Gbit"))
    '10gbit'
    """

    UNITS: ClassVar[dict[str, float]] = {
        "bit": 1, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9, "tbit": 1e12,
        "bps": 8, "kbps": 8e3, "mbps": 8e6, "gbps": 8e9, "tbps": 8e12,
    }  # fmt: skip
    bits: float

    @classmethod
    def parse(cls, text: str | float) -> Self:
        """Return the rate a text like ``10Gbit`` stands for."""
        return cls(_split(text, "rate", cls.UNITS))

    def __str__(self) -> str:
        """Return it in tc's notation, with the largest unit that divides it."""
        for unit, size in (("gbit", 1e9), ("mbit", 1e6), ("kbit", 1e3)):
            if self.bits and self.bits % size == 0:
                return f"{self.bits / size:.15g}{unit}"
        return f"{self.bits:.15g}bit"


@dataclass(frozen=True, slots=True, order=True)
class Percent:
    """A share of packets, 0 to 100.

    >>> Percent.parse("0.1%"), Percent.parse(0)
    (Percent(value=0.1), Percent(value=0.0))
    """

    UNITS: ClassVar[dict[str, float]] = {"%": 1.0, "": 1.0}
    value: float

    @classmethod
    def parse(cls, text: str | float) -> Self:
        """Return the percentage a text like ``0.1%`` or ``0.1`` stands for."""
        value = _split(text, "percentage", cls.UNITS)
        if value > 100:  # noqa: PLR2004
            msg = f"`{text}` is over 100%"
            raise ValueError(msg)
        return cls(value)

    def __str__(self) -> str:
        """Return it in tc's notation."""
        return f"{self.value:.10g}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class GilbertElliott:
    """Losses in bursts: the model of two states, as `loss gemodel` of tc-netem(8).

    Attributes:
        p: chance, for each packet, of going from the good state to the bad one.
        r: chance of going back; None for `1 - p`, which makes losses independent.
        bad: share lost in the bad state, `1-h` in tc's terms.
        good: share lost in the good state, `1-k` in tc's terms.

    >>> model = GilbertElliott(p=Percent(1), r=Percent(9))
    >>> str(model), model.value, model.memory
    ('gemodel 1% 9% 100% 0%', 10.0, 0.9)
    """

    p: Percent
    r: Percent | None = None
    bad: Percent = Percent(100)
    good: Percent = Percent(0)

    @classmethod
    def correlated(cls, share: Percent, correlation: Percent) -> Self:
        """Return the model that loses a share of packets with this correlation.

        The correlation is that between the losses of one packet and the next.
        """
        moves = 1 - correlation.value / 100
        return cls(
            p=Percent(share.value * moves), r=Percent((100 - share.value) * moves)
        )

    @property
    def back(self) -> Percent:
        """Return `r`, filled in."""
        return Percent(100 - self.p.value) if self.r is None else self.r

    @property
    def value(self) -> float:
        """Return the share of packets lost in the long run, in percent."""
        moves = self.p.value + self.back.value
        bad = self.p.value / moves if moves else 0.0
        return bad * self.bad.value + (1 - bad) * self.good.value

    @property
    def memory(self) -> float:
        """Return by how much a state outlives one packet: 0 not at all, 1 for ever."""
        return 1 - (self.p.value + self.back.value) / 100

    def __str__(self) -> str:
        """Return it in tc's notation."""
        return f"gemodel {self.p} {self.back} {self.bad} {self.good}"
