"""What a packet meets between two hosts, and the queue sizes that follow from it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from enos.units import Duration, GilbertElliott, Percent, Rate

MTU = 1500  # bytes; larger frames only make the queues below more generous
LINE_RATE = Rate(bits=10e9)  # assumed where no rate is asked for
NO_DELAY, NO_LOSS = Duration(ms=0), Percent(value=0)
QUEUE = 1000  # packets that may wait for their turn, as on a usual interface
UNIFORM = "uniform"
TAIL = 4  # times the jitter, where netem's tables end
ROOM = 1.5  # packets in flight need that much more room, since not all are full-sized
BURST_SECONDS = 0.001  # how late a timer may be before a rate is missed
SMALLEST_BURST = 2 * (MTU + 18)
LARGEST_QUANTUM = 60_000  # tc-htb(8): "quantum of class is big" from 200 000 on


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaping:
    """What happens in one direction. Correlations are between one packet and the next.

    Attributes:
        delay: one way.
        jitter: how far delays spread around it.
        distribution: `uniform`, with `jitter` as half-width, or a table of netem's
            (`normal`, `pareto`, `paretonormal`), which `jitter` scales.
        loss: share of the packets that vanish, or how they do in bursts.
        duplicate: share that arrives twice.
        reorder: share that is not delayed and so overtakes.
        corrupt: share with one bit turned.
        rate: of the whole traffic to one host, in bits on the wire (Ethernet
            header included); None for no limit.
        room: packets that may wait, None for as many as the link holds.

    """

    delay: Duration = NO_DELAY
    jitter: Duration = NO_DELAY
    distribution: str = UNIFORM
    delay_correlation: Percent = NO_LOSS
    loss: Percent | GilbertElliott = NO_LOSS
    loss_correlation: Percent = NO_LOSS
    duplicate: Percent = NO_LOSS
    reorder: Percent = NO_LOSS
    reorder_correlation: Percent = NO_LOSS
    corrupt: Percent = NO_LOSS
    rate: Rate | None = None
    room: int | None = None

    @property
    def idle(self) -> bool:
        """Tell whether nothing happens to a packet."""
        return not (self.disturbs or self.rate)

    @property
    def disturbs(self) -> bool:
        """Tell whether anything but a rate is asked."""
        shares = (self.loss, self.duplicate, self.reorder, self.corrupt)
        held = self.delay.ms or self.jitter.ms
        return bool(held or any(share.value for share in shares))

    @property
    def losses(self) -> Percent | GilbertElliott:
        """Return the loss with its correlation worked in.

        netem's own correlation of losses changes how many there are ("deprecated due
        to the noticed bad behavior", tc-netem(8)); a model of two states does not.
        """
        if isinstance(self.loss, GilbertElliott) or not self.loss_correlation.value:
            return self.loss
        return GilbertElliott.correlated(self.loss, self.loss_correlation)

    @property
    def limit(self) -> int:
        """Return the packets netem must hold so that only `loss` loses any.

        Those in flight, rate * (delay + jitter), and those that wait for the rate;
        unless the experiment itself says how many.
        """
        if self.room is not None:
            return self.room
        rate = self.rate or LINE_RATE
        longest = 1 if self.distribution == UNIFORM else TAIL
        seconds = (self.delay.ms + longest * self.jitter.ms) / 1000
        return QUEUE + math.ceil(ROOM * rate.bits / 8 * seconds / MTU)

    @property
    def burst(self) -> int:
        """Return the bytes htb may send at once.

        What the rate brings in a millisecond, so that a late timer costs no rate, and
        two full packets at least.
        """
        return max(SMALLEST_BURST, math.ceil(self._htb_bytes * BURST_SECONDS))

    @property
    def quantum(self) -> int:
        """Return the bytes a class sends before another may: a packet at least."""
        wanted = self._htb_bytes * BURST_SECONDS
        return int(min(LARGEST_QUANTUM, max(MTU + 18, wanted)))

    @property
    def _htb_bytes(self) -> float:
        return (self.rate or LINE_RATE).bits / 8

    @property
    def waiting(self) -> int:
        """Return the packets that may wait for the rate alone."""
        return QUEUE if self.room is None else self.room

    def __str__(self) -> str:
        """Return it in a person's words: ``25ms ±1ms, loss 1%, 10gbit``."""
        words = [self._delay_words()] if self.delay.ms or self.jitter.ms else []
        if self.loss.value:
            words.append(f"loss {self.loss}{_correlated(self.loss_correlation)}")
        shares = {"duplicate": self.duplicate, "corrupt": self.corrupt}
        words += [f"{name} {share}" for name, share in shares.items() if share.value]
        if self.reorder.value:
            words.append(
                f"reorder {self.reorder}{_correlated(self.reorder_correlation)}"
            )
        if self.rate:
            words.append(str(self.rate))
        if self.room is not None:
            words.append(f"limit {self.room}")
        return ", ".join(words) or "nothing"

    def _delay_words(self) -> str:
        if not self.jitter.ms:
            return str(self.delay)
        kind = "" if self.distribution == UNIFORM else f" {self.distribution}"
        spread = f"±{self.jitter}{kind}{_correlated(self.delay_correlation)}"
        return f"{self.delay} {spread}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values: milliseconds, percent, bits per second."""
        return {
            **{f"{name}_ms": getattr(self, name).ms for name in _TIMES},
            **{f"{name}_percent": getattr(self, name).value for name in _SHARES},
            "distribution": self.distribution,
            "loss_model": _model_to_json(self.loss),
            "rate_bits": self.rate.bits if self.rate else None,
            "limit": self.room,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Return the shaping that `to_json` wrote, be it before a field was added."""
        bits, model = plain["rate_bits"], plain.get("loss_model")
        asked: dict[str, Any] = {
            **{name: Duration(ms=plain[f"{name}_ms"]) for name in _TIMES},
            **{name: Percent(plain.get(f"{name}_percent", 0.0)) for name in _SHARES},
            "distribution": plain.get("distribution", UNIFORM),
            "rate": None if bits is None else Rate(bits=bits),
            "room": plain.get("limit"),
        }
        return cls(**asked | ({"loss": _model_from_json(model)} if model else {}))


_TIMES = ("delay", "jitter")
_SHARES = (
    *("loss", "delay_correlation", "loss_correlation", "duplicate"),
    *("reorder", "reorder_correlation", "corrupt"),
)


def _correlated(correlation: Percent) -> str:
    return f" correlated {correlation}" if correlation.value else ""


def _model_to_json(loss: Percent | GilbertElliott) -> dict[str, float] | None:
    if not isinstance(loss, GilbertElliott):
        return None
    shares = {"p": loss.p, "r": loss.back, "1-h": loss.bad, "1-k": loss.good}
    return {name: share.value for name, share in shares.items()}


def _model_from_json(plain: Mapping[str, float]) -> GilbertElliott:
    p, r, bad, good = (Percent(plain[name]) for name in ("p", "r", "1-h", "1-k"))
    return GilbertElliott(p=p, r=r, bad=bad, good=good)
