"""What a packet meets between two hosts, and the queue sizes that follow from it."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from enos.units import Duration, Percent, Rate

MTU = 1500  # bytes; larger frames only make the queues below more generous
LINE_RATE = Rate(bits=10e9)  # assumed where no rate is asked for
NO_DELAY, NO_LOSS = Duration(ms=0), Percent(value=0)
QUEUE = 1000  # packets that may wait for their turn, as on a usual interface
ROOM = 1.5  # packets in flight need that much more room, since not all are full-sized
BURST_SECONDS = 0.001  # how late a timer may be before a rate is missed
SMALLEST_BURST = 2 * (MTU + 18)
LARGEST_QUANTUM = 60_000  # tc-htb(8): "quantum of class is big" from 200 000 on


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaping:
    """Delay, loss and rate in one direction.

    Attributes:
        delay: one way.
        jitter: half-width of a uniform spread around the delay.
        loss: share of the packets that vanish.
        rate: of the whole traffic to one host, in bits on the wire (Ethernet
            header included); None for no limit.

    """

    delay: Duration = NO_DELAY
    jitter: Duration = NO_DELAY
    loss: Percent = NO_LOSS
    rate: Rate | None = None

    @property
    def idle(self) -> bool:
        """Tell whether nothing happens to a packet."""
        return self == Shaping()

    @property
    def disturbs(self) -> bool:
        """Tell whether packets are delayed or lost, apart from any rate."""
        return bool(self.delay.ms or self.jitter.ms or self.loss.value)

    @property
    def limit(self) -> int:
        """Return the packets netem must hold so that only `loss` loses any.

        Those in flight, rate * (delay + jitter), and those that wait for the rate.
        """
        rate = self.rate or LINE_RATE
        seconds = (self.delay.ms + self.jitter.ms) / 1000
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

    def __str__(self) -> str:
        """Return it in a person's words: ``25ms ±1ms, loss 1%, 10gbit``."""
        words = []
        if self.delay.ms or self.jitter.ms:
            spread = f" ±{self.jitter}" if self.jitter.ms else ""
            words.append(f"{self.delay}{spread}")
        if self.loss.value:
            words.append(f"loss {self.loss}")
        if self.rate:
            words.append(str(self.rate))
        return ", ".join(words) or "nothing"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values: milliseconds, percent, bits per second."""
        plain = asdict(self)
        return {
            "delay_ms": plain["delay"]["ms"],
            "jitter_ms": plain["jitter"]["ms"],
            "loss_percent": plain["loss"]["value"],
            "rate_bits": self.rate.bits if self.rate else None,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Return the shaping that `to_json` wrote."""
        bits = plain["rate_bits"]
        return cls(
            delay=Duration(ms=plain["delay_ms"]),
            jitter=Duration(ms=plain["jitter_ms"]),
            loss=Percent(value=plain["loss_percent"]),
            rate=None if bits is None else Rate(bits=bits),
        )
