"""What befalls packets: draws of losses, delays and the rest, correlated or not.

Runs on the hosts, put into the files that need it by `enos.netem.standalone`: the
standard library of Python 3.8, nothing else. Shares and correlations are 0 to 1.
"""

import math
import random
from statistics import NormalDist

STEPS = 4096  # entries of a table, as many as netem's have
CLIPPED = 4.0  # netem's tables end there


class Chance:
    """Happens to a share of the packets.

    A correlated one repeats its last answer with that probability, which leaves the
    share as it is.
    """

    def __init__(self, share: float, correlation: float = 0.0) -> None:
        self.share = share
        self.correlation = correlation
        self._last = random.random() < share  # noqa: S311 (no secret)

    def happens(self) -> bool:
        """Tell whether it happens to the next packet."""
        if not self.correlation or random.random() >= self.correlation:  # noqa: S311
            self._last = random.random() < self.share  # noqa: S311
        return self._last


class GilbertElliott:
    """Loses packets in bursts, by two states, in the terms of tc-netem(8).

    Args:
        p: chance of going from the good state to the bad one.
        r: chance of going back.
        bad: share lost in the bad state.
        good: share lost in the good state.

    """

    def __init__(self, p: float, r: float, bad: float, good: float) -> None:
        self.moves = (p, r)
        self.losses = (good, bad)
        self._state = 0

    def happens(self) -> bool:
        """Tell whether the next packet is lost; the state then moves on."""
        state = self._state
        if random.random() < self.moves[state]:  # noqa: S311
            self._state = 1 - state
        return random.random() < self.losses[state]  # noqa: S311


class Spread:
    """Delays in seconds, one for each packet.

    Args:
        delay: around which they spread.
        jitter: half-width of the `uniform` distribution, scale of the others.
        distribution: `uniform`, `normal`, `pareto` or `paretonormal`.
        correlation: between one and the next; it leaves the distribution as it is.

    """

    def __init__(
        self,
        delay: float,
        jitter: float = 0.0,
        distribution: str = "uniform",
        correlation: float = 0.0,
    ) -> None:
        middles = ((step + 0.5) / STEPS for step in range(STEPS))
        self.delays = [
            max(0.0, delay + jitter * quantile(distribution, share))
            for share in (middles if jitter else (0.5,))
        ]
        self._keep = correlation
        self._new = math.sqrt(1 - correlation * correlation)
        self._place = random.gauss(0, 1)

    def draw(self) -> float:
        """Return the delay of the next packet."""
        delays = self.delays
        if not self._keep:
            return delays[int(random.random() * len(delays))]  # noqa: S311
        self._place = self._keep * self._place + self._new * random.gauss(0, 1)
        share = 0.5 * math.erfc(-self._place / math.sqrt(2))
        return delays[min(len(delays) - 1, int(share * len(delays)))]


def quantile(distribution: str, share: float) -> float:
    """Return what that share of a distribution, of scale 1 around 0, is below.

    The tables of netem's distributions (iproute2, netem/*.c): `pareto` has shape 3 and
    the mean and about the deviation of `normal`, `paretonormal` is three parts of it
    and one of `normal`; all end at 4.

    >>> quantile("uniform", 0.75), quantile("normal", 0.5)
    (0.5, 0.0)
    """
    if distribution == "uniform":
        return 2 * share - 1
    normal = NormalDist().inv_cdf(share)
    pareto: float = ((1 - share) ** (-1 / 3) - 1.5) * 4 / 3
    weight = {"normal": 0.0, "pareto": 1.0, "paretonormal": 0.75}[distribution]
    return max(-CLIPPED, min(CLIPPED, weight * pareto + (1 - weight) * normal))


def turned(packet: bytes) -> bytes:
    """Return a packet with one of its bits turned, any."""
    place = random.randrange(8 * len(packet))  # noqa: S311
    changed = bytearray(packet)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)
